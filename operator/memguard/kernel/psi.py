"""Pressure stall information (Documentation/accounting/psi.rst): cumulative stall, and triggers that wake a poll.

Averages are not read: they are updated every 2 s and need 10 s to show a total stall as 60 %.
"""

from __future__ import annotations

import errno
import os
import re
from typing import Final, Literal

import msgspec

from memguard.core.model import Stall
from memguard.errors import KernelFileError
from memguard.kernel.files import Directory, KernelFile, open_fd

_MICROSECONDS: Final = 1_000_000
_TOTALS: Final = re.compile(rb"some [^\n]*total=(\d{1,20})\nfull [^\n]*total=(\d{1,20})(?:\n|\Z)")

TriggerRefusal = Literal["missing", "vanished", "disabled", "denied", "window"]
"""Why there is no trigger: no such file (or an empty one), its cgroup is gone, psi=0, no right, or a window that
this kernel does not take (below 500 ms up to about 6.4; not a multiple of 2 s without CAP_SYS_RESOURCE since)."""

_REFUSALS: Final[dict[int, TriggerRefusal]] = {
    errno.ENOENT: "missing",
    errno.ENODEV: "vanished",
    errno.EOPNOTSUPP: "disabled",
    errno.EACCES: "denied",
    errno.EPERM: "denied",
    errno.EROFS: "denied",
    errno.EINVAL: "window",
    errno.EBUSY: "window",
}


def stall(data: bytes, source: object) -> Stall | None:
    """The two totals of a pressure file; None for an empty file (seen in the wild). Raises KernelFileError."""
    match = _TOTALS.match(data)
    if match is None:
        if not data.strip():
            return None
        raise KernelFileError(str(source), "no total= of some and full", line=1)
    some, full = match.groups()
    return Stall(some_total_seconds=int(some) / _MICROSECONDS, full_total_seconds=int(full) / _MICROSECONDS)


def read_stall(file: KernelFile) -> Stall | None:
    """Totals of /proc/pressure/memory or a memory.pressure; None: gone, psi=0, or empty (see file.absence)."""
    data = file.read()
    return None if data is None else stall(data, file)


class Trigger(msgspec.Struct, frozen=True):
    """An armed trigger: register `fd` with POLLPRI; POLLERR means that its cgroup is gone."""

    fd: int

    def close(self) -> None:
        """Disarm."""
        os.close(self.fd)


def arm_trigger(
    name: str,
    *,
    threshold_seconds: float,
    window_seconds: float,
    kind: str = "some",
    directory: Directory | None = None,
) -> Trigger | TriggerRefusal:
    """Wake when tasks stalled `threshold_seconds` within `window_seconds` (at most 10).

    `name` is a path, or a file of `directory`. The trigger only wakes: decide on the totals.
    """
    if directory is not None and not directory.alive():
        return "vanished"
    dir_fd = None if directory is None else directory.fd
    text = f"{kind} {round(threshold_seconds * _MICROSECONDS)} {round(window_seconds * _MICROSECONDS)}\0"
    fd = -1
    try:
        fd = open_fd(name, os.O_RDWR | os.O_NONBLOCK, dir_fd=dir_fd, missing_ok=False)
        os.write(fd, text.encode())
    except OSError as error:
        if fd >= 0:
            os.close(fd)
        return _REFUSALS.get(error.errno or 0, "missing")
    return Trigger(fd)
