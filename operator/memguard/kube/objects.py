"""The Kubernetes objects that we read and write: only the fields that somebody here needs, everything else is skipped.

What the API server leaves out is empty or None here, and what is empty is left out when we write. Quantities stay
strings (memguard.core.quantity reads them). Micro times are strings too: their form has exactly six digits, and of a
Lease it only matters whether they changed.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec


class KubeObject(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, gc=False):
    """Base of what crosses the wire: frozen, camelCase outside, empty fields left out."""


def micro_time(moment: datetime) -> str:
    """The moment as a MicroTime, whose six digits the API server insists on."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def moment_of(micro_time: str) -> datetime:
    """The moment that a MicroTime means."""
    return datetime.fromisoformat(micro_time)


class OwnerReference(KubeObject, frozen=True, kw_only=True):
    """Whom an object belongs to; `controller`: it is also managed by it."""

    api_version: str = ""
    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool = False


class ObjectMeta(KubeObject, frozen=True, kw_only=True):
    """Who an object is."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    owner_references: tuple[OwnerReference, ...] = ()
    deletion_timestamp: datetime | None = None


class Amounts(KubeObject, frozen=True, kw_only=True):
    """The memory of a list of resources, as a quantity ("128Mi")."""

    memory: str | None = None


class Resources(KubeObject, frozen=True, kw_only=True):
    """What a container asks for and is limited to."""

    requests: Amounts = Amounts()
    limits: Amounts = Amounts()


class SecurityContext(KubeObject, frozen=True, kw_only=True):
    """Of a container's security context: is it privileged?"""

    privileged: bool = False


class VolumeMount(KubeObject, frozen=True, kw_only=True):
    """The volume, by name, that a container sees."""

    name: str = ""


class ResizePolicy(KubeObject, frozen=True, kw_only=True):
    """What it costs to change the amount of a resource in place."""

    resource_name: str = ""
    restart_policy: str = "NotRequired"

    @property
    def restarts(self) -> bool:
        """A restart of the container."""
        return self.restart_policy != "NotRequired"


class Container(KubeObject, frozen=True, kw_only=True):
    """A container of any kind; an init container whose own `restart_policy` is Always is a sidecar."""

    name: str
    resources: Resources = Resources()
    security_context: SecurityContext | None = None
    restart_policy: str | None = None
    volume_mounts: tuple[VolumeMount, ...] = ()
    resize_policy: tuple[ResizePolicy, ...] = ()

    @property
    def privileged(self) -> bool:
        """Is it privileged?"""
        return self.security_context is not None and self.security_context.privileged


class EmptyDir(KubeObject, frozen=True, kw_only=True):
    """An emptyDir; the medium "Memory" is memory that outlives the container."""

    medium: str = ""


class Volume(KubeObject, frozen=True, kw_only=True):
    """A volume; `empty_dir` is None for every other kind."""

    name: str
    empty_dir: EmptyDir | None = None


class PodSpec(KubeObject, frozen=True, kw_only=True):
    """What a pod is meant to be."""

    containers: tuple[Container, ...] = ()
    init_containers: tuple[Container, ...] = ()
    ephemeral_containers: tuple[Container, ...] = ()
    volumes: tuple[Volume, ...] = ()
    node_name: str = ""
    priority: int | None = None
    restart_policy: str = "Always"
    termination_grace_period_seconds: int | None = None


class Running(KubeObject, frozen=True, kw_only=True):
    """A container runs."""


class Terminated(KubeObject, frozen=True, kw_only=True):
    """A container ended."""

    reason: str = ""
    finished_at: datetime | None = None
    container_id: str = msgspec.field(default="", name="containerID")


class ContainerState(KubeObject, frozen=True, kw_only=True):
    """It runs, or it ended; neither before it was made."""

    running: Running | None = None
    terminated: Terminated | None = None


class ContainerStatus(KubeObject, frozen=True, kw_only=True):
    """What became of a container; `container_id` is "containerd://<64 hex>", empty before it was made."""

    name: str
    container_id: str = msgspec.field(default="", name="containerID")
    restart_count: int = 0
    ready: bool = False
    state: ContainerState = ContainerState()
    last_state: ContainerState = ContainerState()


class PodStatus(KubeObject, frozen=True, kw_only=True):
    """What became of a pod."""

    phase: str = ""
    reason: str = ""
    qos_class: str | None = None
    container_statuses: tuple[ContainerStatus, ...] = ()
    init_container_statuses: tuple[ContainerStatus, ...] = ()
    ephemeral_container_statuses: tuple[ContainerStatus, ...] = ()


class Pod(KubeObject, frozen=True, kw_only=True):
    """A pod."""

    metadata: ObjectMeta
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()


class Taint(KubeObject, frozen=True, kw_only=True):
    """What keeps pods from a node that do not tolerate it."""

    key: str
    effect: str
    value: str = ""
    time_added: str | None = None


class NodeSpec(KubeObject, frozen=True, kw_only=True):
    """Of a node's spec: its taints, None where it has none."""

    taints: tuple[Taint, ...] | None = None


class Node(KubeObject, frozen=True, kw_only=True):
    """A node."""

    metadata: ObjectMeta
    spec: NodeSpec = NodeSpec()


class ConfigMap(KubeObject, frozen=True, kw_only=True):
    """Texts by name."""

    metadata: ObjectMeta
    api_version: str = ""
    kind: str = ""
    data: dict[str, str] = {}


class DisruptionBudgetSpec(KubeObject, frozen=True, kw_only=True):
    """Which pods a PodDisruptionBudget is for (core/selector reads it); one without a selector is for none."""

    selector: dict[str, Any] | None = None


class DisruptionBudgetStatus(KubeObject, frozen=True, kw_only=True):
    """How many of them may be disrupted now."""

    disruptions_allowed: int = 0


class PodDisruptionBudget(KubeObject, frozen=True, kw_only=True):
    """How many pods of a workload may be away at once."""

    metadata: ObjectMeta
    spec: DisruptionBudgetSpec = DisruptionBudgetSpec()
    status: DisruptionBudgetStatus = DisruptionBudgetStatus()


class Namespace(KubeObject, frozen=True, kw_only=True):
    """A namespace: its labels are what matters."""

    metadata: ObjectMeta


class ObjectReference(KubeObject, frozen=True, kw_only=True):
    """Which object an Event is about."""

    api_version: str = ""
    kind: str = ""
    namespace: str = ""
    name: str = ""
    uid: str = ""


class EventSeries(KubeObject, frozen=True, kw_only=True):
    """How often an Event happened, and when last."""

    count: int
    last_observed_time: str


class Event(KubeObject, frozen=True, kw_only=True):
    """An Event of events.k8s.io/v1; core/v1 shows the same object under its older names."""

    metadata: ObjectMeta
    api_version: str = ""
    kind: str = ""
    event_time: str | None = None
    reason: str = ""
    action: str = ""
    note: str = ""
    type: str = ""
    regarding: ObjectReference = ObjectReference()
    related: ObjectReference | None = None
    reporting_controller: str = ""
    reporting_instance: str = ""
    series: EventSeries | None = None


class LeaseSpec(KubeObject, frozen=True, kw_only=True):
    """Who holds a lease, for how long, and since when."""

    holder_identity: str = ""
    lease_duration_seconds: int = 0
    acquire_time: str | None = None
    renew_time: str | None = None
    lease_transitions: int = 0


class Lease(KubeObject, frozen=True, kw_only=True):
    """A lease of coordination.k8s.io/v1."""

    metadata: ObjectMeta
    api_version: str = ""
    kind: str = ""
    spec: LeaseSpec = LeaseSpec()


class Cause(KubeObject, frozen=True, kw_only=True):
    """One reason of a refusal; `field` where it is about one."""

    reason: str = ""
    message: str = ""
    field: str = ""


class StatusDetails(KubeObject, frozen=True, kw_only=True):
    """What a refusal says beyond its words."""

    causes: tuple[Cause, ...] | None = None
    retry_after_seconds: int = 0


class Status(KubeObject, frozen=True, kw_only=True):
    """The API server's answer where it has no object to give: a refusal, or done."""

    kind: str = ""
    message: str = ""
    reason: str = ""
    code: int = 0
    details: StatusDetails | None = None


class ListMeta(KubeObject, frozen=True, kw_only=True):
    """Where a list stands; `continue_token` is there while there is more."""

    resource_version: str = ""
    continue_token: str = msgspec.field(default="", name="continue")
