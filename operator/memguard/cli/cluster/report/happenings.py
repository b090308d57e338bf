"""What became of a pod: how it is now, and the Events about it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Literal

from memguard.api.decision import DecidedVictim
from memguard.cli.cluster.cluster import Cluster
from memguard.cli.incident.incident import Happening, PodNow
from memguard.core.model import Moment
from memguard.kube.objects import ContainerState, ContainerStatus, KubeObject, ObjectMeta, Pod
from memguard.kube.resources import PODS, Resource, Selection


class Source(KubeObject, frozen=True, kw_only=True):
    """Who told it."""

    component: str = ""


class EventSeries(KubeObject, frozen=True, kw_only=True):
    """When it happened last."""

    last_observed_time: Moment | None = None


class CoreEvent(KubeObject, frozen=True, kw_only=True):
    """An Event of core/v1, which can be asked for by the object that it is about."""

    metadata: ObjectMeta
    reason: str = ""
    message: str = ""
    type: Literal["Normal", "Warning"] = "Normal"
    event_time: Moment | None = None
    first_timestamp: Moment | None = None
    last_timestamp: Moment | None = None
    source: Source = Source()
    reporting_component: str = ""
    series: EventSeries | None = None

    @property
    def at(self) -> datetime | None:
        """When it happened, the last time if it did so again and again."""
        last = self.series.last_observed_time if self.series else None
        return last or self.last_timestamp or self.event_time or self.first_timestamp


CORE_EVENTS = Resource(group="", version="v1", plural="events", kind="Event", type=CoreEvent)


def happenings(cluster: Cluster, namespace: str, pod: str) -> tuple[Happening, ...]:
    """The Events about a pod that are still kept, the oldest first."""
    return tuple(sorted(_happenings(cluster, namespace, pod), key=lambda one: one.at))


def _happenings(cluster: Cluster, namespace: str, pod: str) -> Iterator[Happening]:
    about = f"involvedObject.kind=Pod,involvedObject.name={pod}"
    for one in cluster.all(Selection(CORE_EVENTS, namespace, fields=about)):
        if one.at is not None:
            source = one.reporting_component or one.source.component
            yield Happening(at=one.at, reason=one.reason, message=one.message, kind=one.type, source=source)


def pod_now(cluster: Cluster, namespace: str, victim: DecidedVictim) -> PodNow | None:
    """The victim's pod as it is; None for a victim that was in none. Another pod of its name is not it."""
    if not victim.pod:
        return None
    pod = cluster.find(PODS, victim.pod, namespace)
    if pod is None or (victim.pod_uid and pod.metadata.uid != victim.pod_uid):
        return PodNow(name=victim.pod, namespace=namespace, deleted=True)
    return _standing(pod, victim.name)


def _standing(pod: Pod, container: str | None) -> PodNow:
    status = pod.status
    everyone = (*status.container_statuses, *status.init_container_statuses, *status.ephemeral_container_statuses)
    own = next((one for one in everyone if one.name == container), None)
    return PodNow(
        name=pod.metadata.name,
        namespace=pod.metadata.namespace,
        phase=status.phase,
        restarts=own.restart_count if own else None,
        container_state=_state(own) if own else "",
        ready=own.ready if own else None,
        node=pod.spec.node_name,
        deleted=pod.metadata.deletion_timestamp is not None,
    )


def _state(own: ContainerStatus) -> str:
    """`running`, `terminated: Error`, `waiting`; with how the one before it ended."""
    return _words(own.state) + (f" (before: {_words(own.last_state)})" if own.last_state.terminated else "")


def _words(state: ContainerState) -> str:
    if state.running is not None:
        return "running"
    if state.terminated is not None:
        return f"terminated: {state.terminated.reason or 'without a reason'}"
    return "waiting"
