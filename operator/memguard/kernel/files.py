"""Kernel files held open: pread on the hot path, a vanished file as a normal value, numbers cut out of bytes.

Opening costs 7-9 us, a pread of an open file 1-6 us (measured); and a descriptor that was opened relative to a
held directory can never come to mean a directory that was created anew under the same name.
"""

from __future__ import annotations

import errno
import os
import sys
from typing import Final, Literal

from memguard.errors import KernelFileError, UnfitError

UNLIMITED: Final = sys.maxsize
"""What the kernel writes as "max": larger than any size, so that comparisons and differences just work."""

Absence = Literal["missing", "vanished", "unsupported", "denied"]
"""Why a read gave None: no such file, its object is gone, switched off in this kernel, or not ours to read."""

_ABSENCES: Final[dict[int, Absence]] = {
    errno.ENOENT: "missing",
    errno.ENOTDIR: "missing",
    errno.ENAMETOOLONG: "missing",
    errno.ENODEV: "vanished",
    errno.ESRCH: "vanished",
    errno.EOPNOTSUPP: "unsupported",
    errno.ENOSYS: "unsupported",
    errno.EACCES: "denied",
    errno.EPERM: "denied",
    errno.EROFS: "denied",
}
VANISHED_ERRNOS: Final = frozenset({errno.ENOENT, errno.ENODEV, errno.ESRCH, errno.ENOTDIR})
OUT_OF_DESCRIPTORS: Final = frozenset({errno.EMFILE, errno.ENFILE})

_READ_BYTES: Final = 8192
# A seq file stops at the last record that fits into its first page (/proc/vmstat, cgroup.procs): what comes near a
# page may have more. memory.stat of kernel 6.12 has 1.6 KB and stays one read.
_COMPLETE_BELOW_BYTES: Final = 3072


class Directory:
    """A directory held open; `fd` is -1 when it did not exist."""

    __slots__ = ("fd", "path")

    def __init__(self, path: str) -> None:
        self.path = path
        self.fd = open_fd(path, os.O_RDONLY | os.O_DIRECTORY)

    @property
    def inode(self) -> int | None:
        """Its inode: with the path, the identity of a cgroup. None when it never existed."""
        return None if self.fd < 0 else os.fstat(self.fd).st_ino

    def alive(self) -> bool:
        """Does the very cgroup that was opened still exist?"""
        try:
            os.stat("cgroup.procs", dir_fd=self.fd)
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Give the descriptor back; whatever is opened from here afterwards has vanished."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


class KernelFile:
    """One kernel file, opened on first use and kept open.

    Relative to a `Directory`, or by its path alone. `absence` says why the latest read gave None; it is reset by the
    next successful open. With `keep` False a read leaves things as it found them: closed, or open with a fresh
    descriptor, because the one that was read from holds a page of kernel memory until it is closed.
    """

    __slots__ = ("_directory", "_fd", "_flags", "_name", "absence", "keep")

    def __init__(
        self, name: str, directory: Directory | None = None, flags: int = os.O_RDONLY, *, keep: bool = True
    ) -> None:
        self._name = name
        self.keep = keep
        self._directory = directory
        self._flags = flags
        self._fd = -1
        self.absence: Absence | None = None

    def __str__(self) -> str:
        return self._name if self._directory is None else f"{self._directory.path}/{self._name}"

    @property
    def is_open(self) -> bool:
        """Does it hold a descriptor now?"""
        return self._fd >= 0

    def fileno(self) -> int:
        """Its descriptor, for poll(2); -1 when the file cannot be opened."""
        return self._fd if self._fd >= 0 else self._open()

    def read(self) -> bytes | None:
        """The whole content, or None (see `absence`). Raises KernelFileError on any other failure."""
        fd = self._fd
        try:
            data = os.pread(fd if fd >= 0 else self._descriptor(), _READ_BYTES, 0)
            if len(data) >= _COMPLETE_BELOW_BYTES:
                data = self._whole(data)
        except OSError as error:
            self._lost(error)
            return None
        if not self.keep:
            self.close()
            if fd >= 0:
                self._open()
        return data

    def head(self, size: int) -> bytes | None:
        """Its first `size` bytes in one pread, for files whose first lines are all that is needed."""
        try:
            return os.pread(self._fd if self._fd >= 0 else self._descriptor(), size, 0)
        except OSError as error:
            self._lost(error)
            return None

    def attempt(self, data: bytes) -> int:
        """Write at offset 0; 0 or the errno."""
        try:
            os.pwrite(self._fd if self._fd >= 0 else self._descriptor(), data, 0)
        except OSError as error:
            return error.errno or errno.EIO
        return 0

    def write(self, data: bytes) -> bool:
        """Write at offset 0; False when the file or its cgroup is gone. Raises UnfitError when refused."""
        code = self.attempt(data)
        if code and code not in VANISHED_ERRNOS:
            raise refused(str(self), code)
        return not code

    def close(self) -> None:
        """Give the descriptor back; the next use opens it again."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _open(self) -> int:
        try:
            return self._descriptor()
        except OSError as error:
            self._lost(error)
            return -1

    def _descriptor(self) -> int:
        directory = self._directory
        if directory is None:
            fd = open_fd(self._name, self._flags, missing_ok=False)
        elif directory.fd < 0:
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
        else:
            fd = open_fd(self._name, self._flags, dir_fd=directory.fd, missing_ok=False)
        self.absence = None
        self._fd = fd
        return fd

    def _lost(self, error: OSError) -> None:
        # The descriptor stays open: it may be in a poll set, where its number must not come to mean another file.
        self.absence = _absence_of(error, str(self))

    def _whole(self, data: bytes) -> bytes:
        parts = [data]
        at = len(data)
        while more := os.pread(self._fd, _READ_BYTES, at):
            parts.append(more)
            at += len(more)
        return b"".join(parts)


def open_fd(path: str, flags: int, *, dir_fd: int | None = None, missing_ok: bool = True) -> int:
    """open(2) with O_CLOEXEC; -1 when nothing is there. Raises UnfitError when descriptors ran out."""
    try:
        return os.open(path, flags | os.O_CLOEXEC, dir_fd=dir_fd)
    except OSError as error:
        if error.errno in OUT_OF_DESCRIPTORS:
            message = f"{path}: {os.strerror(error.errno)}. Raise RLIMIT_NOFILE of the guard (LimitNOFILE=)."
            raise UnfitError(message) from None
        if missing_ok and error.errno in VANISHED_ERRNOS:
            return -1
        raise


def read_once(name: str, directory: Directory | None = None) -> bytes | None:
    """Content of a file that is not worth a descriptor; None when it is gone or not to be had."""
    file = KernelFile(name, directory)
    try:
        return file.read()
    finally:
        file.close()


def refused(path: str, code: int) -> UnfitError:
    """The error for a write that the kernel did not take."""
    hints = {
        errno.EROFS: "Mount the cgroup tree read-write (the Enforce profile does).",
        errno.EACCES: "Run as uid 0 with the capabilities of the Enforce profile.",
        errno.EPERM: "Run as uid 0 with the capabilities of the Enforce profile.",
    }
    remedy = hints.get(code, "Run `memguard doctor` and report what it says.")
    return UnfitError(f"{path}: write refused: {os.strerror(code)}. {remedy}")


def _absence_of(error: OSError, path: str) -> Absence:
    absence = _ABSENCES.get(error.errno or 0)
    if absence is None:
        raise KernelFileError(path, f"cannot be read: {error.strerror}") from None
    return absence
