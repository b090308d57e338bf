"""A run follows from its seed alone, and all faults come up."""

from __future__ import annotations

from chaos.cluster.draw import FAULTS, LIMIT_MIB, RATES_MIB_S, drawn
from chaos.cluster.faults import happening
from chaos.cluster.pods import leak


def test_the_same_seed_plays_the_same() -> None:
    assert drawn(7) == drawn(7)
    assert len({drawn(seed) for seed in range(200)}) == 200


def test_as_many_seeds_as_there_are_faults_play_all() -> None:
    draws = [drawn(seed) for seed in range(len(FAULTS))]
    assert {draw.faults[0].name for draw in draws} == set(FAULTS)
    assert {draw.leak for draw in draws} == set(RATES_MIB_S)
    assert {len(draw.faults) for draw in draws} == {1, 2}
    assert all(len({fault.name for fault in draw.faults}) == len(draw.faults) for draw in draws)


def test_every_fault_is_known_how_to_happen() -> None:
    assert all(callable(happening(name)) for name in FAULTS)


def test_a_leak_has_as_many_lives_as_it_is_to_have() -> None:
    for seed in range(20):
        draw = drawn(seed)
        [one] = leak(draw)["spec"]["containers"]
        assert one["command"][-1].count("life2") == draw.lives - 1
        assert (one["resources"]["limits"]["memory"] == f"{LIMIT_MIB}Mi") == (draw.leak != "node")
