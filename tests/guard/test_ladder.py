"""The ladder in all that may happen to it: kept ways, everything up to a depth, and long ways at random.

What must be true at each moment is the referee's (tests/guard/ladder/referee.py). There is no second model of the
guard that could drift from it: the guard itself runs, on a machine of files.
"""

from __future__ import annotations

import functools
import random
import re
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.guard.ladder.events import CRISIS, EVENTS
from tests.guard.ladder.explorer import Explorer, walk
from tests.guard.ladder.referee import ViolationError

from memguard.core.budget import RecentKills
from memguard.guard import bell, course, limits, lookout, ward
from memguard.guard.bell import Bell
from memguard.guard.course import Course
from memguard.guard.hold import Hold
from memguard.guard.limits import Limits
from memguard.kernel.outcome import VANISHED

STATES = Path(__file__).resolve().parents[2] / "docs" / "guard.md"

#: Ways that found something, or that lead to a step that others do not.
WAYS = {
    "a line that could not be lifted was forgotten, and stood until the guard's end": (
        "hog cannot be braked", "hog is spared", "hog cannot be braked", "wait",
    ),
    "... and so when its budget was spent": (
        "hog cannot be braked", "no budget", "hog cannot be braked", "no budget", "wait", "wait",
    ),
    "a line that rested came back under one that may not be touched any more": (
        "hog bursts", "wait", "hog is spared", "hog shrinks", "wait", "wait",
    ),
    "a brake on a pod stayed on one that may not be touched any more": (
        "side leaks", "side stops", "hog bursts", "wait", "side is spared", "wait", "wait",
    ),
    "in a pod a second one was ended beside one that gave back enough": (
        "side sticks", "side leaks", "side is ordered to end", "hog bursts", "wait", "wait", "wait",
    ),
    "two in a pod": ("hog bursts", "side bursts", "wait", "wait", "wait", "wait"),
    "the node": ("big leaks", "wait", "wait", "hog bursts", "wait", "wait", "wait"),
    "a victim in D state, and another behind it": ("big sticks", "big bursts", "wait", "side bursts", "wait", "wait"),
    "it ends by itself": ("hog heeds", "hog bursts", "wait", "wait"),
    "it may not be touched any more while it is asked to end": ("hog bursts", "wait", "wait", "hog is spared", "wait"),
    "cache": ("hog reads files", "wait", "wait", "hog shrinks", "wait", "hog reads files", "hog bursts", "wait"),
    "a slow one in its margin": ("hog leaks", "wait", "wait", "wait", "hog shrinks", "wait", "wait"),
    "nobody can be killed": ("big cannot be killed", "big bursts", "wait", "wait"),
    "nobody can be held": ("hog cannot be held", "big leaks", "hog bursts", "wait"),
    "no heir": ("hog bursts", "no heir", "wait", "wait", "no heir", "wait"),
    "it comes again": ("hog bursts", "wait", "hog vanishes", "hog comes", "hog bursts", "wait", "wait"),
    "its cgroup goes while it is braked": ("hog bursts", "wait", "wait", "hog vanishes", "wait"),
    "no budget while it is asked to end": ("hog bursts", "wait", "no budget", "wait", "side bursts", "wait"),
    "only observe, and no more": ("hog bursts", "only observe", "wait", "only observe", "wait", "wait"),
    "another writer": ("hog's line is another's", "hog bursts", "wait", "hog's line is reset", "wait", "wait"),
}  # fmt: skip


Taken = Callable[[tuple[str, ...]], frozenset[tuple[str, str, str]]]


@pytest.fixture(scope="module")
def taken(tmp_path_factory: pytest.TempPathFactory) -> Taken:
    """The steps of a way, which is walked once."""
    return functools.cache(lambda way: frozenset(walk(tmp_path_factory.mktemp("way"), way).steps))


@pytest.mark.row("E4", "K5", "T1", "T4")
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_ways_that_are_kept(taken: Taken, way: tuple[str, ...]) -> None:
    taken(way)


@pytest.mark.row("E4", "K5", "T1", "T4")
def test_everything_up_to_a_depth(tmp_path: Path) -> None:
    """All that makes a crisis in a pod; `make chaos` goes deeper, and takes the faults along."""
    found = Explorer(tmp_path, 2, CRISIS).explore()
    print(found)
    assert found.complete
    assert found.states > 50
    assert found.transitions > 100


@pytest.mark.row("E4", "K5", "T1", "T4")
@given(way=st.lists(st.sampled_from(sorted(EVENTS)), max_size=16))
@settings(max_examples=25, suppress_health_check=list(HealthCheck))
def test_long_ways(tmp_path_factory: pytest.TempPathFactory, way: list[str]) -> None:
    walk(tmp_path_factory.mktemp("way"), way)


# --- the states as they are documented


def documented() -> set[tuple[str, str, str]]:
    """The steps of docs/guard.md: (line or victim, from, to)."""
    found, what = set(), ""
    for line in STATES.read_text().splitlines():
        if heading := re.match(r"\| a (line|victim) goes from", line):
            what = heading[1]
        elif not line.startswith("|"):
            what = ""
        elif what and (row := re.match(r"\| (\w+) \| (\w+) \|", line)):
            found.add((what, row[1], row[2]))
    return found


@pytest.mark.row("E4", "T1")
def test_the_steps_are_those_of_the_docs(taken: Taken) -> None:
    """No step is taken that is not there, and each that is there is taken."""
    assert {step for way in WAYS.values() for step in taken(way)} == documented()


# --- the referee can say no

Mutant = Callable[[pytest.MonkeyPatch], object]


def instead(where: object, name: str, value: Any) -> Mutant:
    return lambda patch: patch.setattr(where, name, value)


#: What is taken out of the guard, and a way on which that must be noticed.
MUTANTS: dict[str, tuple[Mutant, tuple[str, ...], str]] = {
    "victims under way do not count at a limit": (
        instead(limits, "relief_is_coming", lambda *_: False),
        WAYS["in a pod a second one was ended beside one that gave back enough"], "who are enough",
    ),
    "victims under way do not count on the node": (
        instead(lookout, "relief_is_coming", lambda *_: False),
        ("big sticks", "big leaks", "big is ordered to end", "side bursts", "wait", "wait"), "beside",
    ),
    "the suspects are not let go": (instead(Hold, "release", lambda _: None), WAYS["the node"], "left frozen"),
    "a probation has no end": (
        instead(bell, "PROBATION_SECONDS", 60.0), ("side leaks", "wait", "side stops", "wait"), "on probation",
    ),
    "a victim that may not be touched any more is not let go": (
        instead(Course, "abandon", lambda *_: None), ("hog bursts", "wait", "hog is spared", "wait"),
        "to end by itself|braked",
    ),
    "nobody is excluded": (
        instead(ward, "exclusion", lambda *_: None), ("hog is spared", "hog bursts"), "not be touched",
    ),
    "a brake is not taken away": (
        instead(Limits, "release_brakes", lambda *_: None), ("hog bursts", "wait", "wait", "wait"), "braked",
    ),
    "a kill is followed for ever": (
        instead(course, "GIVE_UP_SECONDS", 1e9),
        ("big sticks", "big is ordered to end", "wait", "wait"), "being killed for",
    ),
    "no budget is ever spent": (
        instead(RecentKills, "refusal", lambda *_: None), ("no budget", "hog bursts", "wait", "wait"), "overdrawn",
    ),
    "a stop signal has its time for ever": (
        instead(Course, "overdue", lambda *_: False), ("hog bursts", "wait", "hog stops", "wait"), "to end by itself",
    ),
    "lines are left at the end": (instead(Limits, "forget_all", lambda *_, **__: None), (), "left behind"),
    "a line comes back wherever it was": (
        instead(Limits, "_may_stand", lambda *_: True),
        WAYS["a line that rested came back under one that may not be touched any more"], "not be touched",
    ),
    "a line that cannot be lifted is forgotten": (
        instead(Bell, "lift", lambda one: _lift(one) and VANISHED),
        WAYS["a line that could not be lifted was forgotten, and stood until the guard's end"], "stands",
    ),
}  # fmt: skip
_lift = Bell.lift


@pytest.mark.parametrize("mutant", MUTANTS)
def test_what_is_taken_out_of_the_guard_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mutant: str
) -> None:
    take_out, way, words = MUTANTS[mutant]
    take_out(monkeypatch)
    with pytest.raises(ViolationError, match=words):
        walk(tmp_path, way)


# --- minutes of it


@pytest.mark.chaos
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("names", "depth", "most"), [(EVENTS, 2, None), (CRISIS, 4, 5000)], ids=["all", "crisis"])
def test_everything_up_to_a_greater_depth(tmp_path: Path, names: tuple[str, ...], depth: int, most: int | None) -> None:
    found = Explorer(tmp_path, depth, names).explore(most)
    print(found)
    assert found.complete or found.transitions >= (most or 0)
    assert found.steps <= documented()


@pytest.mark.chaos
@pytest.mark.timeout(3600)
def test_a_thousand_ways_at_random(tmp_path: Path) -> None:
    """Weighted towards what makes a crisis, and towards letting it take its course."""
    seed = secrets.randbits(32)
    chance = random.Random(seed)
    print(f"seed {seed}")
    names = sorted(EVENTS)
    weights = [12 if name == "wait" else 3 if "leaks" in name or "bursts" in name else 1 for name in names]
    steps = set()
    for number in range(1000):
        way = chance.choices(names, weights, k=chance.randint(3, 20))
        try:
            steps |= walk(tmp_path, way).steps
        except ViolationError as violation:
            raise ViolationError(f"seed {seed}, way {number}: {violation}") from None
    assert steps <= documented()
