"""Telling a container that memory is short, so that it can shrink by itself.

Beside a signal (see signals): a file in its own file system, reached through /proc/PID/root, which needs CAP_SYS_PTRACE
(standalone mode; beside an agent the guard gives it up, see seclusion) and is written with care:

- the directory is resolved inside the container's root, through no symbolic link at all (openat2);
- the file's name is fixed, so that no other file can be overwritten, whoever chose the directory;
- it must be a regular file with one name: a planted link, hard link, fifo or device is refused;
- it may block all the same (a hung network volume): only from a helper, never from the guard's own loop.
"""

from __future__ import annotations

import os
import stat
from typing import Final

from memguard.kernel.files import VANISHED_ERRNOS
from memguard.kernel.outcome import VANISHED, Outcome
from memguard.kernel.syscalls import RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS, openat2

NOTICE_NAME: Final = "memguard.notice"
# One page: a notice is a line of JSON.
_LONGEST_BYTES: Final = 4096
_RESOLVE: Final = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS


def notify_file(pid: int, directory: str, text: bytes, proc: str = "/proc") -> Outcome:
    """Write `text` into NOTICE_NAME in a directory of the file system that process `pid` sees."""
    try:
        root = os.open(f"{proc}/{pid}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        return _failed(error, "the container's file system")
    try:
        folder = openat2(root, directory, os.O_RDONLY | os.O_DIRECTORY, _RESOLVE)
    except OSError as error:
        return _failed(error, directory, vanished=False)
    finally:
        os.close(root)
    try:
        return _write(folder, directory, text[:_LONGEST_BYTES])
    finally:
        os.close(folder)


def _write(folder: int, directory: str, text: bytes) -> Outcome:
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        fd = os.open(NOTICE_NAME, flags, 0o644, dir_fd=folder)
    except OSError as error:
        return _failed(error, f"{directory}/{NOTICE_NAME}", vanished=False)
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
            return Outcome("refused", f"{directory}/{NOTICE_NAME} is not a plain file of its own")
        os.ftruncate(fd, 0)
        os.write(fd, text)
    except OSError as error:
        return _failed(error, f"{directory}/{NOTICE_NAME}", vanished=False)
    finally:
        os.close(fd)
    return Outcome("done")


def _failed(error: OSError, what: str, *, vanished: bool = True) -> Outcome:
    if vanished and error.errno in VANISHED_ERRNOS:
        return VANISHED
    if isinstance(error, PermissionError):
        return Outcome("refused", f"{what}: {error.strerror}. CAP_SYS_PTRACE is needed; a notifySignal needs none")
    return Outcome("refused", f"{what}: {error.strerror}")
