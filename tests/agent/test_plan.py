"""The cluster's policies as the node's plan, and how it is kept and handed over."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.agent.cluster import Events
from tests.agent.guards import victim
from tests.agent.pods import key, pod

from memguard.agent.census import Census
from memguard.agent.plan import Sources, compiled, references
from memguard.agent.plan_store import KeptPlan, PlanStore
from memguard.agent.planner import Planner
from memguard.api.meta import Desired, ObjectMeta
from memguard.core.advice import NO_ADVICE, Advice
from memguard.core.link import LARGEST_MESSAGE_BYTES
from memguard.core.policies import ClusterMemoryGuardPolicySpec, MemoryGuardPolicySpec, Notify, Treatment
from memguard.core.policy import Plan
from memguard.core.selector import LabelSelector
from memguard.kube.codec import Broken, Codec
from memguard.service.journal import Journal
from memguard.service.resources import ClusterPolicy, TenantPolicy

NOW = datetime(2026, 11, 23, 6, tzinfo=UTC)


def tenant(name: str = "strict", namespace: str = "shop", **spec: Any) -> TenantPolicy:
    metadata = ObjectMeta(name=name, namespace=namespace, uid=f"uid-{name}", resource_version="7")
    return Desired(metadata=metadata, spec=MemoryGuardPolicySpec(**({"mode": "Enforce"} | spec)))


def cluster(name: str = "default", **spec: Any) -> ClusterPolicy:
    return Desired(metadata=ObjectMeta(name=name, uid=f"uid-{name}"), spec=ClusterMemoryGuardPolicySpec(**spec))


def broken(name: str, namespace: str = "", version: str = "1") -> Broken:
    return Broken(name=name, namespace=namespace, uid=f"uid-{name}", resource_version=version, problem="no number")


def sources(
    *,
    tenants: tuple[Any, ...] = (),
    clusters: tuple[Any, ...] = (),
    broken_tenants: tuple[Broken, ...] = (),
    broken_clusters: tuple[Broken, ...] = (),
    labels: dict[str, str] | None = None,
    advice: Advice | None = NO_ADVICE,
) -> Sources:
    return Sources(
        tenants={(one.metadata.namespace, one.metadata.name): one for one in tenants},
        cluster={("", one.metadata.name): one for one in clusters},
        broken_tenants={one.key: one for one in broken_tenants},
        broken_cluster={one.key: one for one in broken_clusters},
        node_labels=labels or {},
        advice=advice,
    )


ENFORCING = cluster(defaults=Treatment(mode="Enforce"))


def test_without_anything_it_only_observes() -> None:
    found = compiled(sources())
    assert (found.plan.acts, found.cluster) == (False, "default")


def test_the_nodes_labels_choose_the_clusters_policy() -> None:
    chosen = cluster("gpu", node_selector=LabelSelector(match_labels={"gpu": "yes"}))
    assert compiled(sources(clusters=(ENFORCING, chosen), labels={"gpu": "yes"})).cluster == "gpu"
    assert compiled(sources(clusters=(ENFORCING, chosen))).cluster == "default"


@pytest.mark.parametrize(
    "how",
    [
        {"broken_tenants": (broken("other", "shop"),)},
        {"broken_clusters": (broken("other"),)},
        {"advice": Advice(emergency_stop=True)},
        {"advice": None},
    ],
)
def test_what_cannot_be_read_never_enforces(how: dict[str, Any]) -> None:
    """Nor where it might have counted: a policy of an older CRD, or advice that may have said stop."""
    assert compiled(sources(tenants=(tenant(),))).plan.acts
    assert not compiled(sources(tenants=(tenant(),), **how)).plan.acts


def test_a_policy_of_an_older_definition_is_broken_and_no_other() -> None:
    codec = Codec(TenantPolicy)
    listed = b"""{"metadata": {"resourceVersion": "9"}, "items": [
        {"metadata": {"name": "old", "namespace": "shop", "uid": "u", "resourceVersion": "1"},
         "spec": {"mode": "Kill"}},
        {"metadata": {"name": "new", "namespace": "mall", "uid": "v", "resourceVersion": "2"},
         "spec": {"mode": "Enforce"}, "status": {"matchedContainers": "of another version"}}]}"""
    found = codec.listing(listed)
    made = sources(tenants=found.objects, broken_tenants=found.broken)
    assert [note.policy for note in compiled(made).notes if note.kind == "Broken"] == ["shop/old"]
    assert [rule.policy for rule in compiled(made).plan.rules if rule.mode == "Enforce"] == ["mall/new"]


def test_policies_are_found_by_their_titles() -> None:
    found = references(
        sources(
            tenants=(tenant(),),
            clusters=(ENFORCING,),
            broken_tenants=(broken("b", "shop"),),
            broken_clusters=(broken("c"),),
        )
    )
    assert {title: (one.kind, one.uid) for title, one in found.items()} == {
        "shop/strict": ("MemoryGuardPolicy", "uid-strict"),
        "shop/b": ("MemoryGuardPolicy", "uid-b"),
        "cluster/default": ("ClusterMemoryGuardPolicy", "uid-default"),
        "cluster/c": ("ClusterMemoryGuardPolicy", "uid-c"),
    }


# --- kept, and handed over


class Link:
    """Takes what the guard is to know."""

    def __init__(self) -> None:
        self.plans: list[Plan] = []

    def tell(self, *, plan: Plan) -> None:
        self.plans.append(plan)


class Desk:
    """A planner and what is around it."""

    def __init__(self, directory: Path) -> None:
        self.link, self.events, self.troubles = Link(), Events(), list[str]()
        self.store = PlanStore(str(directory), self.troubles.append)
        self.census = Census()
        self.log = os.open(os.devnull, os.O_WRONLY)
        self.planner = Planner(
            self.store,
            self.link,  # type: ignore[arg-type]
            self.census,
            self.events,  # type: ignore[arg-type]
            Journal(self.log),
            now=lambda: NOW,
        )


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    found = Desk(tmp_path)
    yield found
    os.close(found.log)


def test_a_plan_is_handed_over_once(desk: Desk) -> None:
    assert (desk.planner.kept, desk.planner.current, desk.link.plans) == (None, False, [])
    for made_of in (sources(tenants=(tenant(),)), sources(tenants=(tenant(),)), sources()):
        desk.planner.remake(made_of)
    assert [plan.acts for plan in desk.link.plans] == [True, False]
    assert desk.planner.current
    assert desk.planner.kept is not None
    assert desk.planner.kept.made_at == NOW


def test_a_plan_that_does_not_go_over_the_socket_leaves_the_one_before(desk: Desk, tmp_path: Path) -> None:
    desk.planner.remake(sources(tenants=(tenant(),)))
    huge = cluster(defaults=Treatment(mode="Enforce", notify=Notify(directory="/" * (LARGEST_MESSAGE_BYTES + 1))))
    desk.planner.remake(sources(tenants=(tenant(),), clusters=(huge,)))
    assert not desk.planner.current
    assert "does not go over the socket" in desk.planner.problem
    assert desk.planner.kept is not None
    assert [desk.planner.kept.plan] == desk.link.plans
    desk.planner.remake(sources(tenants=(tenant(),)))
    assert (desk.planner.current, desk.planner.problem, len(desk.link.plans)) == (True, "", 1)
    desk.store.keep_plan(KeptPlan(plan=compiled(sources(clusters=(huge,))).plan, cluster="default", made_at=NOW))
    assert Desk(tmp_path).planner.kept is None, "nor one of an agent that knew no such bound"


def test_the_next_process_has_it_at_once(desk: Desk, tmp_path: Path) -> None:
    desk.planner.remake(sources(tenants=(tenant(),)))
    after = Desk(tmp_path)
    assert after.planner.kept == desk.planner.kept
    assert not after.planner.current, "until the API server has spoken"
    after.planner.remake(sources(tenants=(tenant(),)))
    assert after.planner.current
    assert after.link.plans == [], "the agent told it when it began"


@pytest.mark.parametrize("content", [b"", b"{", b'{"plan": {"version": 5}}', b"\xff", b'{"cluster": "default"}'])
def test_a_broken_file_is_ignored_with_a_word(desk: Desk, tmp_path: Path, content: bytes) -> None:
    desk.planner.remake(sources(tenants=(tenant(),)))
    (tmp_path / "plan.json").write_bytes(content)
    (tmp_path / "roster.json").write_bytes(content)
    after = Desk(tmp_path)
    assert (after.planner.kept, after.link.plans, after.store.roster()) == (None, [], None)
    assert ["plan.json is broken" in one or "roster.json is broken" in one for one in after.troubles] == [True, True]


def test_a_directory_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "none")
    desk.planner.remake(sources())
    assert len(desk.link.plans) == 1
    assert "plan.json cannot be written: No such file" in desk.troubles[0]
    os.close(desk.log)


def test_who_was_who_is_remembered_but_not_believed(desk: Desk) -> None:
    desk.census.follow([pod()])
    assert desk.census.roster is not None
    desk.store.keep_roster(desk.census.roster)
    found = desk.store.roster()
    assert found is not None
    assert (found.containers, found.pods, found.listed) == (desk.census.roster.containers, ("uid-cart",), False)


def test_a_broken_policy_is_told_of_each_version_once(desk: Desk) -> None:
    one, next_ = broken("old", "shop"), broken("old", "shop", version="2")
    for found in (one, one, next_, next_):
        desk.planner.remake(sources(broken_tenants=(found,)))
    assert [(notice.reason, notice.id) for notice in desk.events.notices] == [
        ("PolicyIgnored", "ignored-uid-old-1"),
        ("PolicyIgnored", "ignored-uid-old-2"),
    ]
    assert "nothing is enforced in namespace shop" in desk.events.notices[0].note
    assert [note.kind for note in desk.planner.notes] == ["Broken"]


def test_by_which_policy_a_container_is_treated(desk: Desk) -> None:
    picky = tenant(selector=LabelSelector(match_labels={"app": "cart"}))
    assert desk.planner.policy_of(victim()) == "", "no plan, no policy"
    desk.planner.remake(sources(tenants=(picky,)))
    assert desk.planner.policy_of(victim(key("a"))) == "cluster/default", "its labels are not known"
    desk.census.follow([pod(meta={"labels": {"app": "cart"}})])
    assert desk.planner.policy_of(victim(key("a"))) == "shop/strict"
    desk.census.follow([])
    assert desk.planner.policy_of(victim(key("a"))) == "shop/strict", "it ended a moment ago"
    assert not desk.census.runs(key("a"), "uid-cart")
