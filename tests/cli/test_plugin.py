"""What `kubectl memguard` finds out without a cluster: tables, policies from files, simulations, completion."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.cli import golden, incident, plugin_scene
from tests.cli.conftest import Run
from tests.cli.plugin_scene import CART, NOW, SEARCH, record, tight

from memguard.api.meta import ObjectMeta, condition
from memguard.api.node_memory import NodeMemory, NodeMemoryStatus, NodeScorecard, PolicyTally
from memguard.cli.cluster.pause.paused import Paused, resumed_node, stopped_node
from memguard.cli.cluster.rules import Rules
from memguard.cli.cluster.scorecard.evidence import PolicyFigures, evidence
from memguard.cli.cluster.simulate.hindsight import Hindsight, hindsight
from memguard.cli.cluster.simulate.policy_file import read_policies
from memguard.cli.cluster.simulate.prospect import prospect
from memguard.cli.cluster.simulate.rejudged import Known, Plans
from memguard.cli.cluster.simulate.simulation import cluster_words
from memguard.cli.cluster.stops import Stop, node_stops, paused
from memguard.core.advice import Advice
from memguard.core.model import Identity, Owner
from memguard.core.notes import Named
from memguard.core.policies import ClusterMemoryGuardPolicySpec, MemoryGuardPolicySpec
from memguard.errors import InputError


@pytest.mark.row("G3", "K8")
def test_the_tables_are_as_they_were() -> None:
    stale = [path.name for path, text in plugin_scene.outputs(golden.DIRECTORY) if path.read_text() != text]
    assert not stale, "if this change is meant: make generate"


def test_every_command_says_how_it_is_called_and_how_it_ends(run: Run) -> None:
    listed = run("kubectl", "--help").out
    for command in ("top", "explain", "history", "report", "scorecard", "fairness", "simulate", "doctor", "pause"):
        assert command in listed
        text = run("kubectl", command, "--help").out
        assert f"Usage: kubectl memguard {command}" in text
        assert "Examples:" in text
        assert "Exit codes:" in text
    assert run("kubectl", "version").out == run("kubectl", "--version").out


# --- completion


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        (("to",), ["top\tWatch nodes, pods or containers live.", ":4"]),
        (("top", ""), ["nodes", "pods", "containers", ":4"]),
        (("top", "p"), ["pods", ":4"]),
        (("history", "--mo"), ["--mode\tOnly what was done (Enforce), or only observed.", ":4"]),
        (("history", "-o", "j"), ["json", ":4"]),
        (("simulate", "--policy", "x"), [":0"]),
    ],
)
def test_completion_as_kubectl_reads_it(run: Run, typed: tuple[str, ...], expected: list[str]) -> None:
    assert run("kubectl", "__complete", *typed).out.splitlines() == expected


def test_completion_is_silent_without_a_cluster(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.setenv("HOME", str(tmp_path))
    ran = run("kubectl", "__complete", "explain", "")
    assert (ran.out, ran.err) == (":0\n", "")


# --- policies from a file


def policy(kind: str = "MemoryGuardPolicy", name: str = "mine", **spec: Any) -> dict[str, Any]:
    return {"apiVersion": "memguard.io/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., str]:
    def _written(*documents: Any) -> str:
        path = tmp_path / "policies.yaml"
        path.write_text("\n---\n".join(one if isinstance(one, str) else json.dumps(one) for one in documents))
        return str(path)

    return _written


def test_policies_are_read_one_after_the_other_and_as_a_list(written: Callable[..., str]) -> None:
    one, two = policy(mode="Enforce"), policy("ClusterMemoryGuardPolicy", "default", taint="NoSchedule")
    for file in (written(one, two), written({"kind": "List", "items": [one, two]})):
        found = read_policies(file, "shop")
        assert [tenant.title for tenant in found.tenants] == ["shop/mine"]
        assert [cluster.title for cluster in found.cluster] == ["cluster/default"]


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (policy(mdoe="Enforce"), "document 1: unknown field 'mdoe' at $.spec"),
        (policy(limit={"gaurd": True}), "unknown field 'gaurd' at $.spec.limit"),
        (policy(mode="Slaughter"), "Invalid enum value 'Slaughter' at $.spec.mode"),
        (policy(selector={"matchExpressions": [{"key": "a", "op": "In"}]}), "$.spec.selector.matchExpressions[0]"),
        (policy() | {"kind": "Pod"}, "no policy"),
        (policy() | {"metadata": {}}, "it has no name"),
        ({"apiVersion": "memguard.io/v1alpha1", "kind": "MemoryGuardPolicy"}, "spec"),
        ("[1, 2", "is no YAML"),
        ("a: &a [1]\nb: *a", "aliases are not read"),
        ("just words", "no object"),
        ("", "it is empty"),
        ("---", "there is no policy in it"),
    ],
)
def test_a_policy_that_is_none_is_told_with_its_place(
    run: Run, written: Callable[..., str], document: Any, words: str
) -> None:
    ran = run("kubectl", "simulate", "--policy", written(document), "--trace", "unread", "--alone")
    assert (ran.code, ran.out) == (2, "")
    assert words in ran.err
    assert ran.err.count("\n") == 1


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_end_it(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("any") / "policies.yaml"
    path.write_bytes(content)
    with pytest.raises(InputError):
        read_policies(str(path), "shop")


# --- simulate with traces


@pytest.mark.row("K8")
def test_what_is_only_observed_goes_on_and_what_is_enforced_ends(
    run: Run, written: Callable[..., str], tmp_path: Path
) -> None:
    trace = incident.write_trace(tmp_path / "t.jsonl")

    def after(mode: str) -> list[dict[str, Any]]:
        file = written(policy("ClusterMemoryGuardPolicy", "default", defaults={"mode": mode}))
        ran = run("kubectl", "simulate", "--policy", file, "--trace", trace, "--alone", "-o", "json")
        assert ran.code == 0, ran.err
        [outcome] = json.loads(ran.out)["traces"]
        assert (outcome["node"], outcome["snapshots"]) == ("node-a", incident.SECONDS)
        found: list[dict[str, Any]] = outcome["after"]
        return found

    [enforced], [observed] = after("Enforce"), after("Observe")
    assert (enforced["container"], enforced["mode"], enforced["times"]) == ("shop/cart-7d9/app", "Enforce", 1)
    assert (observed["container"], observed["mode"]) == ("shop/cart-7d9/app", "Observe")


def test_what_the_guard_rails_clip_is_told_with_the_reason(
    run: Run, written: Callable[..., str], tmp_path: Path
) -> None:
    trace = incident.write_trace(tmp_path / "t.jsonl.gz")
    one = policy(mode="Enforce", adjustment=-900)
    one["metadata"]["namespace"] = "shop"
    ran = run("kubectl", "simulate", "--policy", written(one), "--trace", trace, "--alone")
    assert ran.code == 0
    assert "adjustment is -300 and not -900, by tenants.adjustment of cluster/default" in ran.out
    assert "What cannot be known" in ran.out


def test_a_node_selector_is_tried_with_the_labels_that_are_given(
    run: Run, written: Callable[..., str], tmp_path: Path
) -> None:
    trace = incident.write_trace(tmp_path / "t.jsonl")
    spec = {"nodeSelector": {"matchLabels": {"pool": "a"}}, "defaults": {"mode": "Enforce"}}
    file = written(policy("ClusterMemoryGuardPolicy", "pool", **spec))
    common = ("kubectl", "simulate", "--policy", file, "--trace", trace, "--alone", "-o", "json")
    assert json.loads(run(*common).out)["policies"][0]["granted"] is None
    assert json.loads(run(*common, "--node-labels", "pool=a").out)["policies"][0]["granted"] == "Enforce"
    assert run(*common, "--node-labels", "pool").code == 2


def test_a_trace_without_a_snapshot_and_an_option_without_a_trace(
    run: Run, written: Callable[..., str], tmp_path: Path
) -> None:
    empty = tmp_path / "empty.jsonl"
    empty.write_text('{"type": "header"}\n')
    file = written(policy())
    assert "there is no snapshot" in run("kubectl", "simulate", "--policy", file, "--trace", empty, "--alone").err
    assert run("kubectl", "simulate", "--policy", file, "--alone").code == 2


# --- simulate with a cluster


FOR_CART, FOR_SEARCH = ({"matchLabels": {"app": app}} for app in ("cart", "search"))


def plans(before: Rules, after: Rules) -> Plans:
    return Plans(before.compiled({}), before.changed(after).compiled({}))


def tenant(name: str = "strict", **spec: Any) -> Rules:
    return Rules(tenants=(Named(namespace="shop", name=name, spec=msgspec.convert(spec, MemoryGuardPolicySpec)),))


def cluster(**spec: Any) -> Rules:
    return Rules(cluster=(Named(name="default", spec=msgspec.convert(spec, ClusterMemoryGuardPolicySpec)),))


LEAK = Identity(
    id=CART,
    namespace="shop",
    pod="cart-7d9",
    name="app",
    labels={"app": "cart"},
    owner=Owner(kind="Deployment", name="cart"),
)
BESIDE = Identity(id=SEARCH, namespace="shop", pod="search-0", name="app", labels={"app": "search"})
EVERYBODY = Known([LEAK, BESIDE])


def judged(after: Rules, known: Known = EVERYBODY, before: Rules | None = None, **facts: Any) -> Hindsight:
    return hindsight(record(1, **facts), plans(before or Rules(), after), known)


@pytest.mark.parametrize(
    ("after", "facts", "outcome"),
    [
        (tenant(mode="Enforce"), {}, "same"),
        (tenant(mode="Observe"), {}, "observed"),
        (tenant(mode="Enforce"), {"mode": "Observe"}, "acted"),
        (cluster(settings={"protectedNamespaces": ["shop"]}), {}, "spared"),
        (tenant(mode="Enforce", adjustment=-300, selector=FOR_CART), {"threshold_score": 550}, "same"),
        (tenant(mode="Enforce", adjustment=-300, selector=FOR_CART), {"threshold_score": 554}, "spared"),
        (tenant(mode="Enforce", adjustment=500, selector=FOR_SEARCH), {}, "another"),
        (tenant(mode="Enforce"), {"domain": f"container:{CART}"}, "spared"),
        (tenant(mode="Enforce", limit={"guard": True}), {"domain": f"container:{CART}"}, "same"),
    ],
)  # fmt: skip
def test_a_recorded_decision_under_other_policies(after: Rules, facts: dict[str, Any], outcome: str) -> None:
    found = judged(after, **facts)
    assert found.outcome == outcome, found


def test_what_an_end_would_have_been_worth_is_what_was_seen_then() -> None:
    assert "before the kernel's OOM killer came" in judged(tenant(mode="Enforce"), mode="Observe").words


def test_what_was_excluded_by_a_policy_of_then_may_be_chosen_now() -> None:
    protecting = cluster(tenants={"protect": True}, defaults={"mode": "Enforce"}).changed(
        tenant(protected=True, selector=FOR_SEARCH)
    )
    leak, search, *_ = record(1).spec.candidates
    search = msgspec.structs.replace(search, score=900, badness=0.99, excluded="a policy protects it")
    found = judged(
        cluster(defaults={"mode": "Enforce"}).changed(tenant()), before=protecting, candidates=(leak, search)
    )
    assert found.outcome == "another"
    assert "search-0" in found.words


def test_whose_labels_nobody_knows_cannot_be_told() -> None:
    by_labels = tenant(mode="Enforce", selector=FOR_CART)
    assert judged(by_labels, Known([])).outcome == "unknown"
    assert judged(tenant(mode="Enforce"), Known([])).outcome == "same"
    another = msgspec.structs.replace(LEAK, id="f" * 64, pod="cart-8e0")  # of the same workload
    assert judged(by_labels, Known([another])).outcome == "same"
    assert hindsight(record(1), None, EVERYBODY).outcome == "unknown"  # its node is gone


BUDGET = "its own budget of 3 kills in 600 s is spent"


@pytest.mark.parametrize(
    ("told", "before", "after", "outcome"),
    [
        ("its mode is Observe", {"mode": "Observe"}, {"mode": "Enforce"}, "another"),
        ("its mode is Observe", {"mode": "Observe"}, {"mode": "Observe"}, "same"),
        ("a policy protects it", {"mode": "Enforce"}, {"mode": "Enforce"}, "another"),  # of then; another since
        ("its policy allows only to evict it, and a guard on a node evicts nobody", {"actions": ["evict"]}, {},
         "another"),
        ("it is 20 s old, younger than the policy's 60 s", {"minimumAgeSeconds": 60}, {"minimumAgeSeconds": 10},
         "another"),
        ("it is 20 s old, younger than the policy's 60 s", {"minimumAgeSeconds": 60}, {"minimumAgeSeconds": 30},
         "same"),
        (BUDGET, {"budget": {"perContainer": 2}}, {"budget": {"perContainer": 3}}, "unknown"),
        (BUDGET, {}, {}, "same"),
        ("the guard itself runs in it", {"mode": "Observe"}, {"mode": "Enforce"}, "same"),
    ],
)  # fmt: skip
def test_whoever_a_policy_excluded_is_asked_anew(
    told: str, before: dict[str, Any], after: dict[str, Any], outcome: str
) -> None:
    """The other one is worse than the victim, and was left alone for what was told."""
    leak, search, *_ = record(1).spec.candidates
    search = msgspec.structs.replace(search, score=900, badness=0.99, excluded=told)
    theirs = {"selector": FOR_SEARCH, "precedence": 5}
    strict = tenant(mode="Enforce")
    found = judged(
        tenant("other", **theirs, **after), before=strict.changed(tenant("other", **theirs, **before)),
        candidates=(leak, search),
    )  # fmt: skip
    assert found.outcome == outcome, found


def test_of_a_list_that_was_cut_nobody_says_that_there_was_nobody_else() -> None:
    first, other, *_ = record(1).spec.candidates
    more = [msgspec.structs.replace(other, id=f"{one:064x}", title=f"shop/p{one}/app") for one in range(11)]
    spared = cluster(settings={"protectedNamespaces": ["shop"]})
    assert judged(spared, candidates=(first, *more[:10])).outcome == "spared"
    found = judged(spared, candidates=(first, *more))
    assert (found.outcome, "none of the 12 that were recorded" in found.words) == ("unknown", True)


def test_a_silent_node_is_no_present() -> None:
    old = msgspec.structs.replace(tight(), observed_at=NOW - timedelta(hours=2))
    after = tenant(adjustment=500, selector=FOR_SEARCH)
    silent, speaking = (prospect("n", one, plans(Rules(), after), EVERYBODY, NOW) for one in (old, tight()))
    assert (silent.silent, silent.age_seconds, speaking.silent) == (True, 7200.0, False)
    words = cluster_words([silent, speaking], [])
    assert words.startswith("On 1 of 1 node another")
    assert "1 node more fell silent" in words


@pytest.mark.parametrize(
    ("after", "nearest", "chosen"),
    [
        (tenant(), "shop/cart-7d9/app", True),
        (tenant(adjustment=-300, selector=FOR_CART), "shop/cart-7d9/app", True),
        (tenant(adjustment=500, selector=FOR_SEARCH), "shop/search-0/app", True),
        (cluster(settings={"protectedNamespaces": ["shop"]}), None, False),
        (cluster(settings={"reserveRatio": 0.01, "reserveCap": "16Mi"}), "shop/cart-7d9/app", False),
    ],
)
def test_who_would_be_nearest_to_being_chosen_now(after: Rules, nearest: str | None, chosen: bool) -> None:
    found = prospect("worker-1", tight(), plans(Rules(), after), EVERYBODY, NOW)
    assert found.before is not None
    assert found.before.container == "shop/cart-7d9/app"
    assert (found.after.container if found.after else None) == nearest
    assert (found.after is not None and found.after.chosen) == chosen


# --- evidence, stops


@pytest.mark.row("K5")
@pytest.mark.parametrize(
    ("hits", "false_alarms", "misses", "words"),
    [
        (0, 0, 0, "no evidence either way"),
        (2, 0, 0, "too little to judge by"),
        (8, 2, 1, "speaks for Enforce"),
        (7, 3, 0, "speaks against Enforce"),
        (0, 3, 9, "too little to judge by"),
        (0, 0, 9, "9 misses, nothing foreseen: if they were at containers' own limits"),
        (0, 0, 1, "1 miss, nothing foreseen"),
    ],
)
def test_what_evidence_is_worth(hits: int, false_alarms: int, misses: int, words: str) -> None:
    figures = PolicyFigures(title="shop/a", mode="Observe", hits=hits, false_alarms=false_alarms, misses=misses)
    [policy_] = evidence((), [figures]).policies
    assert words in policy_.words
    enforcing = msgspec.structs.replace(figures, mode="Enforce")
    [policy_] = evidence((), [enforcing]).policies
    assert ("it enforces" in policy_.words) == bool(hits + false_alarms + misses)


def test_nodes_count_where_no_operator_does() -> None:
    found = evidence(plugin_scene.reports(), [PolicyFigures(title="shop/strict", mode="Observe")])
    assert [(one.of, one.hits, one.right_ratio, one.foreseen_ratio) for one in found.policies] == [
        ("shop/strict", 4, 0.8, 0.8)
    ]
    assert found.cluster.since == NOW - timedelta(days=3)


@pytest.mark.parametrize(("title", "mode"), [("cluster/default", "Observe"), ("shop/deleted", None)])
def test_the_built_in_policy_is_not_gone(title: str, mode: str | None) -> None:
    [report] = (one for one in plugin_scene.reports() if one.status.scorecard)
    card = NodeScorecard(misses=1, policies=(PolicyTally(policy=title, misses=1),))
    status = msgspec.structs.replace(report.status, scorecard=card)
    [policy_] = evidence([msgspec.structs.replace(report, status=status)], []).policies
    assert (policy_.of, policy_.mode) == (title, mode)


@pytest.mark.parametrize("at", ["yesterday", "2026-11-30T12:00:00"])
def test_a_note_beside_a_stop_may_be_anything(at: str) -> None:
    notes = {"memguard.io/paused-at": at, "memguard.io/paused-because": "\x1b[31m"}
    report = NodeMemory(metadata=ObjectMeta(name="n", annotations=notes), spec=Advice(emergency_stop=True))
    [stop] = node_stops([report])
    assert (stop.of, stop.since, stop.reason) == ("node/n", None, "\x1b[31m")


def said(*, acting: str = "Enforce", seconds: float = 1.0) -> NodeMemory:
    """A node whose guard says this of itself."""
    told = condition("Acting", holds=acting == "Enforce", reason=acting, now=NOW)
    status = NodeMemoryStatus(observed_at=NOW - timedelta(seconds=seconds), conditions=(told,))
    return NodeMemory(metadata=ObjectMeta(name="n"), status=status)


STOP = (Stop(of="cluster/emergency-stop"),)
HEEDING = said(acting="EmergencyStop")


@pytest.mark.row("K8")
@pytest.mark.parametrize(
    ("report", "stops", "stopped", "resumed"),
    [
        (HEEDING, STOP, True, False),
        (HEEDING, (), False, False),
        (said(), STOP, False, False),
        (said(), (), False, True),
        (said(acting="Observe"), (), False, True),
        (said(acting="EmergencyStop", seconds=3600), STOP, False, False),
        (said(seconds=3600), (), False, False),
        (NodeMemory(metadata=ObjectMeta(name="n")), STOP, False, False),
    ],
)
def test_only_a_stop_that_is_there_and_heeded_is_one(
    report: NodeMemory, stops: tuple[Stop, ...], stopped: bool, resumed: bool
) -> None:
    assert stopped_node(report, stops, NOW).confirmed == paused(report, stops, NOW) == stopped
    assert resumed_node(report, stops, NOW).confirmed == resumed


def test_nobody_who_confirms_is_no_confirmation() -> None:
    sure = stopped_node(HEEDING, STOP, NOW)
    assert Paused(done="", nodes=(sure,)).sure
    assert not Paused(done="", nodes=()).sure
    assert not Paused(done="", nodes=(sure,), unknown=("whether there are others",)).sure
