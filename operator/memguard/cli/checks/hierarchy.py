"""The cgroup tree: its version, its controllers, its files, who may write them, and which containers are in it."""

from __future__ import annotations

import os
from collections.abc import Iterator

from memguard.cli.checks.check import Check, Place, fail, ok, warn
from memguard.kernel.files import read_once
from memguard.kernel.host import CgroupVersion, cgroup_version, controllers
from memguard.kernel.paths import children, find_kubepods, parse_container_path, walk_containers, walk_pods

UNIFIED = "Boot with systemd.unified_cgroup_hierarchy=1 on the kernel's command line."
#: What a guard cannot do without (kernel 5.2 and 5.14), and what makes it better (5.19).
LEVERS = ("memory.high", "cgroup.freeze", "cgroup.kill")
NEEDED_FILES = ("memory.events.local", *LEVERS)
USEFUL_FILES = ("memory.reclaim", "memory.peak")
#: Unrecognised directories that are named; more would bury the message.
NAMED = 3


def version(place: Place) -> Check:
    """cgroup v2 and nothing else: in a hybrid tree memory belongs to v1, where nothing of this works."""
    return judge_version(cgroup_version(place.cgroup_root), place.cgroup_root)


def judge_version(found: CgroupVersion, root: str) -> Check:
    """The answer for each kind of tree."""
    match found:
        case "v2":
            return ok("cgroup v2", f"{root} is a unified tree")
        case "hybrid":
            return fail("cgroup v2", f"{root} is hybrid: memory belongs to cgroup v1", UNIFIED)
        case "v1":
            return fail("cgroup v2", f"{root} is cgroup v1", UNIFIED)
        case "none":
            remedy = "Mount it, or say where it is with --cgroup-root (in a pod often /host/sys/fs/cgroup)."
            return fail("cgroup v2", f"{root} is no cgroup tree", remedy)


def memory_controller(place: Place) -> Check:
    """The memory controller is there, and switched on for the cgroups below the root."""
    name, root = "memory controller", place.cgroup_root
    if "memory" not in controllers(root):
        return fail(name, f"{root}/cgroup.controllers does not list it", "Boot without cgroup_disable=memory.")
    enabled = read_once(f"{root}/cgroup.subtree_control") or b""
    if b"memory" not in enabled.split():
        remedy = f"echo +memory > {root}/cgroup.subtree_control (systemd does so when a unit has MemoryAccounting=)."
        return fail(name, "it is not switched on below the root", remedy)
    return ok(name, "on below the root")


def files(place: Place) -> Check:
    """The kernel is new enough to have the files that the guard reads and writes."""
    name, sample = "cgroup files", _sample(place)
    if sample is None:
        return fail(name, "no cgroup with memory accounting to look at", "See the checks above.")
    missing = [file for file in NEEDED_FILES if not os.path.exists(f"{sample}/{file}")]
    if missing:
        return fail(name, f"{', '.join(missing)} missing", "Use kernel 5.14 or newer.")
    useful = [file for file in USEFUL_FILES if not os.path.exists(f"{sample}/{file}")]
    if useful:
        return warn(name, f"{', '.join(useful)} missing", "Use kernel 5.19 or newer to reclaim before killing.")
    return ok(name, "kill, freeze, high, reclaim and peak are there")


def writable(place: Place) -> Check:
    """The guard can brake, freeze and kill; without it can only observe."""
    name, sample = "writable", _sample(place)
    if sample is None:
        return fail(name, "no cgroup with memory accounting to look at", "See the checks above.")
    if os.statvfs(sample).f_flag & os.ST_RDONLY:
        return fail(
            name, f"{place.cgroup_root} is mounted read-only", "Mount it read-write (the Enforce profile does)."
        )
    refused = [file for file in LEVERS if not os.access(f"{sample}/{file}", os.W_OK)]
    if refused:
        return fail(name, f"{', '.join(refused)} may not be written", "Run as root (uid 0).")
    return ok(name, "limits, freezer and kill switch may be written")


def mapping(place: Place) -> Check:
    """Every cgroup in a pod is known to be a container: what is not known is never touched, and memguard says so."""
    name, root = "mapping", place.cgroup_root
    kubepods = find_kubepods(root)
    if kubepods is None:
        remedy = "Without Kubernetes, name the containers in the configuration: [[containers]] cgroup = 'GLOB'."
        return warn(name, "no kubepods cgroup: kubelet does not run here", remedy)
    unknown = list(_unknown(root))
    if unknown:
        named = ", ".join(unknown[:NAMED])
        return fail(name, f"{len(unknown)} cgroups in pods are not understood: {named}", "Report these paths, please.")
    return ok(name, f"{sum(1 for _ in walk_containers(root))} containers below {kubepods}, all understood")


def _unknown(root: str) -> Iterator[str]:
    for pod in walk_pods(root):
        for path in (f"{pod}/{name}" for name in children(f"{root}/{pod}")):
            if parse_container_path(path) is None and not path.rpartition("/")[2].startswith("crio-conmon-"):
                yield path


def _sample(place: Place) -> str | None:
    """A cgroup to look at: kubepods, or the first below the root that has memory accounting."""
    kubepods = find_kubepods(place.cgroup_root)
    names = [kubepods] if kubepods else children(place.cgroup_root)
    paths = (f"{place.cgroup_root}/{name}" for name in names)
    return next((path for path in paths if os.path.exists(f"{path}/memory.current")), None)
