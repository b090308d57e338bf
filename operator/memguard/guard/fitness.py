"""What a guard can do where it runs: each of its levers tried or looked up, and why it must only observe, if so."""

from __future__ import annotations

import os
from collections.abc import Iterable

from memguard.core.link import Capability
from memguard.errors import KernelFileError
from memguard.guard.clock import Clock
from memguard.guard.roster import Roster
from memguard.guard.ward import Ward
from memguard.kernel.host import held_capabilities
from memguard.kernel.selfguard import Applied

READ_ONLY = "the cgroup files cannot be written here (the observe profile): this guard only observes"
#: The inode of the machine's own pid namespace (PROC_PID_INIT_INO, include/linux/proc_ns.h).
_INIT_PID_NAMESPACE = 0xEFFFFFFC
#: A container that is not known for so long is not merely new: the agent hears of a new one within 1-2 s.
STRANGER_SECONDS = 60.0


class Fitness:
    """Of one guard. `roster`: who is who, where an agent tells it."""

    def __init__(self, cgroup_root: str, roster: Roster | None, clock: Clock) -> None:
        self._cgroup_root, self._roster, self._clock = cgroup_root, roster, clock

    def why_not(self, wards: Iterable[Ward] = ()) -> str | None:
        """Why nothing may be done on this node, whatever the plan says; None if it may."""
        if not writable(self._cgroup_root):
            return READ_ONLY
        if self._roster is None:
            return None
        found = self._strangers(wards, self._roster, self._clock.monotonic())
        if not found:
            return None
        example = found[0].cgroup.path
        return f"{len(found)} containers belong to no pod that is known ({example}): this guard only observes"

    def is_unmapped(self, ward: Ward) -> bool:
        """Is it not named, and in no pod that is known? (A sandbox, or a container that is new, is in one that is.)"""
        return not ward.container.mapped and (self._roster is None or ward.pod_uid not in self._roster.pods)

    def _strangers(self, wards: Iterable[Ward], roster: Roster, now: float) -> list[Ward]:
        """Those of pods that nobody has heard of for a while.

        A pod that was known once is understood, though its object may be gone before its processes (a forced deletion);
        and what is in no pod is none of Kubernetes' (docker beside it). Neither is ever touched.
        """
        wards = list(wards)
        roster.departed &= {ward.pod_uid or "" for ward in wards}
        for ward in wards:
            strange = bool(ward.pod_uid) and self.is_unmapped(ward) and ward.pod_uid not in roster.departed
            ward.strange_since = (ward.strange_since or now) if strange else None
        return [ward for ward in wards if ward.strange_since and now - ward.strange_since > STRANGER_SECONDS]


def writable(cgroup_root: str) -> bool:
    """May the tree be written: not mounted read-only, and its files ours or anybody's?"""
    try:
        read_only = os.statvfs(cgroup_root).f_flag & os.ST_RDONLY
    except OSError:
        return False
    return not read_only and os.access(f"{cgroup_root}/cgroup.subtree_control", os.W_OK, effective_ids=True)


def capabilities(
    cgroup_root: str, measures: Iterable[Applied], *, psi: str, supervised: bool
) -> tuple[Capability, ...]:
    """Everything worth knowing in the cluster; `psi` is why there is no trigger, or empty."""
    may_write = writable(cgroup_root)
    return (
        Capability(name="cgroup-write", ok=may_write, detail="" if may_write else READ_ONLY),
        _host_pid(),
        _signals(),
        Capability(name="psi-trigger", ok=not psi, detail=psi),
        Capability(name="supervisor", ok=supervised, detail="" if supervised else "no line stands without one"),
        *(Capability(name=m.measure.replace(" ", "-").replace("_", "-"), ok=m.ok, detail=m.detail) for m in measures),
    )


def _host_pid() -> Capability:
    try:
        ours = os.stat("/proc/self/ns/pid").st_ino == _INIT_PID_NAMESPACE
    except OSError:
        ours = False
    detail = "" if ours else "no hostPID: no stop signals, no process facts in the score"
    return Capability(name="host-pid", ok=ours, detail=detail)


def _signals() -> Capability:
    try:
        may = "KILL" in (held_capabilities() or ())
    except KernelFileError:
        may = False
    return Capability(name="signals", ok=may, detail="" if may else "CAP_KILL is missing: no stop signals")
