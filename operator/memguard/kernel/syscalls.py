"""System calls that Python does not wrap: process_mrelease, mlockall, inotify, statfs, openat2, seccomp, landlock.

pidfd_open and pidfd_send_signal are in os and signal. Every function here raises OSError with the errno.
"""

from __future__ import annotations

import ctypes
import os
from typing import Final

# Linux 5.15; one number on every architecture (asm-generic and x86 alike).
_NR_PROCESS_MRELEASE: Final = 448
_NR_OPENAT2: Final = 437
# Linux 5.13.
_NR_LANDLOCK_CREATE_RULESET: Final = 444
_NR_LANDLOCK_RESTRICT_SELF: Final = 446

RESOLVE_NO_MAGICLINKS: Final = 0x02
RESOLVE_NO_SYMLINKS: Final = 0x04
RESOLVE_IN_ROOT: Final = 0x10

MCL_CURRENT: Final = 1
MCL_FUTURE: Final = 2
MCL_ONFAULT: Final = 4

IN_CLOSE_WRITE: Final = 0x08
IN_MOVED_FROM: Final = 0x40
IN_MOVED_TO: Final = 0x80
IN_CREATE: Final = 0x100
IN_DELETE: Final = 0x200
IN_Q_OVERFLOW: Final = 0x4000
IN_IGNORED: Final = 0x8000
IN_ONLYDIR: Final = 0x01000000
IN_ISDIR: Final = 0x40000000

_PR_SET_SECCOMP: Final = 22
_PR_SET_NO_NEW_PRIVS: Final = 38
_SECCOMP_MODE_FILTER: Final = 2

_STATFS_BYTES: Final = 256

_libc: Final = ctypes.CDLL(None, use_errno=True)


def process_mrelease(pidfd: int) -> None:
    """Free the memory of a process that is dying already (process_mrelease(2)), here and now.

    EINVAL: not every user of the memory is dying. EAGAIN: part of it was freed. ESRCH: nothing is left.
    """
    _checked(_libc.syscall(_NR_PROCESS_MRELEASE, pidfd, 0))


def mlockall(flags: int) -> None:
    """Lock all of this process's memory (mlockall(2))."""
    _checked(_libc.mlockall(flags))


def inotify_init() -> int:
    """A non-blocking inotify descriptor."""
    return _checked(_libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))


def inotify_add_watch(fd: int, path: str, mask: int) -> int:
    """Watch `path`; the watch descriptor. ENOSPC: fs.inotify.max_user_watches is used up."""
    return _checked(_libc.inotify_add_watch(fd, os.fsencode(path), ctypes.c_uint32(mask)))


def inotify_rm_watch(fd: int, watch: int) -> None:
    """Watch it no longer. EINVAL: the kernel has dropped that watch itself."""
    _checked(_libc.inotify_rm_watch(fd, watch))


def statfs_magic(path: str) -> int:
    """The file system's type (statfs(2) f_type), its first word on every 64-bit architecture."""
    buffer = ctypes.create_string_buffer(_STATFS_BYTES)
    _checked(_libc.statfs(os.fsencode(path), buffer))
    return ctypes.c_long.from_buffer(buffer).value & 0xFFFFFFFF


def openat2(dir_fd: int, path: str, flags: int, resolve: int) -> int:
    """open(2) relative to `dir_fd` under the given rules of path resolution (openat2(2), Linux 5.6)."""
    how = (ctypes.c_uint64 * 3)(flags | os.O_CLOEXEC, 0, resolve)
    return _checked(_libc.syscall(_NR_OPENAT2, dir_fd, os.fsencode(path), how, ctypes.sizeof(how)))


class _Program(ctypes.Structure):
    """struct sock_fprog (linux/filter.h)."""

    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))


def set_seccomp_filter(program: list[int]) -> None:
    """This thread's system calls pass through this program from now on (seccomp(2)), and it gains no privileges."""
    instructions = (ctypes.c_uint64 * len(program))(*program)
    _checked(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    wanted = _Program(len(program), ctypes.addressof(instructions))
    _checked(_libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(wanted), 0, 0))


def enter_landlock_domain(forbidden: int) -> None:
    """This thread and its children may not do these things to files from now on (landlock_restrict_self(2)).

    ENOSYS, EOPNOTSUPP: this kernel has no Landlock, or it is not among its LSMs.
    """
    attributes = ctypes.c_uint64(forbidden)  # struct landlock_ruleset_attr in its first form
    ruleset = _checked(_libc.syscall(_NR_LANDLOCK_CREATE_RULESET, ctypes.byref(attributes), 8, 0))
    try:
        _checked(_libc.syscall(_NR_LANDLOCK_RESTRICT_SELF, ruleset, 0))
    finally:
        os.close(ruleset)


def _checked(result: int) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result
