"""What must hold after a run in the machine: each invariant is seen to fail, each excuse to count where it is one."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from chaos.machine.judge import broken, excused
from chaos.machine.seen import Again, Draw, End, Seen, Size, Timed

DRAW = Draw(
    boundary="container", limit_mib=160, rate_mib_s=0, processes=1, hog_at_seconds=0.5, grace_seconds=0.0,
    kills_allowed=20, faults=(), ending="SIGTERM",
)  # fmt: skip


def decision(victim: str = "hog", number: int = 1) -> dict[str, Any]:
    return {"kind": "decision", "mode": "Enforce", "id": f"d{number}", "victim": {"name": victim}}


def outcome(number: int = 1) -> dict[str, Any]:
    return {"kind": "outcome", "id": f"d{number}", "complete": True, "seconds": 0.1}


JOURNAL = ({"kind": "start"}, decision(), outcome(), {"kind": "stop"})
GOOD = Seen(
    draw=DRAW, gone=True, containers={"hog": End(populated=False, kernel_kills=0)}, bystanders=(),
    innocents={"web": True}, absences=(), kernel_kills_at=(), without=(), read_only=(), guard_killed_by_kernel=0,
    again=Again(gone=True, kernel_kills=0), size=(Size(17_000, 100, 1 << 24), Size(17_500, 90, 1 << 24)),
    standing={"web/memory.high": "1"}, left={}, left_seconds=0.01, pages_may_move=True, exit=0, journals=(JOURNAL,),
)  # fmt: skip
TOLD = {"kind": "kernelKill", "count": 1}
OOM: dict[str, Any] = {
    "kernel_kills_at": (2.0,),
    "containers": {"hog": End(populated=False, kernel_kills=1)},
    "journals": ((*JOURNAL, TOLD),),
}


def seen(*faults: str, boundary: str = "container", kills_allowed: int = 20, **facts: Any) -> Seen:
    timed = tuple(Timed(fault, 0.5, 1.0) for fault in faults)
    draw = msgspec.structs.replace(DRAW, faults=timed, boundary=boundary, kills_allowed=kills_allowed)
    return msgspec.structs.replace(GOOD, draw=draw, **facts)


def test_a_good_run_has_nothing_broken() -> None:
    assert broken(GOOD) == []
    assert excused(GOOD) == []


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (OOM, "OOM killer took 1"),
        ({"gone": False}, "lives on"),
        ({"journals": ((*JOURNAL, decision("web", 2), outcome(2)),)}, "web was ended"),
        ({"innocents": {"web": False}}, "nobody says why"),
        ({"left": {"hog/memory.high": "1"}}, "left behind"),
        ({"left_seconds": 1.2}, "lifted only after"),
        ({"pages_may_move": False}, "compact_unevictable"),
        ({"exit": None}, "ended with None"),
        ({"journals": ((*JOURNAL, {"kind": "noise", "text": "Traceback"}),)}, "printed"),
        ({"containers": {"hog": End(populated=True, kernel_kills=0)}}, "by the record, and lives"),
        ({"journals": (({"kind": "start"}, {"kind": "stop"}),)}, "no record says why"),
        ({"journals": (({"kind": "start"}, decision(), {"kind": "stop"}),)}, "0 outcomes"),
        ({"journals": ((*JOURNAL, TOLD),)}, "1 are told"),
        ({"size": (Size(17_000, 100, 1), Size(17_000, 101, 1))}, "descriptors"),
        ({"size": (Size(17_000, 100, 1), Size(25_000, 100, 1))}, "resident"),
        ({"again": Again(gone=False, kernel_kills=0)}, "was not ended"),
        ({"again": Again(gone=True, kernel_kills=1)}, "the kernel had to end"),
    ],
)
def test_each_invariant_can_break(facts: dict[str, Any], words: str) -> None:
    assert any(words in one for one in broken(seen(**facts))), broken(seen(**facts))


def test_a_budget_that_was_not_held_is_seen() -> None:
    journal = (*JOURNAL, decision(number=2), outcome(2))
    assert broken(seen(journals=(journal,), kills_allowed=1)) == ["2 kills, with 1 allowed"]


def test_the_budget_is_one_for_all_guards() -> None:
    second = (decision(number=2), outcome(2))
    assert "2 kills, with 1 allowed" in broken(seen(journals=(JOURNAL, second), kills_allowed=1))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (seen("guard killed", **OOM, absences=((1.0, 1.5),)), "no guard ran"),
        (seen("guard killed", **OOM, absences=((1.0,),)), "no guard ran"),
        (seen("files read-only", **OOM, read_only=("cgroup.kill",)), "cgroup.kill was read-only"),
        (seen("files missing", **OOM, without=("memory.high",)), "no line"),
        (seen(kills_allowed=1, **OOM), "budget"),
        (seen("somebody writes memory.high", **OOM), "wrote over the line"),
        (seen("limits are resized", **OOM), "limit had just been changed"),
    ],
)
def test_a_fault_excuses_the_kernel_for_a_reason(given: Seen, words: str) -> None:
    assert not [one for one in broken(given) if "OOM killer" in one]
    assert [why for why in excused(given) if words in why]


@pytest.mark.parametrize(
    "given",
    [
        seen("guard killed", **OOM, absences=((0.1, 0.5),)),
        seen("guard killed", **OOM, absences=((2.5, 3.0),)),
        seen("files missing", **OOM, boundary="node", without=("memory.high",)),
        seen("files read-only", **OOM, read_only=("cgroup.freeze",)),
        seen("somebody writes memory.high", **OOM, boundary="node"),
        seen("CPU starved", **OOM),
    ],
)
def test_what_is_no_reason_excuses_nothing(given: Seen) -> None:
    assert [one for one in broken(given) if "OOM killer" in one]
    assert excused(given) == []
