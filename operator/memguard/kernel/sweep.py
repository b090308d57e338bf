"""Undoing what a dead guard left: every line and freeze that is recorded, and every cgroup that carries our mark."""

from __future__ import annotations

import os
from collections.abc import Iterator

import msgspec

from memguard.kernel.brake import put_high
from memguard.kernel.cgroup import Cgroup
from memguard.kernel.files import Directory
from memguard.kernel.freeze import put_freeze
from memguard.kernel.members import nested_paths
from memguard.kernel.outcome import VANISHED, Outcome
from memguard.kernel.record import RUN_DIR, XATTRS, Hold, Records, decode, remove_mark


class Swept(msgspec.Struct, frozen=True):
    """What a sweep did: counts, and the reasons of what could not be undone (those stay recorded)."""

    lifted: int = 0
    thawed: int = 0
    foreign: int = 0
    vanished: int = 0
    problems: tuple[str, ...] = ()


def sweep(root: str, records: Records) -> Swept:
    """Restore all that `records` and the marks below `root` name. The caller owns `records`: no guard is alive.

    Lines first, so that nothing is thawed under a brake without a driver.
    """
    results: list[tuple[Hold, Outcome]] = []
    for slot, hold in sorted(records.holds(), key=lambda found: found[1].kind == "freeze"):
        outcome = restore(root, hold)
        if outcome.verdict != "refused":
            records.blank(slot)
        results.append((hold, outcome))
    results += [(hold, restore(root, hold)) for hold in marked(root)]
    return _summary(results)


def janitor(root: str, run_dir: str = RUN_DIR) -> Swept:
    """Sleep until the guard that owns `run_dir` is dead, then sweep. Never in the guard's own process."""
    records = Records(run_dir)
    try:
        records.await_owner()
        return sweep(root, records)
    finally:
        records.close()


def restore(root: str, hold: Hold) -> Outcome:
    """Undo one hold, if its cgroup is still the same one and still holds what we wrote."""
    cgroup = Cgroup(hold.path, root)
    try:
        if cgroup.inode != hold.inode:
            return VANISHED
        outcome = _lift(cgroup, hold) if hold.kind == "line" else _thaw(cgroup, hold)
        if outcome.verdict != "refused":
            remove_mark(cgroup, hold.kind)
        return outcome
    finally:
        cgroup.close()


def marked(root: str) -> Iterator[Hold]:
    """Every hold that a cgroup below `root` is marked with, lines first."""
    top = Directory(root)
    try:
        paths = list(nested_paths(top.fd)) if top.fd >= 0 else []
    finally:
        top.close()
    for name in XATTRS.values():
        for path in paths:
            hold = _mark(root, path, name)
            if hold is not None:
                yield hold


def _mark(root: str, path: str, name: str) -> Hold | None:
    try:
        return decode(os.getxattr(f"{root}/{path}", name), path)
    except OSError:
        return None  # not marked, gone, or a kernel without user xattrs on cgroups


def _lift(cgroup: Cgroup, hold: Hold) -> Outcome:
    high = cgroup.high()
    if high is None:
        return VANISHED
    if high == hold.found:
        return Outcome("unchanged", value_bytes=high)
    if high not in (hold.written, hold.before):
        return Outcome("foreign", "memory.high was changed by somebody else", high)
    return put_high(cgroup, hold.found)


def _thaw(cgroup: Cgroup, hold: Hold) -> Outcome:
    if cgroup.freeze_requested() is not True or hold.found:
        return Outcome("unchanged")
    return put_freeze(cgroup, frozen=False)


def _summary(results: list[tuple[Hold, Outcome]]) -> Swept:
    def count(kind: str, verdict: str) -> int:
        return sum(hold.kind == kind and outcome.verdict == verdict for hold, outcome in results)

    return Swept(
        lifted=count("line", "done"),
        thawed=count("freeze", "done"),
        foreign=count("line", "foreign"),
        vanished=count("line", "vanished") + count("freeze", "vanished"),
        problems=tuple(outcome.detail for _, outcome in results if outcome.verdict == "refused"),
    )
