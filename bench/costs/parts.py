"""The pieces in which it is measured, each kept when it is done: a bench that is interrupted goes on."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
from bench.costs import cluster, machine
from bench.kernel.runs import FOLDER, ROOT, commit, minute

KEPT = FOLDER / "costs"
#: What figures depend on, and what they are measured with: the guard's, and those of the cluster's programs.
OF_THE_GUARD = (
    "operator/memguard/core", "operator/memguard/kernel", "operator/memguard/guard", "tests/kernel/inside",
    "tests/machine/guest", "bench/costs/machine.py",
)  # fmt: skip
PROGRAMS = {"pass": "bench/kernel/scan.c", "kill": "bench/costs/allocations.c"}
OF_THE_CLUSTER = ("operator/memguard", "bench/costs/cluster.py")
COUNTS, QUICK_COUNTS = (10, 50, 110, 250, 500, 1000), (10, 250)
SOME_COUNTS = (10, 250, 1000)
HOURS = 24.0
ROUNDS, QUICK_ROUNDS = 5, 2
PODS, NODES = (10, 110, 250), (10, 500)

Content = dict[str, Any]


def _pass(*, quick: bool) -> Content:
    return {"passes": machine.passes(QUICK_COUNTS if quick else COUNTS)}


def _idle(*, quick: bool) -> Content:
    """Quickly only where the peers are nearest: on the race's small node, where all look often."""
    if quick:
        return {"idle": machine.idle(machine.RACE_MB, QUICK_COUNTS, ("memguard", "nohang"))}
    guards = ("memguard", *machine.PEERS)
    large = machine.idle(machine.LARGE_MB, SOME_COUNTS, guards)
    return {"idle": [*large, *machine.idle(machine.RACE_MB, QUICK_COUNTS, guards)]}


def _day(**_: bool) -> Content:
    began = time.monotonic()
    return {"day": machine.day(HOURS, lambda: round(time.monotonic() - began))}


def _kill(*, quick: bool) -> Content:
    counts, rounds = (QUICK_COUNTS, QUICK_ROUNDS) if quick else (SOME_COUNTS, ROUNDS)
    deeds, starts = machine.kills(counts, rounds)
    return {"deeds": deeds, "starts": starts}


def _agent(**_: bool) -> Content:
    return {"agents": cluster.agents(PODS)}


def _operator(**_: bool) -> Content:
    return {"operators": [cluster.operator(count) for count in NODES]}


#: The longest first.
PARTS: dict[str, Callable[..., Content]] = {
    "day": _day, "pass": _pass, "idle": _idle, "kill": _kill, "agent": _agent, "operator": _operator,
}  # fmt: skip
REAL = ("agent", "operator")
QUICK = ("pass", "idle", "kill")


def measure(names: list[str], *, quick: bool, resume: bool, jobs: int, say: Callable[[str], None]) -> None:
    """Measure these parts, `jobs` machines at a time; with `resume` only those that were not measured of this code.

    Virtual time does not mind a neighbour. What is measured in real time comes last, by itself.
    """
    waiting = [name for name in names if not (resume and _is_current(name, _path(name, quick=quick)))]
    virtual = [name for name in waiting if name not in REAL]
    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(lambda name: _measure(name, quick=quick, say=say), virtual))
    for name in waiting:
        if name in REAL:
            _measure(name, quick=quick, say=say)


def _is_current(name: str, path: Path) -> bool:
    return path.exists() and json.loads(path.read_text())["code"] == fingerprint(_measured(name))


def _measured(name: str) -> tuple[str, ...]:
    if name in REAL:
        return OF_THE_CLUSTER
    return (*OF_THE_GUARD, PROGRAMS[name]) if name in PROGRAMS else OF_THE_GUARD


def _measure(name: str, *, quick: bool, say: Callable[[str], None]) -> None:
    say(f"measuring: {name}")
    began = time.monotonic()
    content = PARTS[name](quick=quick)
    kept = {
        "code": fingerprint(_measured(name)),
        "commit": commit(measured=_measured(name)),
        "at": minute(),
        "wallSeconds": round(time.monotonic() - began),
        "content": content,
    }
    path = _path(name, quick=quick)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(kept)))


def kept(*, quick: bool) -> dict[str, Any]:
    """All parts that were measured: their content, and for each the commit, the time and how long it took."""
    found = {name: json.loads(path.read_text()) for name in PARTS if (path := _path(name, quick=quick)).exists()}
    content: Content = {}
    for part in found.values():
        content |= part["content"]
    return {
        "measured": {name: {key: part[key] for key in ("commit", "at", "wallSeconds")} for name, part in found.items()},
        "figures": content,
    }


def _path(name: str, *, quick: bool) -> Path:
    return KEPT / f"{name}{'-quick' if quick else ''}.json"


def fingerprint(places: Iterable[str], root: Path = ROOT) -> str:
    """A digest of the code in these directories and files."""
    digest = hashlib.sha256()
    for path in (path for place in places for path in _sources(root / place)):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def _sources(place: Path) -> list[Path]:
    return sorted(place.rglob("*.py")) if place.is_dir() else [place]
