"""The whole agent against the real API server, with the rights that it has in a cluster."""

from __future__ import annotations

import itertools
import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from e2e.lab.control_plane import ControlPlane
from e2e.lab.errors import LabError
from tests.agent.guards import ScriptedGuard, answer, decision, kernel_kill, observed, outcome, standing, victim
from tests.agent.pods import described, ended, key, running, waiting
from tests.cluster.agents import Site, crowd, deploy, figure, seconds_until, withdraw
from tests.cluster.clients import client_of, connect, proxy_of, wait_until
from tests.cluster.kinds import install, thing
from tests.cluster.proxy import Refuse

from memguard.core.model import Owner, unread
from memguard.service.resources import POLICIES

_numbers = itertools.count(1)
PLAN_SECONDS = 2.0
MOST_RESIDENT_BYTES = 45 << 20


@pytest.fixture(scope="module")
def plane(control_plane: ControlPlane) -> Iterator[ControlPlane]:
    deploy(control_plane)
    yield control_plane
    withdraw(control_plane)


@pytest.fixture
def site(plane: ControlPlane, tmp_path: Path) -> Iterator[Site]:
    """A node that no other test knows; its policies are gone afterwards."""
    node = f"agent-node-{next(_numbers)}"
    yield Site(plane, node, tmp_path, pool=node)
    plane.kubectl("delete", "mgp,cmgp", "--all", "--all-namespaces")


def policy(namespace: str, name: str = "strict", **spec: Any) -> dict[str, Any]:
    one = thing("MemoryGuardPolicy", name, spec={"mode": "Enforce"} | spec)
    one["metadata"]["namespace"] = namespace
    return one


def space(site: Site) -> str:
    return site.namespace(f"of-{site.node}")


def knows(guard: ScriptedGuard, letter: str) -> Callable[[], object]:
    return lambda: key(letter) in guard.roster.known


# --- in


def test_policies_become_the_guards_plan_and_pods_its_names(site: Site) -> None:
    namespace = space(site)
    site.apply(policy(namespace, adjustment=100))
    site.apply(policy(site.namespace(f"elsewhere-{site.node}")))
    # Any controller of ours would end the pod that it does not know: this owner has none.
    site.plane.kubectl("create", "configmap", "cart", "-n", namespace)
    owned_by = {"apiVersion": "v1", "kind": "ConfigMap", "name": "cart", "controller": True}
    owner = [owned_by | {"uid": site.get("configmap", "cart", "-n", namespace)["metadata"]["uid"]}]
    labels = {"app": "cart"}
    uid = site.pod(described(meta={"labels": labels, "ownerReferences": owner}), namespace)
    with site.guard() as guard, site.agent() as agent:
        guard.wait(knows(guard, "a"))
        guard.wait(lambda: guard.plan and guard.plan.acts)
        identity = guard.roster.known[key("a")]
        assert (identity.namespace, identity.pod, identity.pod_uid, identity.name) == (namespace, "cart", uid, "app")
        assert (identity.owner, identity.labels) == (Owner(kind="ConfigMap", name="cart"), labels)
        assert uid in guard.roster.pods
        assert guard.plan is not None
        assert [rule.policy for rule in guard.plan.rules] == [f"{namespace}/strict", "cluster/default"]
        agent.wait_ready()
        # and it follows: a pod of another namespace comes, the container is restarted, the pod goes
        site.show("cart", namespace, {"containerStatuses": [running("app", "b", restartCount=1)]})
        guard.wait(knows(guard, "b"))
        assert key("a") not in guard.roster.known
        site.pod(described(statuses=[running("app", "c")]), f"elsewhere-{site.node}")
        guard.wait(knows(guard, "c"))
        assert guard.plan.rule_for(unread(guard.roster.known[key("c")])).policy == f"elsewhere-{site.node}/strict"
        site.plane.kubectl("delete", "pod/cart", "-n", namespace, "--force", "--grace-period=0")
        guard.wait(lambda: uid not in guard.roster.pods)
        assert key("b") not in guard.roster.known


def test_a_policys_change_reaches_the_guard_in_less_than_two_seconds(site: Site) -> None:
    namespace = space(site)
    site.apply(policy(namespace, mode="Observe"))
    site.pod(described(), namespace)
    with site.guard() as guard, site.agent() as agent, client_of(connect(site.plane)) as administrator:
        guard.wait(lambda: guard.plan)
        agent.wait_ready()
        taken = []
        for adjustment in range(1, 11):
            began = time.monotonic()
            administrator.merge_patch(POLICIES, "strict", {"spec": {"adjustment": adjustment}}, namespace)
            guard.wait(lambda wanted=adjustment: guard.plan and guard.plan.rules[0].adjustment == wanted)
            taken.append(time.monotonic() - began)
        figure("plan_seconds_median", median(taken))
        figure("plan_seconds_longest", max(taken))
        assert max(taken) < PLAN_SECONDS


def test_the_nodes_labels_choose_the_plan(site: Site) -> None:
    spec = {"nodeSelector": {"matchLabels": {"pool": site.node}}, "defaults": {"mode": "Enforce"}, "precedence": 5}
    site.apply(thing("ClusterMemoryGuardPolicy", "pool", spec=spec))
    with site.guard() as guard, site.agent():
        guard.wait(lambda: guard.plan and guard.plan.acts)
        wait_until(lambda: site.status().get("plan", {}).get("policy") == "pool")


@pytest.mark.row("K2")
def test_a_policy_that_slips_through_is_ignored_aloud_and_enforces_nothing(site: Site) -> None:
    """Of another version of the definition, which knew more modes."""
    namespace = space(site)
    site.apply(policy(namespace, "good"))
    site.pod(described(), namespace)
    mode = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/mode/enum"
    lax = json.dumps([{"op": "remove", "path": mode}])
    site.plane.kubectl("patch", "crd", "memoryguardpolicies.memguard.io", "--type=json", "-p", lax)
    try:
        with site.guard() as guard, site.agent() as agent:
            guard.wait(lambda: guard.plan and guard.plan.acts)
            wait_until(lambda: applied(site, policy(namespace, "odd", mode="Slaughter")))
            guard.wait(lambda: guard.plan and not guard.plan.acts)
            wait_until(lambda: site.condition("PlanCurrent") == ("False", "PolicyIgnored"))
            wait_until(lambda: site.events(namespace, "PolicyIgnored"))
            [event] = site.events(namespace, "PolicyIgnored")
            assert event["involvedObject"]["name"] == "odd"
            assert "nothing is enforced in namespace" in event["message"]
            assert agent.value("memguard_broken_policies") == 1
            site.plane.kubectl("delete", "mgp/odd", "-n", namespace)
            guard.wait(lambda: guard.plan and guard.plan.acts)
            wait_until(lambda: site.condition("PlanCurrent")[0] == "True")
    finally:
        site.plane.kubectl("delete", "mgp", "--all", "-n", namespace)
        install(site.plane)


def applied(site: Site, one: dict[str, Any]) -> bool:
    """The definition that was just changed is in force some time later."""
    try:
        site.apply(one)
    except LabError:
        return False
    return True


# --- out


@pytest.mark.row("T2", "K4")
def test_a_decision_is_written_and_told_under_one_name(site: Site) -> None:
    namespace = space(site)
    site.apply(policy(namespace))
    uid = site.pod(described(), namespace)
    who = victim(key("a"), namespace=namespace, pod_uid=uid)
    one = decision(victim=who)
    with site.guard() as guard, site.agent() as agent:
        guard.wait(lambda: guard.plan and guard.plan.acts and key("a") in guard.roster.known)
        guard.news(decision=one)
        guard.news(outcome=outcome(victim=who))
        wait_until(lambda: site.decisions(namespace).get(one.id, {}).get("status", {}).get("phase") == "Done")
        record = site.decisions(namespace)[one.id]
        assert record["spec"]["node"] == site.node
        assert record["spec"]["policy"] == f"{namespace}/strict"
        assert record["spec"]["reason"] == one.reason
        assert (record["status"]["freedBytes"], record["status"]["freed"]) == (1 << 30, "1.0 GiB")
        wait_until(lambda: len(site.events(namespace, "MemoryGuardKilled")) == 2)
        told = {event["involvedObject"]["kind"]: event for event in site.events(namespace, "MemoryGuardKilled")}
        assert told["Pod"]["involvedObject"]["uid"] == uid
        assert told["Pod"]["related"]["name"] == "strict"
        assert told["MemoryGuardPolicy"]["related"]["uid"] == uid
        assert all(event["metadata"]["name"].startswith(one.id) for event in told.values())
        assert all(one.id in event["message"] for event in told.values())
        labels = f'action="kill",namespace="{namespace}",outcome="acted",policy="{namespace}/strict",trigger="line"'
        assert agent.value(f"memguard_decisions_total{{{labels}}}") == 1
        exemplar = agent.http("/metrics", Accept="application/openmetrics-text; version=1.0.0")[1]
        assert f'decision="{one.id}"' in exemplar
        shown = site.plane.kubectl("get", "mgd", "-n", namespace)
        assert "cart" in shown
        assert "Done" in shown
        assert one.id in site.plane.kubectl("describe", "pod/cart", "-n", namespace)


def test_none_is_lost_and_none_comes_twice_over_an_outage_and_the_agents_death(site: Site) -> None:
    namespace = space(site)
    who = victim(namespace=namespace)
    names = [f"20261123-060000-00000{number}-aaaa" for number in range(1, 6)]
    down = threading.Event()
    with proxy_of(site.plane) as proxy, site.guard() as guard:
        proxy.fail(lambda _: down.is_set(), Refuse(503, reason="ServiceUnavailable"), times=1 << 30)
        with site.agent(url=proxy.url) as agent:
            guard.wait(lambda: guard.plan)
            agent.wait_ready()
            down.set()
            proxy.cut_all()
            for name in names[:3]:
                guard.news(decision=decision(name, victim=who))
            guard.news(outcome=outcome(names[0], victim=who))
            wait_until(lambda: agent.value("memguard_spool_entries") == 4)
            wait_until(lambda: agent.logged("unavailable"))
            guard.wait(lambda: not guard.waiting)
            agent.kill()
        for name in names[3:]:
            guard.news(decision=decision(name, victim=who))
        with site.agent(url=proxy.url) as agent:
            wait_until(lambda: agent.value("memguard_spool_entries") == 6)
            guard.wait(lambda: not guard.waiting)
            assert guard.plan is not None, "from its disk"
            guard.news(outcome=outcome(names[4], victim=who))
            down.clear()
            wait_until(lambda: len(site.decisions(namespace)) == 5 and agent.value("memguard_spool_entries") == 0)
            phases = {name: one["status"]["phase"] for name, one in site.decisions(namespace).items()}
            assert phases == dict(zip(names, ("Done", "Acted", "Acted", "Acted", "Done"), strict=True))
            assert {one["metadata"]["generation"] for one in site.decisions(namespace).values()} == {1}
            wait_until(lambda: len(site.events(namespace, "MemoryGuardKilled")) == 5)
            assert agent.value("memguard_events_dropped_total") == 0
        # once more from the beginning, as a guard would whose receipts were lost
        with site.agent(url=proxy.url) as agent:
            agent.wait_ready()
            assert agent.value("memguard_spool_entries") == 0
        assert len(site.decisions(namespace)) == len(site.events(namespace, "MemoryGuardKilled")) == 5


def test_a_record_that_is_refused_holds_up_nobody(site: Site) -> None:
    namespace = space(site)
    with site.guard() as guard, site.agent() as agent:
        guard.wait(lambda: guard.plan)
        guard.news(decision=decision("Not_A_Name", victim=victim(namespace=namespace)))
        guard.news(decision=decision("in-nowhere", victim=victim(namespace="there-is-none")))
        guard.news(decision=decision("good", victim=victim(namespace=namespace)))
        guard.news(decision=decision("of-the-node", victim=victim(namespace=None, pod=None)))
        wait_until(lambda: set(site.decisions(namespace)) == {"good"})
        wait_until(lambda: "of-the-node" in site.decisions("memguard-system"))
        assert agent.value("memguard_spool_refused_total") == 1
        assert agent.value("memguard_spool_entries") == 1, "a namespace may yet come"
        assert len(list((site.directory / "state" / "spool" / "aside").iterdir())) == 1
        site.namespace("there-is-none")


def test_observed_decisions_are_scored_and_counted(site: Site) -> None:
    namespace = space(site)
    uid = site.pod(described(), namespace)
    who = victim(key("a"), namespace=namespace, pod_uid=uid)
    with site.guard() as guard, site.agent() as agent:
        guard.wait(knows(guard, "a"))
        agent.wait_ready()
        for number in range(3):
            guard.news(decision=observed(f"seen-{number}", victim=who))
        wait_until(lambda: len(site.decisions(namespace)) == 3)
        site.show("cart", namespace, {"containerStatuses": [waiting("app", "a", lastState=shown_now("a"))]})
        wait_until(lambda: site.decisions(namespace)["seen-0"]["status"].get("verdict") == "Hit")
        wait_until(lambda: site.decisions(namespace)["seen-2"]["status"].get("verdict") == "Hit")
        assert agent.value('memguard_scorecard_total{verdict="hit"}') == 1
        assert agent.value(f'memguard_kernel_oom_kills_total{{namespace="{namespace}",scope="container"}}') == 1
        # the guard's own word about it, later: the same kill
        guard.news(kernel_kill=kernel_kill(5, victim=who, group=True))
        guard.news(kernel_kill=kernel_kill(1, victim=victim(key("b"), namespace=namespace, pod_uid=uid)))
        wait_until(lambda: agent.value(f'memguard_kernel_oom_kills_total{{namespace="{namespace}",scope="process"}}'))
        assert agent.value(f'memguard_kernel_oom_kills_total{{namespace="{namespace}",scope="container"}}') == 1
        wait_until(lambda: len(site.events(namespace, "KernelOOMKill")) == 2)
        [event] = site.events(namespace, "MemoryGuardWouldKill")
        assert event["type"] == "Normal", "three in a row are one with a count"
        wait_until(lambda: site.status()["scorecard"].get("misses"))
    before = site.status()["scorecard"]
    assert before["hits"] == 1
    shutil.rmtree(site.directory / "state")  # another pod, as after an upgrade: its evidence is the node's report
    with site.guard(), site.agent() as agent:
        agent.wait_ready()
        wait_until(lambda: site.condition("Ready")[0] == "True")
        assert site.status()["scorecard"] == before
        assert agent.value('memguard_scorecard_total{verdict="hit"}') == 0, "a counter of this process"


def shown_now(letter: str) -> dict[str, Any]:
    return ended(letter, at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))


def test_vpa_reads_it_as_an_eviction(site: Site) -> None:
    """What its recommender lists: core/v1 Events with reason=Evicted."""
    namespace = space(site)
    uid = site.pod(described(), namespace)
    with site.guard() as guard, site.agent("--vpa-events"):
        guard.wait(knows(guard, "a"))
        guard.news(decision=decision(victim=victim(key("a"), namespace=namespace, pod_uid=uid)))
        wait_until(lambda: site.events(namespace, "Evicted"))
        [event] = site.events(namespace, "Evicted")
        assert event["involvedObject"]["kind"] == "Pod"
        assert (event["involvedObject"]["namespace"], event["involvedObject"]["name"]) == (namespace, "cart")
        told = {name: event["metadata"]["annotations"][name] for name in ("offending_containers", "starved_resource")}
        assert told == {"offending_containers": "app", "starved_resource": "memory"}
        assert event["metadata"]["annotations"]["offending_containers_usage"] == str(1 << 30)


# --- the report


def test_the_report_says_how_the_node_stands(site: Site) -> None:
    with site.guard() as guard, site.agent() as agent:
        guard.wait(lambda: guard.plan)
        agent.wait_ready()
        wait_until(lambda: site.condition("Ready") == ("True", "GuardReports"))
        guard.say(level="Critical", top=(standing(1), standing(2)), pressure=0.97, unfit="read-only")
        wait_until(lambda: site.status().get("level") == "Critical")
        status = site.status()
        assert [one["pod"] for one in status["top"]] == ["pod-1", "pod-2"]
        assert (status["pressure"], status["mode"], status["guardVersion"]) == (0.97, "Observe", "0.test")
        assert site.condition("Fit") == ("False", "Unfit")
        assert site.condition("Acting") == ("False", "Unfit")
        own = site.get("nodememories", site.node)
        [owner] = own["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["uid"]) == ("Node", site.get("node", site.node)["metadata"]["uid"])
        assert site.node in site.plane.kubectl("get", "nmem")
        before = status["observedAt"]
        guard.say(level="Critical")
        wait_until(lambda: site.status()["observedAt"] != before), "in trouble it is written all the time"
        # whoever deletes it gets another
        site.plane.kubectl("delete", "nmem", site.node)
        wait_until(lambda: site.condition("Ready")[0] == "True")


def test_a_guard_that_is_gone_is_said_within_ten_seconds(site: Site) -> None:
    with site.agent() as agent:
        with site.guard() as guard:
            guard.wait(lambda: guard.plan)
            agent.wait_ready()
            wait_until(lambda: site.condition("Ready")[0] == "True")
        assert seconds_until(lambda: site.condition("Ready") == ("False", "GuardNotConnected")) < 10
        code, why = agent.http("/readyz")
        assert (code, "guard: " in why) == (503, True)
        assert agent.http("/healthz")[0] == 200
        with site.guard() as guard:
            guard.wait(lambda: guard.plan)
            wait_until(lambda: site.condition("Ready")[0] == "True")


def test_what_is_not_known_yet_is_no_readiness(site: Site) -> None:
    down = threading.Event()
    down.set()
    with proxy_of(site.plane) as proxy, site.guard():
        proxy.fail(lambda _: down.is_set(), Refuse(503, reason="ServiceUnavailable"), times=1 << 30)
        with site.agent(url=proxy.url) as agent:
            code, why = agent.http("/readyz")
            assert code == 503
            assert "pods: not heard of for too long" in why
            assert "plan: not made of the policies yet" in why
            down.clear()
            agent.wait_ready()


def test_the_last_word_is_that_it_stops(site: Site) -> None:
    with site.guard() as guard, site.agent() as agent:
        guard.wait(lambda: guard.plan)
        agent.wait_ready()
        assert agent.stop() == 0
        assert site.condition("Ready") == ("False", "AgentStopped")
        assert agent.logged("stop")[0]["hanging"] == []
        since = {one["type"]: one["lastTransitionTime"] for one in site.status()["conditions"]}
        with site.agent():
            wait_until(lambda: site.condition("Ready")[0] == "True")
            after = {one["type"]: one["lastTransitionTime"] for one in site.status()["conditions"]}
            assert after["Ready"] != since["Ready"]
            assert after["Fit"] == since["Fit"], "what did not change holds as long as it did"


# --- orders


def test_orders_are_given_answered_and_never_given_again(site: Site) -> None:
    namespace = space(site)
    uid = site.pod(described(), namespace)
    soon, past = (datetime.now(UTC) + timedelta(seconds=left) for left in (300, -300))
    orders = [
        {"id": "good", "action": "kill", "podUid": uid, "containerId": key("a"), "expiresAt": soon.isoformat()},
        {"id": "stranger", "action": "kill", "podUid": "other", "containerId": key("a"), "expiresAt": soon.isoformat()},
        {"id": "late", "action": "kill", "podUid": uid, "containerId": key("a"), "expiresAt": past.isoformat()},
    ]
    with site.guard() as guard:
        with site.agent() as agent:
            guard.wait(knows(guard, "a"))
            wait_until(lambda: site.condition("Ready")[0] == "True")
            site.patch(f"nmem/{site.node}", {"spec": {"orders": orders}})
            guard.wait(lambda: guard.orders)
            assert [one.id for one in guard.orders] == ["good"]
            wait_until(lambda: set(answers(site)) == {"stranger", "late"})
            agent.kill()
        # it was carried out while no agent was there: the answer waits in the guard
        guard.news(answer=answer("good", decision="20261123-060000-000009-aaaa"))
        site.show("cart", namespace, {"containerStatuses": [waiting("app", "a", lastState=ended("a", "Error"))]})
        with site.agent() as agent:
            wait_until(lambda: "good" in answers(site))
            assert answers(site)["good"] == (True, "20261123-060000-000009-aaaa")
            assert answers(site)["late"] == (False, "")
            agent.wait_ready()
        # and with nothing of its own left it is the report that it reads
        for kept in (site.directory / "state").glob("*.json"):
            kept.unlink()
        with site.agent() as agent:
            agent.wait_ready()
            wait_until(lambda: site.condition("Ready")[0] == "True")
            assert set(answers(site)) == {"good", "stranger", "late"}
    assert [one.id for one in guard.orders] == ["good"]


def answers(site: Site) -> dict[str, tuple[bool, str]]:
    return {one["id"]: (one["accepted"], one.get("decision", "")) for one in site.status().get("orders", ())}


def test_an_emergency_stop_takes_enforcement_and_orders_away(site: Site) -> None:
    namespace = space(site)
    site.apply(policy(namespace))
    uid = site.pod(described(), namespace)
    with site.guard() as guard, site.agent():
        guard.wait(lambda: guard.plan and guard.plan.acts and key("a") in guard.roster.known)
        wait_until(lambda: site.condition("Ready")[0] == "True")
        order = {
            "id": "o", "action": "kill", "podUid": uid, "containerId": key("a"),
            "expiresAt": (datetime.now(UTC) + timedelta(minutes=5)).isoformat(),
        }  # fmt: skip
        site.patch(f"nmem/{site.node}", {"spec": {"emergencyStop": True, "orders": [order]}})
        guard.wait(lambda: guard.plan and not guard.plan.acts)
        wait_until(lambda: answers(site) == {"o": (False, "")})
        assert guard.orders == []
        site.patch(f"nmem/{site.node}", {"spec": {"emergencyStop": False}})
        guard.wait(lambda: guard.plan and guard.plan.acts)


# --- cost


@pytest.mark.row("G4")
def test_a_full_node_costs_little(site: Site) -> None:
    namespace = space(site)
    with client_of(connect(site.plane)) as administrator:
        for number in range(110):
            crowd(administrator, site.node, namespace, number)
        for number in range(50):
            one = policy(namespace, f"policy-{number}", selector={"matchLabels": {"app": str(number)}})
            administrator.create(POLICIES, one, namespace)
    with site.guard() as guard, site.agent() as agent:
        guard.wait(lambda: guard.plan and len(guard.roster.known) == 220)
        agent.wait_ready()
        guard.say(top=tuple(standing(number) for number in range(10)))
        for number in range(20):
            guard.news(decision=decision(f"d-{number}", victim=victim(namespace=namespace)))
        wait_until(lambda: len(site.decisions(namespace)) == 20)
        for _ in range(20):
            assert agent.http("/metrics")[0] == 200
        figure("agent_resident_mib_at_110_pods", agent.resident_bytes() / (1 << 20))
        figure("agent_cpu_seconds_of_110_pods_appearing", agent.value("process_cpu_seconds_total") or 0.0)
        assert agent.resident_bytes() <= MOST_RESIDENT_BYTES


def test_a_port_that_another_has_is_said(site: Site) -> None:
    with site.guard(), site.agent() as first:
        first.wait_ready()
        with site.agent(f"--listen=127.0.0.1:{first.port}") as second:
            assert second.wait() == 2
        assert first.http("/healthz")[0] == 200
