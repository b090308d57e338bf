"""What was refused is told, and for a while not asked for again."""

from __future__ import annotations

from datetime import timedelta

from tests.controller.objects import NOW

from memguard.controller.refusals import REFUSED, Refusals
from memguard.core.refusal import GONE, Refusal


def test_it_is_remembered_for_a_while() -> None:
    told: list[Refusal] = []
    refusals = Refusals(told.append)
    refusals.add("a", GONE, NOW)
    assert ("a" in refusals, refusals.words, told) == (True, {"a": GONE.words}, [GONE])
    refusals.expire(NOW + REFUSED - timedelta(seconds=1))
    assert refusals
    refusals.expire(NOW + REFUSED)
    assert not refusals


def test_what_only_waits_is_not_told() -> None:
    told: list[Refusal] = []
    refusals = Refusals(told.append)
    refusals.hold("resize a", "kubelet has been asked", NOW)
    assert ("resize a" in refusals, told) == (True, [])
