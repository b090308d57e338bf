"""One process, from the files of /proc/PID that never wait for it (Documentation/filesystems/proc.rst).

Never cmdline, smaps or maps: those take the mmap_lock, which a stalled process may hold for as long as it likes.
"""

from __future__ import annotations

import os
import re
from typing import Final, Literal

import msgspec

from memguard.errors import KernelFileError
from memguard.kernel.files import Directory, read_once
from memguard.kernel.parse import kib

_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_STATUS_LINES: Final = (b"\nRssAnon:", b"\nRssFile:", b"\nRssShmem:", b"\nVmSwap:", b"\nVmPTE:")
_NSPID: Final = re.compile(rb"^NSpid:([\t 0-9]*)$", re.MULTILINE)
# Fields of stat behind the command, counted from 0 (proc_pid_stat(5) numbers the first of them, state, 3).
_PPID, _NICE, _THREADS, _START, _VSIZE, _RSS = 1, 16, 17, 19, 20, 21

State = Literal["R", "S", "D", "T", "t", "Z", "X", "I"]


class Process(msgspec.Struct, frozen=True, gc=False):
    """/proc/PID/stat with oom_score_adj. `rss_bytes` is approximate by up to 64 pages a CPU, as the kernel keeps it."""

    pid: int
    name: str
    state: str
    parent: int
    nice: int
    threads: int
    started_seconds: float
    virtual_bytes: int
    rss_bytes: int
    oom_score_adj: int | None = None


class Usage(msgspec.Struct, frozen=True, gc=False):
    """/proc/PID/statm."""

    virtual_bytes: int
    rss_bytes: int
    shared_bytes: int


class Status(msgspec.Struct, frozen=True, gc=False):
    """/proc/PID/status: what stat does not tell; None for a kernel thread."""

    anon_bytes: int | None
    file_bytes: int | None
    shmem_bytes: int | None
    swap_bytes: int | None
    page_tables_bytes: int | None


def process(pid: int, proc: str = "/proc") -> Process | None:
    """What one process is and holds; None when it is gone. `started_seconds` counts from boot."""
    directory = Directory(f"{proc}/{pid}")
    try:
        data = read_once("stat", directory)
        if not data:
            return None
        return parse_stat(data, f"{directory.path}/stat", _oom_score_adj(directory))
    finally:
        directory.close()


def parse_stat(data: bytes, source: str, oom_score_adj: int | None = None) -> Process:
    """The content of a stat file. Raises KernelFileError."""
    # The command may hold blanks, parentheses and newlines: it ends at the last parenthesis.
    head, _, tail = data.rpartition(b")")
    pid, _, name = head.partition(b" (")
    fields = tail.split()
    try:
        return Process(
            pid=int(pid),
            name=name.decode("utf-8", "replace"),
            state=fields[0].decode("ascii", "replace"),
            parent=int(fields[_PPID]),
            nice=int(fields[_NICE]),
            threads=int(fields[_THREADS]),
            started_seconds=int(fields[_START]) / _TICKS,
            virtual_bytes=int(fields[_VSIZE]),
            rss_bytes=int(fields[_RSS]) * _PAGE_BYTES,
            oom_score_adj=oom_score_adj,
        )
    except (ValueError, IndexError, OverflowError):
        raise KernelFileError(source, "not `pid (name) state ...`", line=1) from None


def usage(pid: int, proc: str = "/proc") -> Usage | None:
    """How much one process holds; None when it is gone."""
    source = f"{proc}/{pid}/statm"
    data = read_once(source)
    if not data:
        return None
    try:
        virtual, resident, shared = (int(part) * _PAGE_BYTES for part in data.split()[:3])
    except ValueError:
        raise KernelFileError(source, "not `size resident shared ...`", line=1) from None
    return Usage(virtual, resident, shared)


def status(pid: int, proc: str = "/proc") -> Status | None:
    """What kinds of memory one process holds; None when it is gone."""
    source = f"{proc}/{pid}/status"
    data = read_once(source)
    if not data:
        return None
    text = b"\n" + data
    return Status(*(kib(text, line, source) for line in _STATUS_LINES))


def in_container(pid: int, proc: str = "/proc") -> bool:
    """Has it a pid namespace below the one of `proc`? A name of 15 bytes is anybody's to take, this is not."""
    found = _NSPID.search(read_once(f"{proc}/{pid}/status") or b"")
    return found is not None and len(found[1].split()) > 1


def oom_score_adj(pid: int, proc: str = "/proc") -> int | None:
    """The kernel's bias for it, -1000..1000; None when it is gone."""
    directory = Directory(f"{proc}/{pid}")
    try:
        return _oom_score_adj(directory)
    finally:
        directory.close()


def _oom_score_adj(directory: Directory) -> int | None:
    data = read_once("oom_score_adj", directory)
    if not data:
        return None
    try:
        return int(data)
    except ValueError:
        raise KernelFileError(f"{directory.path}/oom_score_adj", "not a number", line=1) from None
