"""The pieces in which it is measured, each kept when it is done: a bench that is interrupted goes on."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from bench.costs import cluster, machine
from bench.kernel.runs import FOLDER, ROOT, commit

KEPT = FOLDER / "costs"
#: What the figures depend on, and what they are measured with.
MEASURED = ("operator/memguard", "tests/kernel/inside", "tests/machine/guest", "bench/costs")
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


def _cluster(**_: bool) -> Content:
    return {"processes": cluster.processes(PODS, NODES)}


PARTS: dict[str, Callable[..., Content]] = {
    "pass": _pass, "idle": _idle, "kill": _kill, "day": _day, "cluster": _cluster,
}  # fmt: skip
QUICK = ("pass", "idle", "kill")


def measure(names: list[str], *, quick: bool, resume: bool, say: Callable[[str], None]) -> None:
    """Measure these parts; with `resume` only those that were not measured of this code."""
    code = fingerprint()
    for name in names:
        path = _path(name, quick=quick)
        if resume and path.exists() and json.loads(path.read_text())["code"] == code:
            continue
        say(f"measuring: {name}")
        began = time.monotonic()
        content = PARTS[name](quick=quick)
        kept = {
            "code": code,
            "commit": commit(measured=MEASURED),
            "at": f"{datetime.now(UTC):%Y-%m-%dT%H:%MZ}",
            "wallSeconds": round(time.monotonic() - began),
            "content": content,
        }
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


def fingerprint(root: Path = ROOT) -> str:
    """A digest of what the figures depend on."""
    digest = hashlib.sha256()
    for place in MEASURED:
        for path in sorted((root / place).rglob("*.[pc]*")):
            if path.suffix in {".py", ".c"}:
                digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]
