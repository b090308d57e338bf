"""The taint: on soon, off late, never more than a policy allows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memguard.core.taint import CALM_SECONDS, SOON_SECONDS, Effect, TaintBehaviour, Trouble, effect

PREFER, NO = "PreferNoSchedule", "NoSchedule"
CRITICAL = Trouble(level="Critical")
SOON = Trouble(level="Tight", exhaustion_seconds=SOON_SECONDS)
LATER = Trouble(level="Tight", exhaustion_seconds=SOON_SECONDS + 1)
FLAT = Trouble(level="Tight")
WEARY = Trouble(level="Tight", weary=True)
JUST_CALM = Trouble(level="Calm", calm_seconds=CALM_SECONDS - 1)
CALM = Trouble(level="Calm", calm_seconds=CALM_SECONDS)

#: what a policy allows, how the node stands: the taint where there was none, the weaker, the stronger
STATES: list[tuple[str, TaintBehaviour, Trouble | None, tuple[Effect | None, Effect | None, Effect | None]]] = [
    ("critical", NO, CRITICAL, (NO, NO, NO)),
    ("critical, as far as allowed", PREFER, CRITICAL, (PREFER, PREFER, PREFER)),
    ("nothing left soon", NO, SOON, (PREFER, PREFER, NO)),
    ("nothing left soon, as far as allowed", PREFER, SOON, (PREFER, PREFER, PREFER)),
    ("nothing left later", NO, LATER, (None, PREFER, NO)),
    ("nothing left later, less allowed", PREFER, LATER, (None, PREFER, PREFER)),
    ("tight and flat", NO, FLAT, (None, PREFER, NO)),
    ("tight, and restarts are of no use", NO, WEARY, (PREFER, PREFER, NO)),
    ("calm a moment ago", NO, JUST_CALM, (None, PREFER, NO)),
    ("calm a moment ago, less allowed", PREFER, JUST_CALM, (None, PREFER, PREFER)),
    ("calm for long", NO, CALM, (None, None, None)),
    ("calm, restarts or not", NO, Trouble(level="Calm", calm_seconds=CALM_SECONDS, weary=True), (None, None, None)),
    ("nobody reports", NO, None, (None, None, None)),
    ("never", "Never", CRITICAL, (None, None, None)),
]


@pytest.mark.row("K7")
@pytest.mark.parametrize(("words", "allowed", "trouble", "after"), STATES, ids=[row[0] for row in STATES])
def test_from_each_state_to_the_next(
    words: str, allowed: TaintBehaviour, trouble: Trouble | None, after: tuple[Effect | None, ...]
) -> None:
    befores: tuple[Effect | None, ...] = (None, PREFER, NO)
    assert tuple(effect(before, trouble, allowed) for before in befores) == after


troubles = st.builds(
    Trouble,
    level=st.sampled_from(["Calm", "Tight", "Critical"]),
    exhaustion_seconds=st.none() | st.floats(0, 1000),
    calm_seconds=st.none() | st.floats(0, 1000),
    weary=st.booleans(),
)
effects = st.sampled_from([None, PREFER, NO])
RANK = {None: 0, "Never": 0, PREFER: 1, NO: 2}


@pytest.mark.row("K7")
@given(effects, st.none() | troubles, st.sampled_from(["Never", PREFER, NO]))
def test_never_more_than_is_allowed(before: Effect | None, trouble: Trouble | None, allowed: TaintBehaviour) -> None:
    """Whatever stood there: somebody may have put it on, or the policy allowed more."""
    assert RANK[effect(before, trouble, allowed)] <= RANK[allowed]


@pytest.mark.row("K7")
@given(st.lists(st.none() | troubles, max_size=20))
def test_the_stronger_only_after_the_reserve_was_touched(series: list[Trouble | None]) -> None:
    now, touched = None, False
    for one in series:
        before, now = now, effect(now, one, NO)
        touched = (touched and before is not None) or (one is not None and one.level == "Critical")
        assert now != NO or touched


@pytest.mark.row("K7")
@given(effects, st.lists(st.sampled_from([JUST_CALM, FLAT, LATER]), max_size=10))
def test_between_the_two_lines_nothing_changes(before: Effect | None, series: list[Trouble]) -> None:
    """However often a node goes back and forth there, no scheduler hears of it."""
    now = before
    for one in series:
        now = effect(now, one, NO)
    assert now == before
