"""Undoing what a dead guard left: every line and freeze that is recorded, every cgroup that carries our mark, and the
sysctl that kept its pages in place.

Standard library alone, and no kept-open files: the janitor is a process of its own that is forked before anything else
is imported, so that it costs 3 MiB and not the guard's memory a second time.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from typing import Literal, NamedTuple

from memguard.kernel.compaction import allow_moves
from memguard.kernel.files import UNLIMITED
from memguard.kernel.members import nested_paths
from memguard.kernel.record import RUN_DIR, XATTRS, Hold, Records, decode

Verdict = Literal["done", "unchanged", "foreign", "vanished", "refused"]
_VANISHED = frozenset({errno.ENOENT, errno.ENODEV, errno.ENOTDIR})


class Swept(NamedTuple):
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
    results: list[tuple[Hold, Verdict]] = []
    for slot, hold in sorted(records.holds(), key=lambda found: found[1].kind == "freeze"):
        verdict = restore(root, hold)
        if verdict != "refused":
            records.blank(slot)
        results.append((hold, verdict))
    results += [(hold, restore(root, hold)) for hold in marked(root)]
    swept, unmoved = _summary(results), allow_moves(records.directory)
    return swept._replace(problems=(*swept.problems, unmoved)) if unmoved else swept


def janitor(root: str, run_dir: str = RUN_DIR) -> Swept:
    """Sleep until the guard that owns `run_dir` is dead, then sweep. Never in the guard's own process."""
    records = Records(run_dir)
    try:
        records.await_owner()
        return sweep(root, records)
    finally:
        records.close()


def restore(root: str, hold: Hold) -> Verdict:
    """Undo one hold, if its cgroup is still the same one and still holds what we wrote."""
    try:
        directory = os.open(f"{root}/{hold.path}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        # Out of descriptors is no sign that it is gone: the record must stay.
        return "vanished" if error.errno in _VANISHED else "refused"
    try:
        if os.fstat(directory).st_ino != hold.inode:
            return "vanished"
        verdict = _lift(directory, hold) if hold.kind == "line" else _thaw(directory, hold)
        if verdict != "refused":
            _remove_mark(directory, hold)
    except OSError as error:
        return "vanished" if error.errno in _VANISHED else "refused"
    else:
        return verdict
    finally:
        os.close(directory)


def marked(root: str) -> Iterator[Hold]:
    """Every hold that a cgroup below `root` is marked with, lines first."""
    try:
        top = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return
    try:
        paths = list(nested_paths(top))
    finally:
        os.close(top)
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


def _remove_mark(directory: int, hold: Hold) -> None:
    try:
        os.removexattr(directory, XATTRS[hold.kind])
    except OSError:
        return  # it was never there, or this kernel has none


def _lift(directory: int, hold: Hold) -> Verdict:
    high = _read(directory, "memory.high")
    if high == _limit(hold.found):
        return "unchanged"
    if high not in (_limit(hold.written), _limit(hold.before)):
        return "foreign"
    _write(directory, "memory.high", _limit(hold.found))
    return "done"


def _thaw(directory: int, hold: Hold) -> Verdict:
    if _read(directory, "cgroup.freeze") != b"1" or hold.found:
        return "unchanged"
    _write(directory, "cgroup.freeze", b"0")
    return "done"


def _limit(value: int) -> bytes:
    """As the kernel writes it: what is not a limit reads as "max"."""
    return b"max" if value >= UNLIMITED else b"%d" % value


def _read(directory: int, name: str) -> bytes:
    fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=directory)
    try:
        return os.read(fd, 64).strip()
    finally:
        os.close(fd)


def _write(directory: int, name: str, value: bytes) -> None:
    # Non-blocking: a limit found below the present use must not make the janitor reclaim (about 6.16).
    fd = os.open(name, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory)
    try:
        # Blanks are stripped by the kernel; they make a shorter value cover a longer one in a plain file, too.
        os.write(fd, value.ljust(20) + b"\n")
    finally:
        os.close(fd)


def _summary(results: list[tuple[Hold, Verdict]]) -> Swept:
    def count(kind: str, verdict: str) -> int:
        return sum(hold.kind == kind and found == verdict for hold, found in results)

    return Swept(
        lifted=count("line", "done"),
        thawed=count("freeze", "done"),
        foreign=count("line", "foreign"),
        vanished=count("line", "vanished") + count("freeze", "vanished"),
        problems=tuple(f"{hold.path}: the {hold.kind} could not be undone" for hold, v in results if v == "refused"),
    )
