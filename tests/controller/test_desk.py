"""Each node in its turn, by one hand at a time; what failed is looked at later and later."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from itertools import pairwise

from memguard.controller.desk import Desk
from memguard.errors import KubeError, UnreachableError

DEADLINE_SECONDS = 20.0


def error(retry_after: float | None = None) -> KubeError:
    return UnreachableError("GET", "/", "nobody there", remedy="", retry_after_seconds=retry_after)


class Work:
    """What was attended to, in its order; `does` has a node's turn, `failures` what was said of it."""

    def __init__(self, does: Callable[[str], object], *, jitter: float = 0.0) -> None:
        self.seen: list[tuple[str, float]] = []
        self.failures: list[str] = []
        self._does = does
        self.desk = Desk(self._attend, lambda name, _: self.failures.append(name), random=lambda: jitter)

    @property
    def names(self) -> str:
        return "".join(name for name, _ in self.seen)

    def over(self, count: int) -> bool:
        """Stops it after so many turns."""
        if len(self.seen) >= count:
            self.desk.stop()
        return len(self.seen) >= count

    def _attend(self, name: str) -> None:
        self.seen.append((name, time.monotonic()))
        self._does(name)


def test_each_in_its_turn_and_once_however_often_it_is_told() -> None:
    work = Work(lambda _: work.over(3))
    for name in "abacab":
        work.desk.noticed(name)
    work.desk.run()
    assert work.names == "abc"


def test_told_again_while_it_is_looked_at_it_is_looked_at_again() -> None:
    def does(name: str) -> None:
        if not work.over(2):
            work.desk.noticed(name)

    work = Work(does)
    work.desk.noticed("a")
    work.desk.run()
    assert work.names == "aa"


def test_one_node_by_one_hand_at_a_time() -> None:
    """The second hand passes over the node that the first has, takes the next, and only then is it free again."""
    other_done = threading.Event()

    def does(name: str) -> None:
        if work.over(3):
            return
        if name == "b":
            other_done.set()
            return
        work.desk.noticed("a")
        work.desk.noticed("b")
        assert other_done.wait(DEADLINE_SECONDS)

    work = Work(does)
    work.desk.noticed("a")
    hands = [threading.Thread(target=work.desk.run) for _ in range(2)]
    for hand in hands:
        hand.start()
    for hand in hands:
        hand.join(DEADLINE_SECONDS)
    assert work.names == "aba"


def test_stop_ends_all_hands() -> None:
    work = Work(lambda _: None)
    hands = [threading.Thread(target=work.desk.run) for _ in range(3)]
    for hand in hands:
        hand.start()
    work.desk.stop()
    for hand in hands:
        hand.join(DEADLINE_SECONDS)
    assert not any(hand.is_alive() for hand in hands)


def test_failures_are_told_and_looked_at_later_and_later() -> None:
    def does(_: str) -> None:
        if not work.over(5):
            raise error()

    work = Work(does, jitter=0.02)
    work.desk.noticed("a")
    work.desk.run()
    times = [at for _, at in work.seen]
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert work.failures == ["a"] * 4
    assert all(gap >= least for gap, least in zip(gaps, (0.01, 0.02, 0.04, 0.08), strict=True))


def test_who_notices_it_meanwhile_does_not_make_it_sooner() -> None:
    """Else each notice would be one more attempt, and each failed attempt another: a storm on a server that is down."""

    def does(name: str) -> None:
        work.desk.noticed(name)
        if not work.over(3):
            raise error()

    work = Work(does, jitter=0.2)
    for _ in range(10):
        work.desk.noticed("a")
    work.desk.run()
    (_, first), (_, second), (_, third) = work.seen
    assert second - first >= 0.1
    assert third - second >= 0.2


def test_one_that_has_to_wait_holds_up_nobody() -> None:
    def does(name: str) -> None:
        if not work.over(4) and name == "a":
            raise error(retry_after=300)

    work = Work(does)
    for name in "abcd":
        work.desk.noticed(name)
    work.desk.run()
    assert work.names == "abcd"
    assert work.failures == ["a"]


def test_aftercare_waits_until_all_had_their_turn() -> None:
    """A hand that waits for the desk to be clear goes on once the last that waits is taken, or its time is over."""
    may_end = threading.Event()

    def does(name: str) -> None:
        if not work.over(2):
            assert may_end.wait(DEADLINE_SECONDS)

    work = Work(does)
    assert work.desk.clear(0.0)
    work.desk.noticed("a")
    work.desk.noticed("b")
    assert not work.desk.clear(0.01)
    hand = threading.Thread(target=work.desk.run)
    hand.start()
    assert not work.desk.clear(0.01)  # `b` waits
    may_end.set()
    assert work.desk.clear(DEADLINE_SECONDS)
    hand.join(DEADLINE_SECONDS)
    assert work.names == "ab"


def test_who_was_put_off_is_not_waited_for() -> None:
    def does(_: str) -> None:
        raise error(retry_after=300)

    work = Work(does)
    work.desk.noticed("a")
    hand = threading.Thread(target=work.desk.run)
    hand.start()
    assert work.desk.clear(DEADLINE_SECONDS)
    assert work.desk.rest(DEADLINE_SECONDS)
    assert work.desk.clear(0.0)
    work.desk.stop()
    hand.join(DEADLINE_SECONDS)
    assert work.failures == ["a"]
