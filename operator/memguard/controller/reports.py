"""A node's report: is it to be believed, and what the core sees of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from memguard.api.node_memory import TopContainer
from memguard.controller.resources import Report, ReportedNode
from memguard.core.footprint import SHMEM_WEIGHT
from memguard.core.model import Container, Identity, Memory, Node, NodeMemory, Snapshot
from memguard.kube.objects import Node as KubeNode

#: Clocks of nodes that are kept in step are within a second; what is further off cannot be dated. Less than SILENT, so
#: that what is believed when it comes is not taken for old.
CLOCK_SKEW = timedelta(seconds=45)
#: In trouble a node reports every 5 s, else every 5 minutes; without a word for so long nobody knows how it stands.
SILENT, SILENT_WHEN_CALM = timedelta(seconds=60), timedelta(seconds=450)
#: A container's swap counts, and a node may have more swap than memory; beyond this it is no size of a container.
LARGEST_SHARE = 16


def doubt(reported: ReportedNode, node: KubeNode | None, now: datetime) -> str | None:
    """Why this report is not acted on, in one word for a metric; None where it is believed.

    `now` is when it came. What a schema can refuse (negative sizes, unknown levels) does not come here.
    """
    report = reported.status
    if node is None or any(one.uid != node.metadata.uid for one in reported.metadata.owner_references):
        return "unknown_node"
    if report.observed_at is None:
        return "empty"
    if abs(now - report.observed_at) > CLOCK_SKEW:
        return "clock"
    if report.total_bytes <= 0 or not 0 <= report.available_bytes <= report.total_bytes:
        return "sizes"
    if not 0 < report.reserve_bytes < report.total_bytes or any(_oversized(one, report) for one in report.top):
        return "sizes"
    return "containers" if len({one.id for one in report.top}) < len(report.top) else None


def silent(report: Report, now: datetime) -> bool:
    """Is it too old to say how things stand?"""
    allowed = SILENT_WHEN_CALM if report.level == "Calm" else SILENT
    return report.observed_at is None or now - report.observed_at > allowed


def snapshot(name: str, report: Report, known: Mapping[str, Identity]) -> Snapshot:
    """What the report shows, as a reading; who is not `known` can be seen growing, and not be chosen."""
    memory = NodeMemory(total_bytes=report.total_bytes, available_bytes=report.available_bytes)
    if report.observed_at is None:
        raise ValueError(f"the report of {name} has no date")
    containers = tuple(_container(one, known.get(one.id)) for one in report.top)
    return Snapshot(taken_at=report.observed_at, node=Node(name=name, memory=memory), containers=containers)


def _container(one: TopContainer, identity: Identity | None) -> Container:
    """Its footprint counts shared memory less than private memory; here it is taken apart again."""
    private = max(0, one.footprint_bytes - int(SHMEM_WEIGHT * one.shmem_bytes))
    memory = Memory(
        current_bytes=private + one.shmem_bytes, anon_bytes=private, shmem_bytes=one.shmem_bytes, kernel_bytes=0
    )
    return Container(id=one.id, memory=memory).known_as(identity) if identity else Container(id=one.id, memory=memory)


def _oversized(one: TopContainer, report: Report) -> bool:
    return max(one.footprint_bytes, one.shmem_bytes) > LARGEST_SHARE * report.total_bytes
