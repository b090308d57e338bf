"""What this process may do: capabilities, scheduling, pages in place, descriptors, signals through AppArmor."""

from __future__ import annotations

import os
import resource

from memguard.cli.checks.check import Check, Place, fail, ok, warn
from memguard.errors import KernelFileError
from memguard.kernel.compaction import KNOB
from memguard.kernel.files import read_once
from memguard.kernel.host import held_capabilities
from memguard.kernel.selfguard import OPEN_FILES, schedule_real_time

#: What each is for, in the words of one who does without it.
CAPABILITIES = {
    "KILL": "signals cannot be sent to containers: no graceful stop",
    "IPC_LOCK": "the guard's memory may be paged out when it is needed most",
    "SYS_NICE": "a swarm of processes can starve the guard",
    "SYS_RESOURCE": "no PSI triggers, no own oom_score_adj, no more open files",
}


def capabilities(place: Place) -> Check:
    """The four capabilities of the Enforce profile."""
    name, held = "capabilities", held_capabilities(place.proc_root)
    if held is None:
        return fail(name, f"{place.proc_root}/self/status does not tell", "Mount proc, or say where with --proc-root.")
    missing = [capability for capability in CAPABILITIES if capability not in held]
    if not missing:
        return ok(name, f"{', '.join(CAPABILITIES)} held")
    costs = "; ".join(CAPABILITIES[capability] for capability in missing)
    remedy = f"Add {', '.join(missing)} to the container's or the unit's capabilities."
    return (fail if "KILL" in missing else warn)(name, f"{', '.join(missing)} missing: {costs}", remedy)


def real_time(_place: Place) -> Check:
    """SCHED_FIFO: a guard that is merely nice needs a second to freeze a swarm of 50, a real-time one 3 ms."""
    applied = schedule_real_time()
    if applied.ok:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
        return ok("real-time", "SCHED_FIFO is granted")
    return warn(
        "real-time", f"SCHED_FIFO is refused: {applied.detail}", "Grant SYS_NICE; some kernels need cpu.rt_runtime."
    )


def pages_in_place(place: Place) -> Check:
    """Whether compaction may move the guard's locked pages: beside a swarm with huge pages it stood still for 1.7 s."""
    name, knob = "pages in place", f"{place.proc_root}/sys/{KNOB}"
    value = (read_once(knob) or b"0").strip()
    if value == b"0":
        return ok(name, "compaction leaves locked pages where they are")
    if os.access(knob, os.W_OK):
        return ok(name, "compaction may move locked pages; a guard that may act forbids it while it runs")
    remedy = "Give the guard a writable /proc/sys, or set vm.compact_unevictable_allowed=0 on the node."
    return warn(name, "compaction may move the guard's locked pages, and make it wait", remedy)


def open_files(_place: Place) -> Check:
    """Descriptors for every container's files."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY or hard >= OPEN_FILES:
        return ok("open files", f"up to {hard} allowed")
    return warn("open files", f"only {hard} allowed, {OPEN_FILES} wanted", f"Set LimitNOFILE={OPEN_FILES}.")


def apparmor(place: Place) -> Check:
    """A runtime's default profile lets a process signal only its own kind (cgroup.kill is not hindered)."""
    profile = _profile(f"{place.proc_root}/self/attr/current")
    if profile.endswith("(enforce)"):
        remedy = "Give the guard a profile of its own, or Unconfined (the chart does)."
        return warn("AppArmor", f"confined by {profile}: SIGTERM to containers may be refused", remedy)
    return ok("AppArmor", "not confined")


def _profile(path: str) -> str:
    """The profile that confines us; empty where no security module is loaded, which reads as EINVAL."""
    try:
        data = read_once(path) or b""
    except KernelFileError:
        return ""
    return data.decode("utf-8", "replace").strip("\0 \n")
