"""Who else is on this machine: kubelet and the runtime that we serve, and other daemons that act on memory."""

from __future__ import annotations

import os
from collections.abc import Iterator

from memguard.cli.checks.check import Check, Place, ok, warn
from memguard.core.explain import size
from memguard.kernel.files import KernelFile, read_once
from memguard.kernel.psi import read_stall

#: Names as the kernel keeps them (comm): 15 characters at most.
RUNTIMES = ("containerd", "crio", "dockerd", "kubelet")
RIVALS = ("systemd-oomd", "earlyoom", "oomd", "nohang", "koordlet")
#: A ZFS cache below this does not distort MemAvailable enough to speak of.
SMALL_ARC_BYTES = 256 << 20


def pressure(place: Place) -> Check:
    """Pressure stall information: the eye for thrashing that leaves memory available."""
    file = KernelFile(f"{place.proc_root}/pressure/memory")
    try:
        if read_stall(file) is not None:
            return ok("PSI", "on")
    finally:
        file.close()
    switched_off = file.absence == "unsupported"
    finding = "switched off" if switched_off else "not in this kernel, or switched off"
    return warn("PSI", finding, "Boot with psi=1: without it, thrashing is seen late.")


def runtime(place: Place) -> Check:
    """Kubelet and a container runtime."""
    found = sorted(set(RUNTIMES) & set(_names(place)))
    if found:
        return ok("runtime", f"{', '.join(found)} running")
    remedy = "Fine for `memguard guard --standalone`; in a pod, set hostPID: true to see them."
    return warn("runtime", "neither kubelet nor a container runtime in sight", remedy)


def rivals(place: Place) -> Check:
    """Two killers for one shortage take two victims."""
    found = sorted(set(RIVALS) & set(_names(place)))
    if not found:
        return ok("rivals", "no other out-of-memory daemon")
    remedy = f"Stop it: systemctl disable --now {' '.join(found)}; or let memguard observe."
    return warn("rivals", f"{', '.join(found)} acts on memory here too", remedy)


def zfs(place: Place) -> Check:
    """ZFS's cache is not counted as available though it can shrink: the node looks fuller than it is."""
    arc = _arc_bytes(read_once(f"{place.proc_root}/spl/kstat/zfs/arcstats") or b"")
    if arc < SMALL_ARC_BYTES:
        return ok("ZFS", "no large ARC")
    remedy = "Limit it (zfs_arc_max) or let memguard observe."
    return warn("ZFS", f"its cache holds {size(arc)} that MemAvailable leaves out", remedy)


def _names(place: Place) -> Iterator[str]:
    try:
        pids = [name for name in os.listdir(place.proc_root) if name.isdecimal()]
    except OSError:
        return
    for pid in pids:
        data = read_once(f"{place.proc_root}/{pid}/comm")
        if data:
            yield data.decode("utf-8", "replace").strip()


def _arc_bytes(stats: bytes) -> int:
    for line in stats.splitlines():
        words = line.split()
        if len(words) == 3 and words[0] == b"size" and words[2].isdigit():
            return int(words[2])
    return 0
