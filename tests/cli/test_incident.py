"""What a report says of every kind of record, and that it says it to a terminal, too."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest
from rich.console import Console
from tests.cli import incident, records

from memguard.cli.incident import words
from memguard.cli.incident.bars import factor_bars, rows
from memguard.cli.incident.facts import facts, tiles
from memguard.cli.incident.incident import LONGEST_NAME, Incident, short
from memguard.cli.incident.moments import moments, reaction, spans
from memguard.cli.incident.view import sparkline, view
from memguard.cli.incident.words import around
from memguard.cli.words import duration

KINDS = records.kinds()
#: kind: what the heading says after the name, the verdict's tone and word
TOLD = {
    "killed": ("was killed", "good", "Done"),
    "observed": ("would have been killed", "open", "Only observed"),
    "hit": ("would have been killed", "bad", "Observed: hit"),
    "false alarm": ("would have been killed", "open", "Observed: false alarm"),
    "terminated": ("was asked to end", "good", "Done"),
    "terminated, then killed": ("was asked to end, and was killed", "good", "Done"),
    "terminated by a kill": ("was killed", "good", "Done"),
    "evicted": ("was evicted", "good", "Done"),
    "evicted with its volume": ("was evicted", "good", "Done"),
    "not evicted": ("was to be evicted, and was not", "bad", "Incomplete"),
    "evicted in place": ("was killed", "good", "Done"),
    "incomplete": ("was killed, and did not go", "bad", "Incomplete"),
    "kernel came": ("was killed", "bad", "The kernel came all the same"),
    "on its way": ("was killed", "open", "On its way"),
    "memory-backed": ("would have been evicted", "open", "Only observed"),
    "unmapped": ("would have been killed", "open", "Only observed"),
    "resized": ("got a higher limit", "good", "Done"),
    "moved": ("was evicted", "good", "Done"),
    "ordered": ("was killed", "good", "Done"),
    "own limit": ("was killed", "good", "Done"),
    "old": ("was killed", "good", "Done"),
}


def said(kind: str) -> list[str]:
    return [moment.words for moment in moments(KINDS[kind])]


def printed(one: Incident, width: int = 118) -> str:
    console = Console(width=width, markup=False, emoji=False, highlight=False, color_system=None)
    with console.capture() as capture:
        console.print(view(one))
    return capture.get()


def test_every_kind_is_told() -> None:
    assert TOLD.keys() == KINDS.keys()


@pytest.mark.row("G3", "T2")
@pytest.mark.parametrize("kind", TOLD)
def test_heading_and_verdict_say_what_was_done_and_what_became_of_it(kind: str) -> None:
    deed, tone, word = TOLD[kind]
    found = words.verdict(KINDS[kind])
    assert words.headline(KINDS[kind]).endswith(deed)
    assert (found.tone, found.word) == (tone, word)
    assert found.words.endswith(".")


@pytest.mark.parametrize("kind", [kind for kind in KINDS if KINDS[kind].decision.spec.mode == "Observe"])
def test_what_was_only_observed_is_never_told_as_done(kind: str) -> None:
    text = printed(KINDS[kind])
    assert " was killed" not in text
    assert " was evicted" not in text
    assert "would have been" in text
    assert KINDS[kind].decision.spec.not_done_because in " ".join(text.split())


def test_an_eviction_is_of_the_pod_and_everything_else_of_the_container() -> None:
    assert words.headline(KINDS["evicted"]) == "shop/cart-7d9 was evicted"
    assert words.headline(KINDS["killed"]) == "shop/cart-7d9/app was killed"


def test_who_could_not_be_mapped_is_called_by_its_cgroup_with_a_short_id() -> None:
    assert KINDS["unmapped"].title == "cri-containerd-aaaaaaaaaaaa.scope"


@pytest.mark.parametrize(
    ("kind", "words_"),
    [
        ("terminated by a kill", "nobody in it could take the signal"),
        ("evicted in place", "An eviction would have been better"),
        ("terminated", "It ended by itself."),
        ("evicted with its volume", "200 MiB of its memory outlives the container, and goes with the pod only."),
        ("terminated, then killed", "It did not end within 300 ms, so it was killed."),
    ],
)
def test_what_was_done_instead_is_said(kind: str, words_: str) -> None:
    assert words_ in (words.remark(KINDS[kind]) or "")
    assert words.remark(KINDS["killed"]) is None


def test_what_an_old_record_leaves_open_is_said() -> None:
    old = records.decision({"phase": "Done", "seconds": 0.33}, action="terminate", wanted="terminate", timeline=())
    assert "the record does not tell which" in (words.remark(records.told(old)) or "")


def test_the_kill_that_had_to_follow_is_a_moment() -> None:
    assert said("terminated, then killed")[-3:] == [
        "it was asked to end",
        "its time was over: it was killed",
        "it was gone, and 942 MiB had come back",
    ]


@pytest.mark.row("G3")
def test_the_moments_are_in_the_order_of_time_from_the_reserve_to_the_end() -> None:
    found = moments(KINDS["killed"])
    assert [moment.kind for moment in found] == ["before", "step", "step", "step", "step", "deed", "end"]
    assert found[0].words == "the reserve of 123 MiB was reached"
    assert found[0].seconds == pytest.approx(-1.57, abs=0.01)
    assert [round(moment.seconds * 1e3, 3) for moment in found[1:6]] == [-1.342, -1.13, -0.421, -0.155, 0]
    assert found[-1].words == "it was gone, and 942 MiB had come back"


def test_the_crossing_of_the_line_is_a_moment_of_its_own() -> None:
    assert said("own limit")[0] == "the line was crossed, 123 MiB below the limit"
    assert "the kernel rang: the line under the limit was crossed" in said("own limit")


def test_an_observed_moment_says_why_nothing_was_done() -> None:
    assert said("observed")[-1] == "it would have been killed; it was not, because its policy says Observe"


def test_who_did_not_go_was_still_there() -> None:
    assert said("incomplete")[-1].startswith("it was still there")


def test_steps_are_named_after_what_the_time_was_spent_on() -> None:
    assert [span.name for span in spans(KINDS["killed"])] == ["hold", "read", "rank", "act"]
    assert reaction(KINDS["killed"]) == "1.3 ms"
    assert reaction(KINDS["evicted"]) is None
    assert spans(KINDS["evicted"]) == ()


def test_a_step_that_this_version_does_not_know_is_called_by_its_name() -> None:
    timing = records.TIMING | {"weighed": 0.0011, "confirmed": 0.5}
    later = records.told(records.decision(timing=timing))
    assert "weighed" in [moment.words for moment in moments(later)]
    assert [span.name for span in spans(later)] == ["hold", "read", "weighed", "rank", "act", "confirmed"]
    assert reaction(later) == "1.3 ms", "what came after the action is no part of it"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 ms"), (0.0004, "0.4 ms"), (0.00134, "1.3 ms"), (0.0099, "9.9 ms"), (0.33, "330 ms"), (0.9999, "1.0 s"),
     (2.54, "2.5 s"), (14.2, "14 s"), (150, "2 min"), (7300, "2 h")],
)  # fmt: skip
def test_durations_have_the_digits_that_count(seconds: float, text: str) -> None:
    assert duration(seconds) == text
    assert around(-seconds) == (f"{text} before" if seconds else "at 0")


def test_the_few_figures_tell_the_story() -> None:
    assert [tile.figure for tile in tiles(KINDS["killed"])] == ["60 MiB", "1.5 s", "1.3 ms", "942 MiB"]
    assert [tile.label for tile in tiles(KINDS["observed"])][-1] == "Would have come back"
    assert len(tiles(KINDS["resized"])) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_every_fact_has_a_value_and_a_meaning(kind: str) -> None:
    found = [fact for group in facts(KINDS[kind]) for fact in group.facts]
    assert len(found) > 15
    assert all(fact.label and fact.value and fact.meaning.endswith(".") for fact in found)
    assert ("Verdict" in {fact.label for fact in found}) == (KINDS[kind].decision.spec.mode == "Observe")


@pytest.mark.row("G3")
def test_the_bars_add_up_to_the_score_and_show_what_is_neutral() -> None:
    bars = {bar.name: bar for bar in factor_bars(KINDS["killed"])}
    assert sum(bar.points for bar in bars.values()) == KINDS["killed"].decision.spec.score
    assert bars["excess"].most == 1000, "the widest"
    assert (bars["memory"].neutral, bars["excess"].neutral) == (0, 500)
    assert bars["lifetime"].low == bars["lifetime"].filled < bars["lifetime"].neutral, "it spares"
    assert all(bar.neutral <= bar.most and bar.filled <= bar.most for bar in bars.values())
    assert [bar.name for bar in factor_bars(KINDS["killed"]) if bar.speaks][:3] == ["excess", "memory", "growth"]


def test_a_factor_of_another_version_has_its_points_and_no_scale() -> None:
    made = records.decision()
    factors = made.spec.factors | {"luck": next(iter(made.spec.factors.values()))}
    found = {bar.name: bar for bar in factor_bars(records.told(records.decision(factors=factors)))}
    assert (found["luck"].most, found["luck"].words) == (0, "unknown to this version")


@pytest.mark.row("G3")
def test_all_that_were_compared_are_listed_with_why_not_and_what_would_have_changed_it() -> None:
    listed = {row.title: row for row in rows(KINDS["killed"])}
    assert next(iter(listed)) == "shop/cart-7d9/app"
    assert listed["shop/cart-7d9/app"].chosen
    assert listed["shop/search-0/app"].change == "It would have been with 381 points more."
    dns = listed["kube-system/dns-x2/app"]
    assert (dns.why_not, dns.change) == ("namespace kube-system is protected", "")


def test_a_long_name_is_cut_in_the_middle_and_cannot_play() -> None:
    assert short("a" * 4000 + "\u202eend") == "a" * 48 + "…" + "a" * 43 + "\ufffdend"
    assert len(short("x" * 4000)) == LONGEST_NAME
    assert short("cart") == "cart"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("width", [80, 118])
def test_a_terminal_is_told_the_same(kind: str, width: int) -> None:
    text = printed(KINDS[kind], width)
    assert all(len(line) <= width for line in text.splitlines())
    flat = " ".join(text.split())
    for moment in moments(KINDS[kind]):
        assert around(moment.seconds) in flat
    assert words.verdict(KINDS[kind]).word in flat


def test_a_terminal_is_told_of_the_pod_and_its_events() -> None:
    text = printed(KINDS["killed"])
    assert "pod shop/cart-7d9, Running, container running, ready, restarted once, on node node-a." in text
    assert "MemoryGuardKilled" in text
    assert "is gone, or on its way out" in printed(KINDS["evicted"])
    assert "Nobody was asked" in printed(KINDS["old"])


def test_a_sparkline_has_a_block_for_each_reading() -> None:
    assert sparkline(((0.0, 0), (1.0, 50), (2.0, 100))) == " ▄█"
    assert sparkline(((0.0, -5), (1.0, 0))) == "  "


def test_an_event_of_several_lines_stays_on_its_row() -> None:
    told = msgspec.structs.replace(
        records.EVENTS[0], message="first\nsecond\x1b[2J", at=records.TAKEN_AT + timedelta(1)
    )
    text = printed(records.told(events=(told,)))
    assert "first second\ufffd[2J" in text
    assert "\x1b" not in text


def test_the_incident_is_the_one_of_the_examples() -> None:
    assert KINDS["killed"].decision.spec.victim.id == incident.LEAK
