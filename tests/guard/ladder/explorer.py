"""All that can happen, in all orders: from each state that was not seen before every event is tried.

A state is reached by its shortest way from the start, and from there one goes on as long as something is new.
"""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.guard.ladder.events import EVENTS, State, state
from tests.guard.ladder.machine import Machine, machine
from tests.guard.ladder.referee import REST_SECONDS, Referee, ViolationError

Way = tuple[str, ...]


class Explored(NamedTuple):
    """How many states there were, transitions tried, and ways from the start; the steps that lines and victims took."""

    states: int
    transitions: int
    ways: int
    steps: frozenset[tuple[str, str, str]]
    #: was everything within the depth tried?
    complete: bool

    def __str__(self) -> str:
        whole = "all" if self.complete else "not all"
        return f"{self.states} states, {self.transitions} transitions on {self.ways} ways ({whole} within the bounds)"


class Explorer:
    """`depth`: events from the start; `names`: those that may happen."""

    def __init__(self, base: Path, depth: int, names: Iterable[str] = EVENTS) -> None:
        self._base, self._depth, self._names = base, depth, tuple(names)
        self._way: dict[State, Way] = {}
        self._untried: dict[State, list[str]] = {}
        self._queue: deque[State] = deque()
        self._steps: set[tuple[str, str, str]] = set()
        self._transitions = self._ways = 0

    def explore(self, most: int | None = None) -> Explored:
        """Until all is tried, or so many transitions. Raises ViolationError with the way to it."""
        gc.freeze()  # the guard collects its own garbage; all that the tests have imported is none
        self._walk(())
        while self._queue and (most is None or self._transitions < most):
            at = self._queue[0]
            if self._untried[at]:
                self._walk(self._way[at])
            else:
                self._queue.popleft()
        return Explored(len(self._way), self._transitions, self._ways, frozenset(self._steps), not self._queue)

    def _walk(self, way: Way) -> None:
        """Along a way that is known, and on as long as something is new."""
        self._ways += 1
        with machine(self._base) as at, told(at):
            for name in way:
                happen(at, name)
            while (name := self._next(at)) is not None:
                self._transitions += 1
                happen(at, name)
            come_to_rest(at)
        self._steps |= at.referee.steps

    def _next(self, at: Machine) -> str | None:
        found, way = state(at), tuple(at.happened)
        if found not in self._way:
            self._way[found] = way
            deeper = len(way) < self._depth
            self._untried[found] = [name for name in reversed(self._names) if deeper and EVENTS[name].may(at)]
            self._queue.append(found)
        untried = self._untried[found]
        return untried.pop() if untried and len(way) < self._depth else None


def walk(base: Path, way: Iterable[str]) -> Referee:
    """One way, as far as its events may happen."""
    with machine(base) as at, told(at):
        for name in way:
            if EVENTS[name].may(at):
                happen(at, name)
        come_to_rest(at)
    return at.referee


def happen(at: Machine, name: str) -> None:
    """One event, and the turn in which the guard hears of it."""
    at.happened.append(name)
    EVENTS[name].happen(at)
    at.world.touched = True
    at.turn()


def come_to_rest(at: Machine) -> None:
    """Whatever happened: without more of it the guard comes to rest, and ends leaving nothing behind."""
    at.calm()
    at.run(REST_SECONDS, until=lambda: at.referee.is_at_rest)
    at.referee.at_rest()
    at.end()


@contextmanager
def told(at: Machine) -> Iterator[None]:
    """A violation says what led to it."""
    try:
        yield
    except ViolationError as violation:
        raise ViolationError(f"{violation}\nafter: {', '.join(at.happened)}") from None
