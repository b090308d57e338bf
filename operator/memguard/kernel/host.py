"""The machine itself: CPUs, uptime, and whether its cgroup tree is one that can be guarded."""

from __future__ import annotations

import os
from typing import Final, Literal

from memguard.errors import InputError, KernelFileError
from memguard.kernel.cgroup import CGROUP_ROOT
from memguard.kernel.files import read_once

_CGROUP2_MAGIC: Final = 0x63677270
_CGROUP1_MAGIC: Final = 0x27E0EB
_TMPFS_MAGIC: Final = 0x01021994

#: Bits of CapEff (linux/capability.h): the fewest that a real kubelet's node proved necessary for the guard.
CAPABILITY_BITS: Final = {"KILL": 5, "IPC_LOCK": 14, "SYS_NICE": 23, "SYS_RESOURCE": 24}

CgroupVersion = Literal["v2", "hybrid", "v1", "none"]


def cpus() -> int:
    """CPUs that are online: not those that this process may use."""
    return os.sysconf("SC_NPROCESSORS_ONLN")


def uptime_seconds(proc: str = "/proc") -> float | None:
    """Seconds since boot; None without /proc. Raises KernelFileError."""
    source = f"{proc}/uptime"
    data = read_once(source)
    if data is None:
        return None
    try:
        return float(data.split()[0])
    except (ValueError, IndexError):
        raise KernelFileError(source, "not `uptime idle`", line=1) from None


def cgroup_version(root: str = CGROUP_ROOT) -> CgroupVersion:
    """v2: `root` is a cgroup2 mount. hybrid: one lies at root/unified beside v1. none: no cgroup tree here.

    systemd.io/CGROUP_DELEGATION calls them unified, hybrid and legacy.
    """
    magic = _magic(root)
    if magic == _CGROUP2_MAGIC:
        return "v2"
    if magic == _CGROUP1_MAGIC:
        return "v1"
    if magic != _TMPFS_MAGIC:
        return "none"
    if _magic(f"{root}/unified") == _CGROUP2_MAGIC:
        return "hybrid"
    return "v1" if _magic(f"{root}/memory") == _CGROUP1_MAGIC else "none"


def controllers(root: str = CGROUP_ROOT) -> tuple[str, ...]:
    """cgroup.controllers of the root; empty where there is none."""
    data = read_once(f"{root}/cgroup.controllers")
    return tuple(data.decode("ascii", "replace").split()) if data else ()


def held_capabilities(proc: str = "/proc") -> frozenset[str] | None:
    """Those of CAPABILITY_BITS that this process has; None where it is not told. Raises KernelFileError."""
    for line in (read_once(f"{proc}/self/status") or b"").splitlines():
        if line.startswith(b"CapEff:"):
            held = int(line.split()[1], 16)
            return frozenset(name for name, bit in CAPABILITY_BITS.items() if held >> bit & 1)
    return None


def require_proc(root: str) -> None:
    """Is this a proc file system? Raises InputError."""
    if not os.path.exists(f"{root}/meminfo"):
        remedy = "Say where it is with --proc-root, or procRoot in the configuration."
        raise InputError(root, "no proc file system (no meminfo in it)", remedy=remedy)


def _magic(path: str) -> int | None:
    from memguard.kernel.syscalls import statfs_magic

    try:
        return statfs_magic(path)
    except OSError:
        return None
