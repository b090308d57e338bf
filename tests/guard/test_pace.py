"""How long to sleep, and when to sample."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from memguard.guard.config import Tuning
from memguard.guard.pace import (
    CALM_CEILING_SECONDS,
    CALM_LOOKS,
    CALM_PART,
    SWEEP_BYTES,
    SWEEP_PART,
    SWEEP_SECONDS,
    pause_seconds,
    still,
    sweep_due,
)

GIB = 1 << 30
HEADROOMS = st.integers(0, 1 << 50)
CALMS = st.integers(0, 10**9)
TUNINGS = st.builds(
    Tuning,
    tick_floor_seconds=st.floats(1e-4, 1e-2),
    tick_ceiling_seconds=st.floats(0.02, 60),
    fastest_fill_bytes_per_second=st.floats(1, 1e12),
)


@given(HEADROOMS, CALMS, TUNINGS)
def test_a_pause_is_within_its_bounds(headroom: int, calm: int, tuning: Tuning) -> None:
    pause = pause_seconds(headroom, calm, tuning)
    assert tuning.tick_floor_seconds <= pause <= tuning.tick_ceiling_seconds


@given(HEADROOMS, HEADROOMS, CALMS, TUNINGS)
def test_more_headroom_is_never_a_shorter_sleep(one: int, other: int, calm: int, tuning: Tuning) -> None:
    less, more = sorted((one, other))
    assert pause_seconds(less, calm, tuning) <= pause_seconds(more, calm, tuning)


@given(HEADROOMS, st.integers(0, CALM_LOOKS), TUNINGS)
def test_nobody_can_fill_the_headroom_in_one_sleep(headroom: int, calm: int, tuning: Tuning) -> None:
    """Unless the floor is longer than that; calm looks change it only when there were many."""
    pause = pause_seconds(headroom, calm, tuning)
    assert pause * tuning.fastest_fill_bytes_per_second <= max(
        headroom * 1.001, tuning.tick_floor_seconds * tuning.fastest_fill_bytes_per_second
    )


@given(CALMS, CALMS)
def test_calm_makes_the_floor_longer_step_by_step(one: int, other: int) -> None:
    fewer, more = sorted((one, other))
    assert pause_seconds(0, fewer, Tuning()) <= pause_seconds(0, more, Tuning()) <= CALM_CEILING_SECONDS


def test_at_the_reserve_it_looks_every_two_milliseconds_until_nothing_moves() -> None:
    tuning = Tuning()
    assert pause_seconds(0, 0, tuning) == 0.002
    assert pause_seconds(0, 10 * CALM_LOOKS, tuning) == CALM_CEILING_SECONDS
    assert pause_seconds(13 * GIB, 0, tuning) == tuning.tick_ceiling_seconds


@given(HEADROOMS)
def test_an_idle_nodes_flicker_is_no_movement_but_near_the_reserve_a_page_is(headroom: int) -> None:
    assert still(headroom, headroom - headroom // CALM_PART)
    assert not still(headroom, headroom - headroom // CALM_PART - 1)
    assert still(-headroom, -headroom)
    assert not still(-headroom, -headroom - 1)


@given(HEADROOMS, HEADROOMS, st.floats(0, 1000))
def test_a_sweep_is_due_when_a_part_of_the_headroom_is_gone(fallen: int, headroom: int, since: float) -> None:
    due = sweep_due(fallen, headroom, since)
    enough = fallen * SWEEP_PART >= headroom and fallen >= SWEEP_BYTES
    assert due == (since >= SWEEP_SECONDS and enough) or (fallen * SWEEP_PART - headroom) < SWEEP_PART


def test_what_is_due_stays_due_as_it_falls_on() -> None:
    assert not sweep_due(SWEEP_BYTES - 1, 0, 1)
    assert sweep_due(SWEEP_BYTES, 0, SWEEP_SECONDS)
    assert not sweep_due(SWEEP_BYTES, 0, SWEEP_SECONDS - 0.001)
    assert not sweep_due(GIB // 9, GIB, 1)
    assert sweep_due(GIB // 8, GIB, 1)
