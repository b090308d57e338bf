"""Who is who on this node: a pod as the API server shows it, as the identities of its containers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from memguard.core.link import Mapping
from memguard.core.model import ContainerType, Identity, MemoryVolume, Owner, Qos, Record, RestartPolicy
from memguard.core.quantity import parse_bytes
from memguard.errors import InputError
from memguard.kube.objects import Container, ContainerStatus, ObjectMeta, Pod

MIRROR = "kubernetes.io/config.mirror"
HASH = "kubernetes.io/config.hash"
TEMPLATE_HASH = "pod-template-hash"
QOS: dict[str | None, Qos] = {qos: qos for qos in ("Guaranteed", "Burstable", "BestEffort")}
#: The guard locks what it is told. An ordinary pod's labels are some 600 bytes; whoever has more than this is treated
#: as if they were not known.
MOST_LABEL_BYTES = 4096
#: Containers in one message, as JSON: a quarter of what it may have.
CHUNK_BYTES = 1 << 20
#: A static pod's hash has 32 characters, a UID 36. Who may annotate a pod may write anything there.
_LONGEST_UID = 64


class Roster(Record, frozen=True, kw_only=True):
    """All containers that run on this node, by id, and the pods' UIDs as their cgroups are named.

    `listed`: it is the API server's word, not what we remember from before. `namespaces`: of all pods that are here.
    """

    containers: dict[str, Identity]
    pods: tuple[str, ...]
    namespaces: frozenset[str] = frozenset()
    listed: bool = False


def roster(pods: Iterable[Pod]) -> Roster:
    """Everybody in these pods."""
    pods = tuple(pods)
    return Roster(
        containers={identity.id: identity for pod in pods for identity in identities(pod)},
        pods=tuple(sorted(_cgroup_uid(pod.metadata) for pod in pods)),
        namespaces=frozenset(pod.metadata.namespace for pod in pods),
        listed=True,
    )


def difference(before: Roster | None, now: Roster) -> Iterator[Mapping]:
    """The messages that bring a guard which knows `before` up to date; all of it where it knows nothing."""
    if before is None or before.listed != now.listed:
        known: dict[str, Identity] = {}
        complete = now.listed
    else:
        known, complete = before.containers, False
    news = [identity for key, identity in now.containers.items() if known.get(key) != identity]
    gone = tuple(key for key in known if key not in now.containers)
    if before is not None and not (news or gone or complete) and before.pods == now.pods:
        return
    first, *others = _chunks(news)
    yield Mapping(containers=first, gone=gone, pods=now.pods, complete=complete)
    yield from (Mapping(containers=chunk, pods=now.pods) for chunk in others)


def _chunks(news: Iterable[Identity]) -> Iterator[tuple[Identity, ...]]:
    """At least one. Labels are bounded, but a pod may have as many volumes in memory as etcd takes."""
    chunk: list[Identity] = []
    room_bytes = CHUNK_BYTES
    for identity in news:
        room_bytes -= len(msgspec.json.encode(identity))
        if chunk and room_bytes < 0:
            yield tuple(chunk)
            chunk, room_bytes = [], CHUNK_BYTES - len(msgspec.json.encode(identity))
        chunk.append(identity)
    yield tuple(chunk)


def identities(pod: Pod) -> Iterator[Identity]:
    """Those of its containers that run; each is known by its id alone, never by its name."""
    shared = _shared(pod)
    volumes = {volume.name for volume in pod.spec.volumes if volume.empty_dir and volume.empty_dir.medium == "Memory"}
    for kind, spec, status in _containers(pod):
        if status.state.running is not None and status.container_id:
            mounted = sum(name in volumes for name in {mount.name for mount in spec.volume_mounts})
            yield msgspec.structs.replace(
                shared,
                id=container_id(status.container_id),
                name=spec.name,
                privileged=spec.privileged,
                restart_policy=_restart_policy(pod, kind),
                restart_count=status.restart_count,
                request_bytes=_request_bytes(spec),
                type=kind,
                memory_volumes=(MemoryVolume(kind="emptyDir"),) * mounted,
            )


def container_id(reference: str) -> str:
    """The id without the runtime: `containerd://<id>`."""
    return reference.rpartition("://")[2]


def is_static(metadata: ObjectMeta) -> bool:
    """Is it the mirror of a pod that kubelet runs from a file? Such a pod no API call ends.

    By the one annotation that nobody gains by: kubelet deletes what bears it and is no mirror. config.source is
    anybody's to write.
    """
    return MIRROR in metadata.annotations


def owner(metadata: ObjectMeta) -> Owner | None:
    """The workload: a ReplicaSet that bears its template's hash is a Deployment's. None for a bare or static pod."""
    controller = next((one for one in metadata.owner_references if one.controller), None)
    if controller is None or controller.kind == "Node":
        return None
    template = metadata.labels.get(TEMPLATE_HASH)
    if controller.kind == "ReplicaSet" and template and controller.name.endswith(f"-{template}"):
        return Owner(kind="Deployment", name=controller.name.removesuffix(f"-{template}"))
    return Owner(kind=controller.kind, name=controller.name)


def _shared(pod: Pod) -> Identity:
    """What all of its containers have in common."""
    meta = pod.metadata
    return Identity(
        id="",
        namespace=meta.namespace,
        pod=meta.name,
        pod_uid=meta.uid,
        owner=owner(meta),
        qos=QOS.get(pod.status.qos_class),
        priority=pod.spec.priority,
        static=is_static(meta),
        labels=_labels(meta.labels),
    )


def _containers(pod: Pod) -> Iterator[tuple[ContainerType, Container, ContainerStatus]]:
    """Each container that kubelet tells of, as it is meant to be and as it is."""
    spec, status = pod.spec, pod.status
    for one, how in _joined(spec.containers, status.container_statuses):
        yield "container", one, how
    for one, how in _joined(spec.init_containers, status.init_container_statuses):
        yield "sidecar" if one.restart_policy == "Always" else "init", one, how
    for one, how in _joined(spec.ephemeral_containers, status.ephemeral_container_statuses):
        yield "ephemeral", one, how


def _joined(
    specs: Iterable[Container], statuses: Iterable[ContainerStatus]
) -> Iterator[tuple[Container, ContainerStatus]]:
    by_name = {spec.name: spec for spec in specs}
    return ((by_name[status.name], status) for status in statuses if status.name in by_name)


def _restart_policy(pod: Pod, kind: ContainerType) -> RestartPolicy | None:
    """As kubelet acts on it: an init container that ends well has succeeded, whatever the pod's policy says."""
    policy = pod.spec.restart_policy
    match kind:
        case "sidecar":
            return "Always"
        case "ephemeral":
            return "Never"
        case "init":
            return "Never" if policy == "Never" else "OnFailure"
    known: dict[str, RestartPolicy] = {"Always": "Always", "OnFailure": "OnFailure", "Never": "Never"}
    return known.get(policy)


def _request_bytes(spec: Container) -> int | None:
    """What it asked for, 0 when it asked for nothing; None for what is no quantity."""
    asked = spec.resources.requests.memory
    try:
        return parse_bytes(asked) if asked else 0
    except InputError:
        return None


def _labels(labels: dict[str, str]) -> dict[str, str] | None:
    size = sum(len(key) + len(value) for key, value in labels.items())
    return labels if size <= MOST_LABEL_BYTES else None


def _cgroup_uid(metadata: ObjectMeta) -> str:
    """The UID in the name of the pod's cgroup: a static pod's is its configuration's hash."""
    if not is_static(metadata):
        return metadata.uid
    named = metadata.annotations.get(HASH) or metadata.annotations.get(MIRROR)
    return named if named and len(named) <= _LONGEST_UID else metadata.uid
