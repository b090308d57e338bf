"""Who is who: a pod as the API server shows it, as the identities of its containers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from memguard.core.model import ContainerType, Identity, MemoryVolume, Owner, Qos, RestartPolicy
from memguard.core.quantity import parse_bytes
from memguard.errors import InputError
from memguard.kube.objects import Container, ContainerStatus, ObjectMeta, Pod

MIRROR = "kubernetes.io/config.mirror"
TEMPLATE_HASH = "pod-template-hash"
QOS: dict[str | None, Qos] = {qos: qos for qos in ("Guaranteed", "Burstable", "BestEffort")}
#: The guard locks what it is told. An ordinary pod's labels are some 600 bytes; whoever has more than this is treated
#: as if they were not known.
MOST_LABEL_BYTES = 4096


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
