"""Who is who: a pod as the API server shows it, as the identities of its containers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from msgspec.structs import replace

from memguard.core.model import ContainerType, Identity, MemoryVolume, Owner, Qos, RestartPolicy
from memguard.core.quantity import parse_bytes
from memguard.errors import InputError
from memguard.kube.objects import Container, ContainerStatus, ObjectMeta, OwnerReference, Pod, Volume

MIRROR, HASH = "kubernetes.io/config.mirror", "kubernetes.io/config.hash"
ANNOTATIONS = (MIRROR, HASH)
#: Longer than anything that is looked at.
_LONG = 256
TEMPLATE_HASH = "pod-template-hash"
QOS: dict[str | None, Qos] = {qos: qos for qos in ("Guaranteed", "Burstable", "BestEffort")}
#: The guard locks what it is told. An ordinary pod's labels are some 600 bytes; whoever has more than this is treated
#: as if they were not known.
MOST_LABEL_BYTES = 4096
#: One is enough to say that memory outlives the container, and a pod may mount as many as etcd takes.
MOST_MEMORY_VOLUMES = 4
#: The API server takes any text of any length for an owner. This is what a kind and an object can be called (DNS-1035;
#: a path segment of at most 253 letters): who names another owner names none, and no log, metric or screen shows it.
_KIND = re.compile(r"[A-Za-z][-A-Za-z0-9]{0,62}")
_NAME = re.compile(r"[!-$&-.0-~]{1,253}")


def thin_pod(pod: Pod) -> Pod:
    """What `identities` needs of it, and no more than that: a pod may be 1.5 MB, and whoever makes it decides of what.

    Labels beyond measure stay beyond it; names that are too long stay too long.
    """
    meta, spec = pod.metadata, pod.spec
    in_memory = {volume.name for volume in spec.volumes if _in_memory(volume)}
    containers = tuple(_with_mounts(one, in_memory) for one in spec.containers)
    init_containers = tuple(_with_mounts(one, in_memory) for one in spec.init_containers)
    ephemeral = tuple(_with_mounts(one, in_memory) for one in spec.ephemeral_containers)
    kept = {mount.name for one in (*containers, *init_containers, *ephemeral) for mount in one.volume_mounts}
    return replace(
        pod,
        metadata=replace(
            meta,
            labels=dict(_measured(meta.labels)),
            annotations={key: meta.annotations[key][:_LONG] for key in ANNOTATIONS if key in meta.annotations},
            owner_references=tuple(_cut(one) for one in meta.owner_references if one.controller)[:1],
        ),
        spec=replace(
            spec,
            containers=containers,
            init_containers=init_containers,
            ephemeral_containers=ephemeral,
            volumes=tuple(volume for volume in spec.volumes if volume.name in kept),
        ),
    )


def identities(pod: Pod) -> Iterator[Identity]:
    """Those of its containers that run; each is known by its id alone, never by its name."""
    shared = _shared(pod)
    volumes = {volume.name for volume in pod.spec.volumes if _in_memory(volume)}
    for kind, spec, status in _containers(pod):
        if status.state.running is not None and status.container_id:
            mounted = sum(name in volumes for name in {mount.name for mount in spec.volume_mounts})
            yield replace(
                shared,
                id=container_id(status.container_id),
                name=spec.name,
                privileged=spec.privileged,
                restart_policy=_restart_policy(pod, kind),
                restart_count=status.restart_count,
                request_bytes=_request_bytes(spec),
                type=kind,
                memory_volumes=(MemoryVolume(kind="emptyDir"),) * min(mounted, MOST_MEMORY_VOLUMES),
            )


def _in_memory(volume: Volume) -> bool:
    return volume.empty_dir is not None and volume.empty_dir.medium == "Memory"


def _with_mounts(container: Container, volumes: set[str]) -> Container:
    kept = {mount.name: mount for mount in container.volume_mounts if mount.name in volumes}
    return replace(container, volume_mounts=tuple(kept.values())[:MOST_MEMORY_VOLUMES])


def _measured(labels: dict[str, str]) -> Iterator[tuple[str, str]]:
    room = MOST_LABEL_BYTES
    for key, value in labels.items():
        if room < 0:
            return
        room -= len(key) + len(value)
        yield key, value


def _cut(owner: OwnerReference) -> OwnerReference:
    return replace(owner, api_version=owner.api_version[:_LONG], kind=owner.kind[:_LONG], name=owner.name[:_LONG])


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
    if not (_KIND.fullmatch(controller.kind) and _NAME.fullmatch(controller.name)):
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
