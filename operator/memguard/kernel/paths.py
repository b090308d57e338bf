"""Which container a cgroup path means, in every form that kubelet and the runtimes give it.

The kubelet's driver decides: slices and scopes (systemd), plain directories (cgroupfs), or both at once where kubelet
and runtime disagree (literal colons). The root prefix is found by containment, never assumed: kind's is
kubelet.slice. What lies below a container (crun's `container`, systemd in a pod) is the container's own business.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Final

import msgspec

from memguard.core.model import Qos
from memguard.kernel.cgroup import CGROUP_ROOT

_UID: Final = r"[0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12}|[0-9a-f]{32}"
_POD_SLICE: Final = re.compile(rf"(?:.+-)?kubepods(?:-(burstable|besteffort))?-pod({_UID})\.slice")
_POD_DIRECTORY: Final = re.compile(rf"pod({_UID})")
# Rejects crio-conmon-*: the monitor's cgroup, not the container's.
_CONTAINER: Final = re.compile(r"(?:(cri-containerd|crio|docker|libpod)-)?([0-9a-f]{64})(?:\.scope)?")
_COLON: Final = re.compile(r"([^/:]+\.slice):(cri-containerd|crio|docker|libpod):([0-9a-f]{64})")
_QOS_SLICE: Final = re.compile(r"(?:.+-)?kubepods-(?:burstable|besteffort)\.slice")
_KUBEPODS: Final = re.compile(r"kubepods|(?:.+-)?kubepods\.slice")
_QOS: Final[dict[str, Qos]] = {"burstable": "Burstable", "besteffort": "BestEffort"}
# kubepods / QoS / pod / container below --cgroup-root; deeper directories are not looked for.
_DEPTH: Final = 8


class ContainerPath(msgspec.Struct, frozen=True, gc=False):
    """A container's cgroup. `qos` is a hint from the path; pod fields are None for a container outside a pod."""

    path: str
    container_id: str
    runtime: str | None = None
    pod_uid: str | None = None
    qos: Qos | None = None
    pod_path: str | None = None


class _Pod(msgspec.Struct, frozen=True, gc=False):
    uid: str
    qos: Qos


def parse_container_path(path: str) -> ContainerPath | None:
    """The container that a cgroup path (relative to the cgroup root) *is*; None for anything else.

    Anything below a container is None: its nearest ancestor is the container.
    """
    parts = path.strip("/").split("/")
    for depth, name in enumerate(parts):
        found = _container(parts[:depth], name)
        if found is not None:
            return found if depth == len(parts) - 1 else None
    return None


def is_boundary(path: str) -> bool:
    """Is this a slice, a pod, kubepods or the root: something that holds containers, never one itself?"""
    parts = path.strip("/").split("/")
    name = parts[-1]
    return name in ("", "init.scope") or name.endswith(".slice") or is_kubepods(path) or _is_branch(parts)


def is_kubepods(path: str) -> bool:
    """Is this the top of the pods' tree?"""
    return _KUBEPODS.fullmatch(path.rsplit("/", 1)[-1]) is not None


def is_pod(path: str) -> bool:
    """Is this a pod's cgroup?"""
    return _pod(path.strip("/").split("/")) is not None


def holds_containers(path: str) -> bool:
    """Is this kubepods, one of its QoS levels, or a pod?"""
    parts = path.strip("/").split("/")
    qos = _QOS_SLICE.fullmatch(parts[-1]) is not None
    return qos or is_kubepods(path) or _is_branch(parts) or _pod(parts) is not None


def find_kubepods(root: str = CGROUP_ROOT) -> str | None:
    """Path of the kubepods cgroup relative to `root`; None where kubelet does not run.

    Of several (a driver that was changed leaves its old directory) the one that has pods in it.
    """
    found = [path for path in _walk(root) if is_kubepods(path)]
    used = (path for path in found if next(_walk(root, path), None) is not None)
    return next(used, found[0] if found else None)


def walk_containers(root: str = CGROUP_ROOT) -> Iterator[ContainerPath]:
    """Every container's cgroup below `root`, never one nested in another."""
    for path in _walk(root):
        found = parse_container_path(path)
        if found is not None:
            yield found


def walk_pods(root: str = CGROUP_ROOT) -> Iterator[str]:
    """Path of every pod's cgroup below `root`."""
    return (path for path in _walk(root) if is_pod(path))


def parents_of_containers(root: str = CGROUP_ROOT) -> frozenset[str]:
    """Every directory above a container or above kubepods that exists now, wherever --cgroup-root put it."""
    ends = (path for path in _walk(root) if is_kubepods(path) or parse_container_path(path) is not None)
    return frozenset(parent for path in ends for parent in _parents(path))


def children(directory: str) -> list[str]:
    """Names of the directories in a directory, sorted; none where it is gone, or was never there."""
    try:
        with os.scandir(directory) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    except OSError:
        return []  # removed under the listing


def _parents(path: str) -> Iterator[str]:
    parent = path.rpartition("/")[0]
    while parent:
        yield parent
        parent = parent.rpartition("/")[0]


def _walk(root: str, above: str = "", depth: int = 0) -> Iterator[str]:
    for name in children(f"{root}/{above}" if above else root):
        path = f"{above}/{name}" if above else name
        yield path
        if depth < _DEPTH and parse_container_path(path) is None:
            yield from _walk(root, path, depth + 1)


def _container(above: list[str], name: str) -> ContainerPath | None:
    colon = _COLON.fullmatch(name)
    if colon is not None:
        return _colon_container(above, name, colon)
    match = _CONTAINER.fullmatch(name)
    if match is None:
        return None
    pod = _pod(above)
    runtime = match[1]
    if pod is None and runtime is None:
        # A bare 64-hex directory is a container below a pod, or below docker's own directory; elsewhere unknown.
        if not above or above[-1] != "docker":
            return None
        runtime = "docker"
    return ContainerPath(
        path="/".join((*above, name)),
        container_id=match[2],
        runtime=runtime,
        pod_uid=None if pod is None else pod.uid,
        qos=None if pod is None else pod.qos,
        pod_path=None if pod is None else "/".join(above),
    )


def _colon_container(above: list[str], name: str, match: re.Match[str]) -> ContainerPath | None:
    pod = _pod([match[1]])
    return ContainerPath(
        path="/".join((*above, name)),
        container_id=match[3],
        runtime=match[2],
        pod_uid=None if pod is None else pod.uid,
        qos=None if pod is None else pod.qos,
    )


def _pod(parts: list[str]) -> _Pod | None:
    if not parts:
        return None
    match = _POD_SLICE.fullmatch(parts[-1])
    if match is not None:
        return _Pod(_api_uid(match[2]), _QOS.get(match[1], "Guaranteed"))
    match = _POD_DIRECTORY.fullmatch(parts[-1])
    if match is None or not _is_branch(parts):
        return None
    return _Pod(_api_uid(match[1]), _QOS.get(parts[-2], "Guaranteed"))


def _is_branch(parts: list[str]) -> bool:
    """cgroupfs: kubepods/<qos>, kubepods/pod<uid> or kubepods/<qos>/pod<uid>."""
    above = parts[:-1]
    if above and above[-1] in _QOS:
        above = above[:-1]
    name = parts[-1]
    return bool(above) and above[-1] == "kubepods" and (name in _QOS or _POD_DIRECTORY.fullmatch(name) is not None)


def _api_uid(uid: str) -> str:
    return uid.replace("_", "-")
