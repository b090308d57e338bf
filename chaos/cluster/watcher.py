"""Runs on the node while a run lasts: how long what a dead guard left was there.

It is sent there as text and run by the node's own Python, until a file appears, and prints one JSON object. Standard
library only.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TOP = Path("/sys/fs/cgroup/kubepods.slice")
LOOK_SECONDS = 0.05
#: What somebody else writes into memory.high.
FOREIGN = frozenset(sys.argv[3:])


def watch(over: Path, seconds: float) -> dict[str, Any]:
    """`leftSeconds`: of each death of a guard, until nothing of it was left or there was another."""
    until, left, guard = time.monotonic() + seconds, [], find_guard()
    while time.monotonic() < until and not over.exists():
        if guard is not None and alive(guard):
            time.sleep(LOOK_SECONDS)
            continue
        if guard is not None:
            left.append(until_nothing_is_left())
        time.sleep(LOOK_SECONDS)
        guard = find_guard()
    return {"leftSeconds": left}


def until_nothing_is_left() -> float:
    began = time.monotonic()
    while any(ours()) and find_guard() is None:
        time.sleep(LOOK_SECONDS)
    return time.monotonic() - began


def ours() -> Iterator[str]:
    """What has a line that is not somebody else's, or stands still."""
    for name, calm in (("memory.high", {"max", *FOREIGN}), ("cgroup.freeze", {"0"})):
        for file in TOP.rglob(name):
            if text(file).strip() not in {"", *calm}:
                yield str(file)


def find_guard() -> int | None:
    for process in Path("/proc").iterdir():
        if process.name.isdecimal() and "memguard\0guard\0--socket" in text(process / "cmdline"):
            return int(process.name)
    return None


def alive(pid: int) -> bool:
    """One that waits to be reaped is dead."""
    return text(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()[:1] not in ([], ["Z"], ["X"])


def text(path: Path) -> str:
    """Nothing of what is gone."""
    try:
        return path.read_text()
    except OSError:
        return ""


if __name__ == "__main__":
    json.dump(watch(Path(sys.argv[1]), float(sys.argv[2])), sys.stdout)
