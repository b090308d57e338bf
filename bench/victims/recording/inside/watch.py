"""Snapshots one after the other, with what peers read beside each, until it is enough.

`python3 -m recorder.watch INTERVAL SECONDS` does so on a node of a cluster, until its memory is exhausted or the time
is over, and prints the answer.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from guest import cgroups, node
from recorder.beside import Beside

from memguard.cli.beats import beats
from memguard.cli.machine import Machine
from memguard.core.footprint import unreclaimable
from memguard.core.model import Snapshot
from memguard.core.trace import Reading, encode_line
from memguard.guard.config import Config
from memguard.kernel.selfguard import lock_memory

ROOT = Path(os.environ.get("MG_CGROUP", "/sys/fs/cgroup"))
#: As danger.py has it for simulated machines.
EXHAUSTED, SWAP_GONE = 0.01, 0.02

Answer = dict[str, Any]


def watch(interval: float, seconds: float, domain: str, go_on: Callable[[float], None] = lambda _: None) -> Answer:
    """The lines, what stands beside them, and whether the domain was exhausted in the end; `go_on` at each beat."""
    kills, began = node.vmstat()["oom_kill"], time.monotonic()
    beside, lines, over = Beside(ROOT), [], False
    with Machine(Config()) as machine:
        for _ in beats(interval, None, seconds):
            go_on(time.monotonic() - began)
            snapshot = machine.snapshot()
            beside.read(snapshot)
            lines.append(encode_line(Reading(snapshot=snapshot)).decode())
            over = exhausted(snapshot, domain) or node.vmstat()["oom_kill"] > kills
            if over:
                break
    return {"lines": lines, "beside": beside.rows, "exhausted": over, "kills": kills}


def exhausted(snapshot: Snapshot, domain: str) -> bool:
    """Less than 1 % left of what breaks, and no swap."""
    memory = snapshot.node.memory
    if (memory.swap_free_bytes or 0) > SWAP_GONE * (memory.swap_total_bytes or 0):
        return False
    if domain == "node":
        return memory.available_bytes < EXHAUSTED * memory.total_bytes
    kind, _, name = domain.partition("/")
    if kind == "container":
        found = next((c for c in snapshot.containers if c.id == name), None)
        return found is not None and _gone(found.limit_bytes, unreclaimable(found.memory))
    path = name or "kubepods.slice"
    return any(_gone(c.max_bytes, c.unreclaimable_bytes or 0) for c in snapshot.cgroups if c.path == path)


def _gone(limit: int | None, used: int) -> bool:
    return limit is not None and limit - used < EXHAUSTED * limit


def main(interval: float, seconds: float) -> None:
    """On a node; the kernel is given a moment to kill somebody, who is named by his cgroup."""
    lock_memory()
    before = _killed()
    found = watch(interval, seconds, "node")
    if found["exhausted"]:
        node.wait_for(lambda: node.vmstat()["oom_kill"] > found["kills"], 10, 0.2)
    print(json.dumps(found | {"killed": sorted(_killed() - before)}))


def _killed() -> set[str]:
    """The containers that the kernel has taken somebody from."""
    found = (ROOT / "kubepods.slice").rglob("memory.events")
    return {str(path.parent.relative_to(ROOT)) for path in found if cgroups.keyed(path).get("oom_kill", 0)}


if __name__ == "__main__":
    main(float(sys.argv[1]), float(sys.argv[2]))
