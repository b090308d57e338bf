"""The operator when it is killed, when there are two of it, and when requests fail; docs/operator.md has the table."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from e2e.lab.control_plane import ControlPlane
from tests.cluster.agents import figure, seconds_until, withdraw
from tests.cluster.clients import proxy_of, wait_until
from tests.cluster.operators import MIB, Node, OperatorProcess, Space, deploy_operator, entry, operating, patched
from tests.cluster.proxy import GONE, Cut, Fault, Hang, Insert, Lose, Mute, Proxy, Refuse, Seen

_numbers = itertools.count(1)

When = Callable[[Seen], bool]

BUDGET = ({"reason": "DisruptionBudget", "message": "The disruption budget db needs 2 healthy pods"},)


@pytest.fixture(scope="module")
def plane(control_plane: ControlPlane) -> Iterator[ControlPlane]:
    deploy_operator(control_plane)
    yield control_plane
    withdraw(control_plane)


@pytest.fixture(scope="module")
def wire(plane: ControlPlane) -> Iterator[Proxy]:
    """Between the operators that are not killed and the API server."""
    with proxy_of(plane) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def operator(plane: ControlPlane, wire: Proxy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OperatorProcess]:
    with operating(plane, tmp_path_factory.mktemp("operator"), url=wire.url) as process:
        process.wait_ready()
        process.wait_leading()
        yield process


class Scene:
    """A node with a leak that somebody makes anew elsewhere, one that may go in its place, and reports 2 s apart."""

    def __init__(
        self, plane: ControlPlane, *, owned: bool = True, mode: str = "Enforce", action: str = "evict"
    ) -> None:
        self.node = Node(plane, f"fault-node-{next(_numbers)}")
        self.space = Space(self.node, f"of-{self.node.name}")
        self.space.policy(mode=mode, actions=[action])
        amounts = {"requests": {"memory": "64Mi"}} | ({"limits": {"memory": "128Mi"}} if action == "resize" else {})
        container = {"name": "app", "image": "pause", "resources": amounts}
        self.leak, self.other = (
            self.space.pod(name, owned=owned, containers=[container]) for name in ("leak", "other")
        )
        self.uid = self.node.get("pod", "leak", "-n", self.space.name)["metadata"]["uid"]
        self._began: datetime | None = None
        self._looks = 0

    def look(self, **more: Any) -> None:
        """One more report of a node that loses 5 MiB a second."""
        now = datetime.now(UTC)
        if self._began is None:  # what is older than a minute is not acted on
            self._began = now - timedelta(seconds=40)
        look, at = self._looks + 1, self._began + timedelta(seconds=2 * (self._looks + 1))
        if at > now:  # nor what is yet to come
            return
        self._looks, left = look, max(150, 560 - 10 * look)
        top = (entry(self.leak, 400 + 7 * look), entry(self.other, 300 + 3 * look))
        self.node.report(left, *top, exhaustion=left / 5, at=at, **more)

    def look_until(self, true: Callable[[], object]) -> None:
        """Report until something is so."""

        def told() -> object:
            self.look()
            return true()

        wait_until(told)

    def begin_again(self) -> None:
        """It was calm for a moment."""
        assert self._began is not None
        self._began += timedelta(seconds=2 * self._looks + 2)
        self._looks = 0
        self.node.report(1100, entry(self.other, 300), level="Calm", at=self._began)

    def settle(self) -> dict[str, Any]:
        """The leak is gone, its memory back; its record, once that is told."""
        if self.space.exists("leak"):
            self.space.gone("leak")

        def done() -> bool:
            self.node.report(1100, entry(self.other, 300), level="Calm")
            return self.record().get("status", {}).get("phase") in ("Done", "Incomplete")

        wait_until(done)
        return self.record()

    def record(self) -> dict[str, Any]:
        return self.space.decisions().get(f"evict-{self.uid}", {})

    def judged(self) -> bool:
        """Does its policy's status say how it stands?"""
        return bool(self.space.status().get("conditions"))

    # --- which requests are about it

    def dry_run(self, seen: Seen) -> bool:
        return self._evicts(seen) and b"dryRun" in seen.body

    def eviction(self, seen: Seen) -> bool:
        return self._evicts(seen) and b"dryRun" not in seen.body

    def written(self, seen: Seen) -> bool:
        return seen.verb == "POST" and seen.path.endswith(f"/{self.space.name}/memoryguarddecisions")

    def amended(self, seen: Seen) -> bool:
        return seen.verb == "PATCH" and seen.path.endswith(f"/memoryguarddecisions/evict-{self.uid}/status")

    def ordered(self, seen: Seen) -> bool:
        return (
            seen.verb == "PATCH" and seen.path.endswith(f"/nodememories/{self.node.name}") and b'"orders"' in seen.body
        )

    def tainted(self, seen: Seen) -> bool:
        return seen.verb == "PATCH" and seen.path.endswith(f"/nodes/{self.node.name}")

    def _evicts(self, seen: Seen) -> bool:
        return seen.path.endswith(f"/{self.space.name}/pods/leak/eviction")


def evictions(proxy: Proxy, scene: Scene) -> int:
    """Those of the leak that the server was asked for."""
    return sum(map(scene.eviction, list(proxy.passed)))


def happened(proxy: Proxy, fault: Fault) -> bool:
    """Is the operator where it is to die?"""
    return proxy.muted.acquire(blocking=False) if isinstance(fault, Mute) else proxy.pending == 0


# --- killed

STEPS: dict[str, tuple[str, Fault]] = {
    "before the dry run": ("dry_run", Hang()),
    "after the dry run": ("dry_run", Mute()),
    "before the record": ("written", Hang()),
    "after the record": ("written", Mute()),
    "before the eviction": ("eviction", Hang()),
    "after the eviction": ("eviction", Mute()),
    "after the first status": ("amended", Mute()),
}


@pytest.mark.chaos
@pytest.mark.row("K3", "S10")
@pytest.mark.parametrize("step", STEPS)
def test_killed_in_an_eviction(plane: ControlPlane, proxy: Proxy, tmp_path: Path, step: str) -> None:
    scene, (request, fault) = Scene(plane), STEPS[step]
    with operating(plane, tmp_path, url=proxy.url) as first:
        first.wait_leading()
        proxy.fail(getattr(scene, request), fault)
        scene.look_until(lambda: happened(proxy, fault))
        first.kill()
    _goes_on(plane, proxy, tmp_path, scene)


@pytest.mark.chaos
@pytest.mark.row("K3", "S10")
@pytest.mark.parametrize("gone", [False, True], ids=["while the pod ends", "after it is gone"])
def test_killed_after_an_eviction(plane: ControlPlane, proxy: Proxy, tmp_path: Path, gone: bool) -> None:
    scene = Scene(plane)
    with operating(plane, tmp_path, url=proxy.url) as first:
        first.wait_leading()
        scene.look_until(lambda: scene.space.ending("leak"))
        wait_until(lambda: scene.record().get("status", {}).get("phase") == "Acted")
        if gone:
            scene.space.gone("leak")
        first.kill()
    _goes_on(plane, proxy, tmp_path, scene)


@pytest.mark.chaos
@pytest.mark.row("K3", "S10")
def test_killed_before_it_tells_the_end(plane: ControlPlane, proxy: Proxy, tmp_path: Path) -> None:
    scene = Scene(plane)
    with operating(plane, tmp_path, url=proxy.url) as first:
        first.wait_leading()
        scene.look_until(lambda: scene.space.ending("leak"))
        wait_until(lambda: scene.record().get("status", {}).get("phase") == "Acted")
        proxy.fail(scene.amended, Hang())
        scene.space.gone("leak")
        wait_until(lambda: scene.node.report(1100, entry(scene.other, 300), level="Calm") or proxy.pending == 0)
        first.kill()
    _goes_on(plane, proxy, tmp_path, scene)


def _goes_on(plane: ControlPlane, proxy: Proxy, directory: Path, scene: Scene) -> None:
    with operating(plane, directory, url=proxy.url) as second:
        second.wait_leading()
        if not scene.space.ending("leak"):
            scene.look_until(lambda: scene.space.ending("leak"))
        record = scene.settle()
        assert second.logged("lost") == []
    assert evictions(proxy, scene) == 1
    assert not scene.space.ending("other")
    assert list(scene.space.decisions()) == [record["metadata"]["name"]]
    assert (record["status"]["phase"], record["spec"]["action"]) == ("Done", "evict")
    assert record["status"]["freedBytes"] > 400 * MIB


@pytest.mark.chaos
@pytest.mark.row("K3", "S10")
@pytest.mark.parametrize("fault", [Hang(), Mute()], ids=["before it is written", "after it is written"])
def test_killed_in_an_order(plane: ControlPlane, proxy: Proxy, tmp_path: Path, fault: Fault) -> None:
    """One order for one container, whoever gives it, until it is answered or its time is over."""
    scene = Scene(plane, owned=False, action="kill")
    with operating(plane, tmp_path, url=proxy.url) as first:
        first.wait_leading()
        proxy.fail(scene.ordered, fault)
        scene.look_until(lambda: happened(proxy, fault))
        first.kill()
    with operating(plane, tmp_path, url=proxy.url) as second:
        second.wait_leading()
        scene.look_until(lambda: scene.node.spec().get("orders"))
        for _ in range(8):
            scene.look()
        wait_until(lambda: (second.value("memguard_operator_reaction_seconds_count") or 0) >= 8)
        [order] = scene.node.spec()["orders"]
    assert (order["containerId"], order["action"], order["podUid"]) == (scene.leak, "kill", scene.uid)
    assert sum(map(scene.ordered, list(proxy.passed))) == 1


@pytest.mark.chaos
@pytest.mark.row("K7", "S10")
@pytest.mark.parametrize("fault", [Hang(), Mute()], ids=["before it is put on", "after it is put on"])
def test_killed_in_a_taint(plane: ControlPlane, proxy: Proxy, tmp_path: Path, fault: Fault) -> None:
    scene = _tainting(plane)
    with operating(plane, tmp_path, url=proxy.url) as first:
        first.wait_leading()
        proxy.fail(scene.tainted, fault)
        scene.look_until(lambda: happened(proxy, fault))
        first.kill()
    with operating(plane, tmp_path, url=proxy.url) as second:
        second.wait_leading()
        scene.look_until(lambda: scene.node.taint() == "PreferNoSchedule")
        scene.look(level="Critical")
        wait_until(lambda: scene.node.taint() == "NoSchedule")
        assert _taints(scene) == ["NoSchedule of ours", "of somebody else"]
        plane.kubectl("delete", "nodememory", scene.node.name)  # its agent is gone: nobody knows how it stands
        wait_until(lambda: scene.node.taint() is None)
        assert _taints(scene) == ["of somebody else"]


@pytest.mark.chaos
@pytest.mark.row("K7", "S10")
@pytest.mark.parametrize("fault", [Hang(), Mute()], ids=["before it is off", "after it is off"])
def test_killed_when_a_taint_goes(plane: ControlPlane, proxy: Proxy, tmp_path: Path, fault: Fault) -> None:
    scene = _tainting(plane)
    with operating(plane, tmp_path, url=proxy.url) as first:
        first.wait_leading()
        scene.look_until(lambda: scene.node.taint() is not None)
        proxy.fail(scene.tainted, fault)
        plane.kubectl("delete", "nodememory", scene.node.name)
        wait_until(lambda: happened(proxy, fault))
        first.kill()
    with operating(plane, tmp_path, url=proxy.url) as second:
        second.wait_leading()
        wait_until(lambda: scene.node.taint() is None)
        assert _taints(scene) == ["of somebody else"]


def _tainting(plane: ControlPlane) -> Scene:
    scene = Scene(plane, mode="Observe")
    plane.kubectl("label", "node", scene.node.name, f"scene={scene.node.name}")
    plane.kubectl("taint", "node", scene.node.name, "somebody=else:PreferNoSchedule")
    cluster_policy(scene, taint="NoSchedule")
    return scene


def _taints(scene: Scene) -> list[str]:
    taints = scene.node.get("node", scene.node.name)["spec"]["taints"]
    ours = [f"{one['effect']} of ours" for one in taints if one["key"] == "memguard.io/memory-pressure"]
    return ours + ["of somebody else" for one in taints if one["key"] == "somebody"]


def cluster_policy(scene: Scene, **spec: Any) -> None:
    selector = {"matchLabels": {"scene": scene.node.name}}
    scene.node.apply(
        {
            "apiVersion": "memguard.io/v1alpha1",
            "kind": "ClusterMemoryGuardPolicy",
            "metadata": {"name": scene.node.name},
            "spec": {"nodeSelector": selector, **spec},
        }
    )


def cluster_policy_judged(scene: Scene) -> bool:
    return bool(scene.node.get("cmgp", scene.node.name).get("status", {}).get("conditions"))


# --- two of them


@pytest.mark.row("K3", "S10")
@pytest.mark.parametrize(("sign", "bound"), [("KILL", 15.0), ("TERM", 5.0)])
def test_the_other_leads_when_one_ends(
    plane: ControlPlane, proxy: Proxy, tmp_path: Path, sign: str, bound: float
) -> None:
    scene = Scene(plane)
    with operating(plane, tmp_path, name="one") as one:
        one.wait_leading()
        with operating(plane, tmp_path, url=proxy.url, name="two") as two:
            two.wait_ready()
            begun = len(proxy.seen)
            scene.look_until(lambda: scene.space.ending("leak"))
            assert [seen for seen in proxy.seen[begun:] if seen.verb != "GET"] == []
            assert two.logged("leading") == []
            assert two.value("memguard_operator_leading") == 0
            began = time.monotonic()
            if sign == "TERM":
                assert one.stop() == 0
            else:
                one.kill()
            wait_until(lambda: two.logged("leading"))
            seconds = time.monotonic() - began
            figure(f"operator_failover_{sign.lower()}_seconds", seconds)
            assert seconds < bound
            assert scene.settle()["status"]["phase"] == "Done"
    assert evictions(proxy, scene) == 0


# --- requests that fail

FAILURES = "memguard_operator_failures_total"
REFUSALS = "memguard_operator_refusals_total"


class Case:
    """A fault, what becomes of it, and the metric that tells."""

    def __init__(self, fault: Fault, end: str, metric: str) -> None:
        self.fault, self.end, self.metric = fault, end, metric


LOST = Lose()
AGAIN, NEXT = "it is evicted later", "the next best is evicted"
VETO = 'admission webhook "veto.example.com" denied the request: not today'
BROKEN = 'failed calling webhook "veto.example.com": connection refused'

EVICTION_FAULTS = {
    "429 of a budget": Case(
        Refuse(429, "TooManyRequests", causes=BUDGET), NEXT, f'{REFUSALS}{{cause="disruption_budget"}}'
    ),
    "429 of the server": Case(
        Refuse(429, "TooManyRequests", headers={"Retry-After": "3"}), AGAIN, f'{FAILURES}{{what="toomanyrequests"}}'
    ),
    "500": Case(Refuse(500, "InternalError"), AGAIN, f'{FAILURES}{{what="server"}}'),
    "hang": Case(Hang(), AGAIN, f'{FAILURES}{{what="unreachable"}}'),
    "lost answer": Case(LOST, AGAIN, f'{FAILURES}{{what="unreachable"}}'),
    "401": Case(Refuse(401, "Unauthorized"), AGAIN, f'{FAILURES}{{what="unauthorized"}}'),
    "409": Case(Refuse(409, "Conflict"), NEXT, f'{REFUSALS}{{cause="gone"}}'),
    "404": Case(Refuse(404, "NotFound"), NEXT, f'{REFUSALS}{{cause="gone"}}'),
    "veto": Case(Refuse(403, "Forbidden", VETO), NEXT, f'{REFUSALS}{{cause="refused"}}'),
    "broken webhook": Case(Refuse(500, "InternalError", BROKEN), NEXT, f'{REFUSALS}{{cause="refused"}}'),
}
#: Without a record nothing is evicted.
RECORD_FAULTS = {
    "429 of the server": EVICTION_FAULTS["429 of the server"],
    "500": EVICTION_FAULTS["500"],
    "hang": EVICTION_FAULTS["hang"],
    "lost answer": EVICTION_FAULTS["lost answer"],
    "401": EVICTION_FAULTS["401"],
    "409": Case(Refuse(409, "Conflict"), AGAIN, f'{FAILURES}{{what="conflict"}}'),
    "404": Case(Refuse(404, "NotFound"), NEXT, f'{REFUSALS}{{cause="refused"}}'),
    "veto": EVICTION_FAULTS["veto"],
    "quota": Case(
        Refuse(403, "Forbidden", "exceeded quota: records, requested: 1, used: 9"),
        NEXT,
        f'{REFUSALS}{{cause="refused"}}',
    ),
    "broken webhook": EVICTION_FAULTS["broken webhook"],
}
FAULTS = [
    pytest.param(request, case, id=f"{request}: {name}")
    for request, cases in (("dry_run", EVICTION_FAULTS), ("eviction", EVICTION_FAULTS), ("written", RECORD_FAULTS))
    for name, case in cases.items()
]


@pytest.mark.chaos
@pytest.mark.row("K3", "S10")
@pytest.mark.parametrize(("request_", "case"), FAULTS)
def test_a_request_fails(
    plane: ControlPlane, operator: OperatorProcess, wire: Proxy, request_: str, case: Case
) -> None:
    scene = Scene(plane)
    before = operator.value(case.metric) or 0
    victim, spared = ("leak", "other") if case.end == AGAIN else ("other", "leak")
    # A dry run is asked once more at once, where the connection was an old one.
    wire.fail(getattr(scene, request_), case.fault, 2 if (request_, case.fault) == ("dry_run", LOST) else 1)
    scene.look_until(lambda: scene.space.ending(victim))
    assert not scene.space.ending(spared)
    assert wire.pending == 0
    assert (operator.value(case.metric) or 0) > before
    if case.end == AGAIN:
        assert evictions(wire, scene) == 1
        assert scene.settle()["status"]["phase"] == "Done"
    elif request_ == "eviction":  # it was written down, and not done
        wait_until(lambda: scene.record().get("status", {}).get("phase") == "Incomplete")
    else:
        assert scene.record() == {}
    assert operator.logged("lost") == []


@pytest.mark.chaos
@pytest.mark.row("K3")
def test_retry_after_is_honoured(plane: ControlPlane, operator: OperatorProcess, wire: Proxy) -> None:
    scene = Scene(plane)
    wire.fail(scene.dry_run, Refuse(429, "TooManyRequests", headers={"Retry-After": "6"}))
    scene.look_until(lambda: scene.space.ending("leak"))
    first, second = [seen.at for seen in wire.seen if scene.dry_run(seen)]
    assert second - first >= 6


#: The policies are listed twice a minute.
LISTED_SECONDS = 60.0
WATCHED = ("nodes", "nodememories", "memoryguarddecisions")


@pytest.mark.chaos
@pytest.mark.row("S10")
@pytest.mark.parametrize("kind", WATCHED)
@pytest.mark.parametrize(
    "fault", [Cut(), GONE, Refuse(410, "Expired"), Refuse(401, "Unauthorized")],
    ids=["cut", "410 while it is read", "410 at once", "401"],
)  # fmt: skip
def test_a_watch_fails(plane: ControlPlane, operator: OperatorProcess, wire: Proxy, kind: str, fault: Fault) -> None:
    """It goes on where it was, or lists again; what is reported afterwards is acted on."""
    lists = fault is GONE or fault == Refuse(410, "Expired")
    metric = f'memguard_watch_failures_total{{resource="{kind}"}}'
    before, listed = operator.value(metric) or 0, wire.count(lambda seen: seen.is_list and seen.path.endswith(kind))
    wire.fail(lambda seen: seen.is_watch and seen.path.endswith(kind), fault)
    wire.cut_all()
    scene = Scene(plane)  # something happens to each kind: a watch that is to be cut ends with its next line
    scene.look_until(lambda: scene.space.ending("leak"))
    wait_until(lambda: wire.pending == 0 and (operator.value(metric) or 0) > before)
    wait_until(lambda: not lists or wire.count(lambda seen: seen.is_list and seen.path.endswith(kind)) > listed)
    wait_until(lambda: operator.http("/readyz")[0] == 200)
    assert scene.settle()["status"]["phase"] == "Done"
    assert evictions(wire, scene) == 1


@pytest.mark.chaos
@pytest.mark.row("S10")
@pytest.mark.parametrize(
    "fault", [Cut(), Refuse(410, "Expired"), Insert(b"nonsense\n")], ids=["cut", "410 at once", "nonsense"]
)  # fmt: skip
@pytest.mark.parametrize("kind", ["clustermemoryguardpolicies", "memoryguardpolicies"])
def test_a_watch_of_policies_fails(plane: ControlPlane, proxy: Proxy, tmp_path: Path, fault: Fault, kind: str) -> None:
    """A policy that is made afterwards counts, by the next list where kopf gave up; the process lives.

    The administrators' policies are kopf's, the tenants' our own watcher's.
    """

    def theirs(seen: Seen) -> bool:
        return seen.is_watch and seen.path.endswith(f"/{kind}")

    with operating(plane, tmp_path, url=proxy.url) as operator:
        operator.wait_ready()
        operator.wait_leading()
        proxy.fail(theirs, fault)
        proxy.cut_all()
        scene = Scene(plane)
        cluster_policy(scene)
        seconds_until(lambda: scene.judged() and cluster_policy_judged(scene), LISTED_SECONDS)
        assert proxy.pending == 0
        assert operator.logged("lost") == []


# --- its rights

#: What every client may read to find its way (system:discovery).
DISCOVERY = ("/api", "/apis", "/version")
VERBS = {"POST": "create", "PATCH": "patch", "PUT": "update", "DELETE": "delete"}

Right = tuple[str, str, str]


def right(seen: Seen) -> Right | None:
    """What RBAC is asked for this request: verb, group, resource with its subresource; None for discovery."""
    parts = seen.path.strip("/").split("/")
    group, rest = ("", parts[2:]) if parts[0] == "api" else (parts[1] if len(parts) > 1 else "", parts[3:])
    if rest[:1] == ["namespaces"] and len(rest) > 2:
        rest = rest[2:]
    if not rest:
        return None
    resource, named, sub = rest[0], len(rest) > 1, rest[2:]
    verb = VERBS.get(seen.verb) or ("get" if named else "watch" if seen.is_watch else "list")
    return verb, group, "/".join([resource, *sub])


def granted(plane: ControlPlane) -> set[Right]:
    rules = [
        rule
        for kind in (("clusterrole",), ("role", "-n", "memguard-system"))
        for rule in json.loads(plane.kubectl("get", kind[0], "memguard-operator", *kind[1:], "-o", "json"))["rules"]
    ]
    return {
        (verb, group, resource)
        for rule in rules
        for verb in rule["verbs"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }


@pytest.mark.row("S7", "P2")
def test_it_has_the_rights_that_it_uses_and_no_others(plane: ControlPlane, proxy: Proxy, tmp_path: Path) -> None:
    """All that it does, once: what its role lacked the API server would refuse, and it would not get done."""
    for own in ("configmap/memguard-experience", "lease/memguard-operator"):
        plane.kubectl("delete", own, "-n", "memguard-system", "--ignore-not-found")
    with operating(plane, tmp_path, "--keep-decisions=1", url=proxy.url) as operator:
        operator.wait_leading()
        _leak_and_taint(plane)
        _order(plane)
        _raise_limits(plane)
        _observe_twice(plane)
        wait_until(lambda: _asked(proxy, "create", "configmaps"))
        plane.kubectl("annotate", "configmap", "memguard-experience", "-n", "memguard-system", "memguard.io/reset=all")
        for verb, resource in (("patch", "configmaps"), ("delete", "memoryguarddecisions"), ("patch", "events")):
            wait_until(lambda wanted=(verb, resource): _asked(proxy, *wanted))
        assert operator.stop() == 0
    asked = {found for seen in proxy.seen if (found := right(seen))}
    assert asked - granted(plane) == set(), "asked for, and not granted"
    assert granted(plane) - asked == set(), "granted, and not used"


def _asked(proxy: Proxy, verb: str, resource: str) -> bool:
    return any((found := right(seen)) and found[::2] == (verb, resource) for seen in list(proxy.seen))


def _leak_and_taint(plane: ControlPlane) -> None:
    """An eviction within a budget, a taint, advice to the node, the policies' status."""
    scene = Scene(plane)
    plane.kubectl("label", "node", scene.node.name, f"scene={scene.node.name}")
    cluster_policy(scene, taint="NoSchedule")
    scene.space.budget("leak", 1, app="leak")
    scene.look_until(lambda: scene.space.ending("leak") and scene.node.taint() and scene.node.spec().get("disruptions"))
    scene.settle()
    wait_until(lambda: scene.space.status().get("conditions"))


def _order(plane: ControlPlane) -> None:
    scene = Scene(plane, owned=False, action="kill")
    scene.look_until(lambda: scene.node.spec().get("orders"))


def _raise_limits(plane: ControlPlane) -> None:
    """Two, so that one of the records is too many."""
    scene = Scene(plane, action="resize")
    scene.space.policy(mode="Enforce", actions=["resize"], limit={"maximum": "256Mi"})
    grown = {"limitBytes": 128 * MIB, "limitSeconds": 10.0, "largestLimitBytes": 256 * MIB}
    top = [entry(one, 120, **grown) for one in (scene.leak, scene.other)]
    wait_until(lambda: scene.node.report(1800, *top, level="Calm") or scene.space.decisions())


def _observe_twice(plane: ControlPlane) -> None:
    """The same of the same pod, whose container was restarted: one Event with a count."""
    scene = Scene(plane, mode="Observe")
    told: set[str] = set()

    def told_of() -> set[str]:
        told.update(scene.space.decisions())  # they do not stay long here
        return told

    scene.look_until(lambda: len(told_of()) == 1)
    [status] = scene.node.get("pod", "leak", "-n", scene.space.name)["status"]["containerStatuses"]
    scene.leak = f"f{scene.leak[1:]}"
    changed = {"containerStatuses": [status | {"containerID": f"containerd://{scene.leak}"}]}
    patched(plane, "pod/leak", changed, "-n", scene.space.name)
    scene.begin_again()
    scene.look_until(lambda: len(told_of()) == 2)
