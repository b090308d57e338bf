"""Times and thresholds as people read them."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from memguard.cli.words import duration, moment, span, threshold, until


@pytest.mark.parametrize(
    ("seconds", "whole", "measured"),
    [
        (0.0004, "0 s", "0.4 ms"),
        (2.5, "2 s", "2.5 s"),
        (90.0, "90 s", "90 s"),
        (7100.0, "118 min", "118 min"),
        (432_000.0, "5 d", "5 d"),
        (-432_000.0, "-5 d", "-5 d"),
    ],
)
def test_both_ways_to_tell_a_time_agree_where_nothing_is_lost(seconds: float, whole: str, measured: str) -> None:
    assert (span(seconds), duration(seconds)) == (whole, measured)


@pytest.mark.parametrize(("seconds", "words"), [(None, "-"), (86_401.0, "-"), (86_400.0, "24 h"), (0.0, "0 s")])
def test_what_is_far_away_is_no_news(seconds: float | None, words: str) -> None:
    assert until(seconds) == words


def test_a_moment_is_told_in_utc() -> None:
    at = datetime(2026, 11, 30, 1, 2, 3, tzinfo=timezone(timedelta(hours=2)))
    assert moment(at) == "2026-11-29 23:02 UTC"
    assert moment(at, seconds=True) == "2026-11-29 23:02:03 UTC"


@pytest.mark.parametrize(
    ("score", "whole", "brief"), [(None, "-", "-"), (320.4, "320", "320"), (8000.0, "8000 (nobody)", "nobody")]
)
def test_a_threshold_that_nobody_reaches_says_so(score: float | None, whole: str, brief: str) -> None:
    assert (threshold(score), threshold(score, brief=True)) == (whole, brief)
