"""The checks of a whole cluster: what is installed, does all of it run, and do the versions belong together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime

import msgspec

from memguard import __version__
from memguard.api.crd import crd
from memguard.api.definitions import DEFINITIONS
from memguard.api.meta import GROUP, VERSION
from memguard.api.node_memory import NodeMemory
from memguard.cli.checks.check import Check, fail, ok, warn
from memguard.cli.cluster.cluster import (
    DECISIONS,
    NODE_MEMORIES,
    Cluster,
    MissingError,
    RefusedError,
)
from memguard.cli.cluster.coverage import NODE_COMPONENT, OPERATOR_COMPONENT, OURS, guarded_nodes, linux_nodes
from memguard.cli.cluster.doctor.installed import (
    ADMISSION_BINDINGS,
    ADMISSION_POLICIES,
    CRDS,
    DAEMON_SETS,
    DEPLOYMENTS,
    Crd,
)
from memguard.cli.cluster.stops import Stop
from memguard.cli.words import span
from memguard.kube.lease import LEASE_SECONDS
from memguard.kube.objects import moment_of
from memguard.kube.resources import LEASES, Selection
from memguard.service.resources import CLUSTER_POLICIES, LEASE, POLICIES

APPLY = "kubectl apply --server-side -f crds, or upgrade the chart."
CHART = "Install the chart (docs/cluster.md)."
ADMISSION = "Set admission.enabled=true in the chart's values."
#: More names make no better sentence.
NAMED = 5
#: What the admission policies watch over: without them a stolen agent's token could write any node's report.
GUARDED = (DECISIONS.plural, NODE_MEMORIES.plural)


def examine_cluster(
    cluster: Cluster, reports: tuple[NodeMemory, ...], stops: tuple[Stop, ...], now: datetime
) -> Iterator[Check]:
    """All of them, in the order in which they should be mended."""
    yield from asked("kinds", lambda: _kinds(cluster))
    yield from asked("daemon set", lambda: _daemon_set(cluster))
    yield from asked("nodes", lambda: _nodes(cluster, reports, now))
    yield from _versions(reports)
    yield from asked("operator", lambda: _operator(cluster, now))
    yield from asked("admission", lambda: _admission(cluster))
    yield from asked("policies", lambda: _policies(cluster))
    yield _stops(stops)


def asked(name: str, question: Callable[[], Check]) -> Iterator[Check]:
    """The answer, or why it cannot be had."""
    try:
        yield question()
    except (MissingError, RefusedError) as error:
        yield warn(name, f"cannot be asked: {error}", "Ask as somebody who may look.")


def _kinds(cluster: Cluster) -> Check:
    found = {one.metadata.name: one for one in cluster.all(Selection(CRDS)) if one.metadata.name.endswith(f".{GROUP}")}
    wanted = {f"{one.plural}.{GROUP}": one for one in DEFINITIONS}
    missing = sorted(wanted.keys() - found.keys())
    if missing:
        return fail("kinds", f"not there: {', '.join(missing)}", APPLY)
    others = [name for name, definition in wanted.items() if not _same(found[name], crd(definition))]
    if others:
        return warn("kinds", f"of another version than this program ({__version__}): {', '.join(others)}", APPLY)
    return ok("kinds", f"all {len(wanted)} are there, of this version")


def _same(found: Crd, wanted: dict[str, object]) -> bool:
    ours = msgspec.convert(wanted, Crd).spec.versions[0]
    theirs = next((one for one in found.spec.versions if one.name == VERSION), None)
    return theirs is not None and theirs.schema == msgspec.json.decode(msgspec.json.encode(ours.schema))


def _daemon_set(cluster: Cluster) -> Check:
    found = cluster.all(Selection(DAEMON_SETS, labels=f"{OURS},{NODE_COMPONENT}"))
    if not found:
        return fail("daemon set", "there is none: no node is guarded", CHART)
    wanted = sum(one.status.desired_number_scheduled for one in found)
    ready = sum(one.status.number_ready for one in found)
    place = ", ".join(f"{one.metadata.namespace}/{one.metadata.name}" for one in found)
    words = f"{place}: ready on {ready} of {wanted} nodes"
    if ready < wanted or not wanted:
        namespace = found[0].metadata.namespace
        return fail("daemon set", words, f"kubectl -n {namespace} get pods -l {OURS} -o wide")
    return ok("daemon set", words)


def _nodes(cluster: Cluster, reports: tuple[NodeMemory, ...], now: datetime) -> Check:
    linux = linux_nodes(cluster)
    speaking = {one.metadata.name for one in reports if not one.status.silent(now)}
    mute = linux - speaking
    guarded = guarded_nodes(cluster) if mute else frozenset()
    if broken := sorted(mute & guarded):
        remedy = "See why there: kubectl memguard doctor --node NAME, and the pod's logs."
        return fail("nodes", f"{len(broken)} of {len(linux)} say nothing, or nothing new: {_named(broken)}", remedy)
    if mute:
        remedy = "See the DaemonSet's nodeSelector and tolerations, if these nodes are to be guarded."
        return warn("nodes", f"no pod of memguard on {len(mute)} of {len(linux)}: {_named(sorted(mute))}", remedy)
    oldest = max((one.status.age_seconds(now) or 0.0 for one in reports), default=0.0)
    return ok("nodes", f"all {len(linux)} report, the oldest report is {span(oldest)} old")


def _versions(reports: tuple[NodeMemory, ...]) -> Iterator[Check]:
    there = Counter(
        version for one in reports for version in {one.status.guard_version, one.status.agent_version} if version
    )
    if there.keys() == {__version__}:
        yield ok("versions", f"{__version__} everywhere, and here")
    elif there:
        shown = ", ".join(f"{version} on {count}" for version, count in sorted(there.items()))
        remedy = "Is an upgrade under way? Take the plugin of the version that is installed."
        yield warn("versions", f"nodes: {shown}; this plugin is {__version__}", remedy)


def _operator(cluster: Cluster, now: datetime) -> Check:
    found = cluster.all(Selection(DEPLOYMENTS, labels=f"{OURS},{OPERATOR_COMPONENT}"))
    if not found:
        return ok("operator", "not installed: nodes guard themselves, nothing is evicted ahead")
    one = found[0]
    remedy = f"kubectl -n {one.metadata.namespace} logs deploy/{one.metadata.name}"
    lease = cluster.find(LEASES, LEASE, one.metadata.namespace)
    if lease is None or not lease.spec.renew_time or not lease.spec.holder_identity:
        return fail("operator", f"nobody leads, {one.status.ready_replicas} are ready", remedy)
    age = (now - moment_of(lease.spec.renew_time)).total_seconds()
    if age > 2 * (lease.spec.lease_duration_seconds or LEASE_SECONDS):
        return fail("operator", f"nobody leads: the lease was renewed {span(age)} ago", remedy)
    return ok("operator", f"{lease.spec.holder_identity} leads, {one.status.ready_replicas} are ready")


def _admission(cluster: Cluster) -> Check:
    bound = {
        one.spec.policy_name
        for one in cluster.all(Selection(ADMISSION_BINDINGS))
        if "Deny" in one.spec.validation_actions
    }
    policies = [one for one in cluster.all(Selection(ADMISSION_POLICIES)) if one.metadata.name in bound]
    open_ = [resource for resource in GUARDED if not any(resource in one.about for one in policies)]
    if open_:
        return warn("admission", f"anybody with the right may write {' and '.join(open_)}", ADMISSION)
    return ok("admission", "only memguard writes decisions, and each agent its own node's report")


def _policies(cluster: Cluster) -> Check:
    listings = (cluster.listing(Selection(POLICIES)), cluster.listing(Selection(CLUSTER_POLICIES)))
    broken = [f"{one.namespace or 'cluster'}/{one.name}" for listing in listings for one in listing.broken]
    count = sum(len(listing.items) for listing in listings)
    if broken:
        remedy = "Mend or delete them: nothing is enforced where they might have counted."
        return fail("policies", f"cannot be read: {_named(broken)}", remedy)
    return ok("policies", f"{count} can be read")


def _stops(stops: tuple[Stop, ...]) -> Check:
    if not stops:
        return ok("emergency stop", "none")
    return warn("emergency stop", "; ".join(one.words for one in stops), "kubectl memguard resume --all")


def _named(names: list[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
