"""The guard's costs, measured in the virtual machine in virtual time: the same on every host, to 0.1 %."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from bench.costs.figures import Day, Deed, Figure, Idle, Pass, Start
from bench.kernel.scan import compiled
from tests.kernel.boots import Boot
from tests.machine.machine import MachineError

T = TypeVar("T", bound=Figure)

#: Where headroom makes no difference: from 6.5 GB on a guard at rest looks twice a second, and a peer as rarely as it
#: ever does. The race's node is the other extreme.
LARGE_MB, RACE_MB = 8192, 1024
#: 1,000 containers with a little memory each, and with one process each beside a hog that fills the rest.
PASS_MB, KILL_MB = 4096, 2560
#: For a busy host.
PATIENCE_SECONDS = 3600.0
#: On the guest's clock: a day and a bit.
LONGEST_SECONDS = 100_000.0

PEERS = ("nohang", "earlyoom", "systemd-oomd", "oomd")


def passes(counts: tuple[int, ...]) -> list[Pass]:
    """The full pass at each of these numbers of containers."""
    [told] = _told(PASS_MB, f"scoring {_list(counts)}")
    return msgspec.convert(told, list[Pass])


def idle(memory_mb: int, counts: tuple[int, ...], guards: tuple[str, ...]) -> list[Idle]:
    """A quiet minute of each guard."""
    [told] = _told(memory_mb, f"idle {_list(counts)} {' '.join(guards)}")
    return msgspec.convert(told, list[Idle])


def day(hours: float, wall: Any) -> Day:
    """So many calm hours; `wall` says how many real seconds went by."""
    [told] = _told(LARGE_MB, f"day {hours:g}")
    for what in ("held", "noise", "decisions"):
        if told[what]:
            raise MachineError(f"a calm day had {what}: {told[what]}")
    return msgspec.convert({**told, "wallSeconds": wall()}, Day)


def kills(counts: tuple[int, ...], rounds: int) -> tuple[list[Deed], list[Start]]:
    """What a kill takes, and a start, both beside so many containers."""
    weighed, started = _told(KILL_MB, f"incident weighed {_list(counts)}", f"start {_list(counts)} {rounds}")
    return [_deed(one) for one in weighed], msgspec.convert(started, list[Start])


def _deed(told: dict[str, Any]) -> Deed:
    if not (told["gone"] and told["timings"]):
        raise MachineError(f"beside {told['containers']} containers the hog was not killed")
    first = told["timings"][0]
    return msgspec.convert({**first, "containers": told["containers"], "seconds": first["acted"]}, Deed, strict=False)


def _told(memory_mb: int, *scenarios: str) -> list[Any]:
    """What each scenario answered. Raises MachineError with the traceback of one that failed."""
    result = Boot(
        scenarios=scenarios,
        scenario_seconds=LONGEST_SECONDS,
        files=(("allocations.so", allocations()),),
        memory_mb=memory_mb,
        seconds=PATIENCE_SECONDS,
    ).run()
    for command in result.commands():
        if command.exit_code != 0:
            raise MachineError(f"scenario {command.name}: {command.stderr.strip()[-2000:]}")
    return [json.loads(command.stdout) for command in result.commands()]


def allocations() -> Path:
    return compiled(Path(__file__).with_name("allocations.c"), "-shared", "-fPIC", "-nostdlib")


def _list(counts: tuple[int, ...]) -> str:
    return ",".join(map(str, counts))
