from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memguard.errors import ConflictError, KubeError, ServerError, TooManyRequestsError
from memguard.kube.retry import LONGEST_RETRY_AFTER_SECONDS, Backoff, retry


def failure(kind: type[KubeError] = ServerError, retry_after_seconds: float | None = None) -> KubeError:
    return kind("GET", "/", "no", remedy="Wait.", retry_after_seconds=retry_after_seconds)


class Call:
    """Raises the errors one by one, then returns."""

    def __init__(self, *errors: KubeError) -> None:
        self.errors = list(errors)
        self.waits: list[float] = []

    def __call__(self) -> str:
        if self.errors:
            raise self.errors.pop(0)
        return "done"

    def sleep(self, seconds: float) -> bool:
        self.waits.append(seconds)
        return False


@given(st.integers(0, 10_000), st.floats(0, 1), st.none() | st.floats(0, 1e9))
def test_a_wait_is_never_longer_than_the_cap_nor_shorter_than_asked(
    failures: int, drawn: float, asked: float | None
) -> None:
    backoff = Backoff(base_seconds=0.5, cap_seconds=30)
    wait = backoff.delay_seconds(failures, lambda: drawn, asked)
    least = min(asked or 0.0, LONGEST_RETRY_AFTER_SECONDS)
    assert least <= wait <= least + 30
    assert wait - least <= 0.5 * 2 ** min(max(failures - 1, 0), 10) + 1e-6


def test_the_bound_doubles_up_to_the_cap() -> None:
    backoff = Backoff(base_seconds=0.5, cap_seconds=3)
    assert [backoff.delay_seconds(failures, lambda: 1.0) for failures in (1, 2, 3, 4, 5)] == [0.5, 1, 2, 3, 3]


def test_it_is_tried_until_it_works() -> None:
    call = Call(failure(), failure(TooManyRequestsError, 7), failure())
    backoff = Backoff(base_seconds=1)
    assert retry(call, attempts=4, sleep=call.sleep, random=lambda: 1.0, backoff=backoff) == "done"
    assert call.waits == [1, 9, 4]


def test_the_last_error_is_the_callers() -> None:
    call = Call(failure(), last := failure())
    with pytest.raises(ServerError) as raised:
        retry(call, attempts=2, sleep=call.sleep, random=lambda: 1.0)
    assert raised.value is last
    assert len(call.waits) == 1


def test_what_does_not_pass_is_not_tried_again() -> None:
    call = Call(failure(ConflictError))
    with pytest.raises(ConflictError):
        retry(call, attempts=9, sleep=call.sleep, random=lambda: 1.0)
    assert call.waits == []


def test_who_is_stopped_while_waiting_gives_up() -> None:
    call = Call(failure(), failure())
    with pytest.raises(ServerError):
        retry(call, attempts=9, sleep=lambda seconds: True, random=lambda: 1.0)
    assert len(call.errors) == 1
