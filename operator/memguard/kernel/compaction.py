"""Compaction must leave the guard's locked pages where they are.

mlock keeps pages in memory, not in their place: compaction, which every fault for a huge page may run, moves them, and
who touches one meanwhile waits until it is moved. The mover may stand at the end of a long queue: beside 50 processes
that fill with huge pages a real-time guard stood still for up to 1.7 s (docs/braking.md). The sysctl
vm.compact_unevictable_allowed is made against this, and is 0 on real-time kernels. It belongs to the whole machine:
what was found is noted in the run directory before it is set, and put back at the end, or by whoever sweeps after our
death.

Standard library alone, like `sweep`.
"""

from __future__ import annotations

import os

KNOB = "vm/compact_unevictable_allowed"
_NOTE = "compaction"


def forbid_moves(sysctl_root: str, run_dir: str) -> None:
    """No locked page is moved from now on. On a kernel without compaction there is nothing to do.

    `run_dir` is that of our `Records`, where a sweep looks. Raises OSError where it may not be set.
    """
    knob = f"{sysctl_root}/{KNOB}"
    found = _read(knob)
    if found in (None, "0"):
        return
    try:
        _write(f"{run_dir}/{_NOTE}", f"{found} {knob}", os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW)
        _write(knob, "0")
    except OSError:
        allow_moves(run_dir)
        raise


def allow_moves(run_dir: str) -> str:
    """Put back what `forbid_moves` found, whoever called it; why not, or "". A value that somebody else set stays."""
    note = f"{run_dir}/{_NOTE}"
    try:
        noted = _read(note)
        if noted is None:
            return ""
        found, _, knob = noted.partition(" ")
        if knob and _read(knob) == "0":
            _write(knob, found)
        os.unlink(note)
    except OSError as error:
        return f"{KNOB} could not be put back: {os.strerror(error.errno or 0)}"
    return ""


def _read(path: str) -> str | None:
    """A file's text; None when there is none."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        return os.read(fd, 4096).decode().strip()
    finally:
        os.close(fd)


def _write(path: str, text: str, flags: int = 0) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC | flags, 0o600)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)
