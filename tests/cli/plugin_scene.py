"""What `kubectl memguard` shows people of one scene, drawn by the views that the commands use."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console, RenderableType
from tests.cli import records

from memguard.api.decision import MemoryGuardDecision
from memguard.api.meta import ObjectMeta, condition
from memguard.api.node_memory import NodeMemory, NodeMemoryStatus, NodeScorecard, PlanInForce, PolicyTally, TopContainer
from memguard.cli.checks.check import fail, ok, warn
from memguard.cli.cluster.doctor.diagnosis import ClusterDiagnosis, NodeDiagnosis
from memguard.cli.cluster.doctor.node_checks import examine
from memguard.cli.cluster.doctor.view import diagnosis_view
from memguard.cli.cluster.explain.case import PodExplanation
from memguard.cli.cluster.explain.reasons import reasons
from memguard.cli.cluster.explain.view import pod_view
from memguard.cli.cluster.fairness.balance import balance
from memguard.cli.cluster.fairness.view import fairness_view
from memguard.cli.cluster.history.decision_list import DecisionList
from memguard.cli.cluster.history.view import history_view
from memguard.cli.cluster.pause.paused import Paused, PausedNode
from memguard.cli.cluster.pause.view import paused_view
from memguard.cli.cluster.rules import Rules
from memguard.cli.cluster.scorecard.evidence import PolicyFigures, evidence
from memguard.cli.cluster.scorecard.view import evidence_view
from memguard.cli.cluster.stops import Stop
from memguard.cli.cluster.top.standing import (
    Standing,
    container_standings,
    node_standing,
    node_standings,
    pod_standings,
)
from memguard.cli.cluster.top.view import standing_view
from memguard.cli.incident.incident import Incident, explained
from memguard.core.model import Identity, Owner
from memguard.core.notes import Named
from memguard.core.policies import MemoryGuardPolicySpec

NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
MIB = 1 << 20
CART, SEARCH, DNS = (f"{number:064x}" for number in (1, 2, 3))
WIDTH = 150
STOP = Stop(of="cluster/emergency-stop", since=NOW - timedelta(minutes=9), reason="incident 4711")
BELOW = "its score is below the threshold of 320"


def reports() -> tuple[NodeMemory, ...]:
    """Of three nodes: one is short of memory, one is calm, one fell silent."""
    return (
        _report("worker-1", _heeding(tight())),
        _report("worker-2", _status(1800, "Calm", 0.0, 8000.0, age=200, mode="Observe")),
        _report("worker-3", _status(900, "Calm", 0.0, 8000.0, age=7200)),
    )


def tight() -> NodeMemoryStatus:
    """What the node says that is short of memory."""
    top = (
        TopContainer(id=CART, namespace="shop", pod="cart-7d9", name="app", score=712, footprint_bytes=900 * MIB,
                     limit_bytes=1024 * MIB, limit_seconds=42.0),
        TopContainer(id=SEARCH, namespace="shop", pod="search-0", name="app", score=310, footprint_bytes=622 * MIB,
                     excluded=BELOW),
        TopContainer(id=DNS, namespace="kube-system", pod="dns-x2", name="app", score=280, footprint_bytes=20 * MIB,
                     excluded="namespace kube-system is protected"),
    )  # fmt: skip
    card = NodeScorecard(
        hits=4, false_alarms=1, misses=1, since=NOW - timedelta(days=3),
        policies=(PolicyTally(policy="shop/strict", hits=4, false_alarms=1, misses=1),),
    )  # fmt: skip
    said = _status(300, "Tight", 0.8, 320.0, age=3)
    return msgspec.structs.replace(said, top=top, scorecard=card, exhaustion_seconds=80.0, kernel_oom_kills=1)


def _status(
    available_mib: int, level: Any, pressure: float, threshold: float, *, age: float, mode: Any = "Enforce"
) -> Any:
    met = tuple(condition(kind, holds=True, reason="Good", now=NOW) for kind in ("Ready", "Fit", "PlanCurrent"))
    return NodeMemoryStatus(
        observed_at=NOW - timedelta(seconds=age), conditions=met, level=level, mode=mode, pressure=pressure,
        threshold_score=threshold, total_bytes=2048 * MIB, available_bytes=available_mib * MIB, reserve_bytes=123 * MIB,
        headroom_bytes=(available_mib - 123) * MIB, headroom=f"{available_mib - 123} MiB", containers=12,
        plan=PlanInForce(version="52155c8507f5", policy="default"),
    )  # fmt: skip


def _heeding(status: NodeMemoryStatus) -> NodeMemoryStatus:
    """It enforces nothing because of a stop, and says so."""
    stopped = condition("Acting", holds=False, reason="EmergencyStop", now=NOW)
    return msgspec.structs.replace(status, mode="Observe", conditions=(*status.conditions, stopped))


def _report(name: str, status: NodeMemoryStatus) -> NodeMemory:
    return NodeMemory(metadata=ObjectMeta(name=name), status=status)


def record(number: int, **facts: Any) -> MemoryGuardDecision:
    """The leak that was ended, an hour after the one before; fields of the spec (ours for them) may be others."""
    watched = {"phase": "Observed", "verdict": "Hit", "freed_bytes": None, "seconds": None, "kernel_oom_kills": None}
    done = {"phase": "Done", "freed_bytes": 880 * MIB, "freed": "880 MiB", "seconds": 0.041}
    spec = records.decision().spec
    usual = {
        "victim": msgspec.structs.replace(spec.victim, workload="shop/Deployment/cart/app"),
        "candidates": tuple(msgspec.structs.replace(one, owner_kind="Deployment") for one in spec.candidates),
        "id": f"20261130-{number:06}-000001-0000", "node": "worker-1", "trigger": "line", "policy": "shop/strict",
        "taken_at": NOW - timedelta(hours=6 - number), "threshold_score": 320.0, "timeline": (),
    }  # fmt: skip
    made = records.decision(watched if facts.get("mode") == "Observe" else done, **usual | facts)
    return msgspec.structs.replace(made, metadata=ObjectMeta(name=made.spec.id, namespace="shop"))


def decisions() -> tuple[MemoryGuardDecision, ...]:
    """Five that were carried out, and one that was only observed."""
    return (*(record(number) for number in range(5)), record(5, mode="Observe"))


def views() -> Iterator[tuple[str, RenderableType]]:
    """Every table with its name."""
    told = reports()
    nodes = node_standings(told, lambda report: (STOP,) if report.metadata.name != "worker-2" else (), NOW)
    containers = container_standings(told, lambda namespace, _: namespace == "shop", NOW)
    yield "top-nodes", standing_view(Standing(taken_at=NOW, nodes=nodes), "nodes", wide=False)
    yield "top-nodes-wide", standing_view(Standing(taken_at=NOW, nodes=nodes, unread=1), "nodes", wide=True)
    yield "top-containers", standing_view(Standing(taken_at=NOW, containers=containers), "containers", wide=True)
    yield "top-pods", standing_view(Standing(taken_at=NOW, containers=pod_standings(containers)), "pods", wide=False)
    yield "explain", pod_view(explanation())
    yield "history", history_view(DecisionList(items=decisions()), NOW, wide=False)
    yield "history-wide", history_view(DecisionList(items=decisions()[-2:]), NOW, wide=True)
    figures = [PolicyFigures(title="shop/strict", mode="Observe"), PolicyFigures(title="shop/new", mode="Observe")]
    figures += [PolicyFigures(title="shop/limits", mode="Observe", hits=0, false_alarms=0, misses=9)]
    yield "scorecard", evidence_view(evidence(told, figures), wide=True)
    yield "fairness", fairness_view(balance(map(record, range(6)), None))
    yield "doctor", diagnosis_view(diagnosis())
    yield "pause", paused_view(paused())


def explanation() -> PodExplanation:
    """Of the leak."""
    last = decisions()[4]
    policy = MemoryGuardPolicySpec(mode="Enforce", adjustment=50, protected=True)
    rules = Rules(tenants=(Named(namespace="shop", name="strict", spec=policy),))
    who = Identity(id=CART, namespace="shop", pod="cart-7d9", name="app", owner=Owner(kind="Deployment", name="cart"))
    now = reasons(who, tight(), rules.compiled({}), (STOP,), heeded=True)
    node = node_standing(reports()[0], (STOP,), NOW)
    sentence = f"{last.spec.reason} It was killed. It was gone after 41 ms; 880 MiB came back."
    return PodExplanation(
        namespace="shop", pod="cart-7d9", exists=True, sentence=sentence, decision=last, victim=True,
        explanation=explained(Incident(decision=last, made_at=NOW)), decisions=6, node=node, containers=(now,),
        unknown=("what it does: nobody may ask",),
    )  # fmt: skip


def diagnosis() -> ClusterDiagnosis:
    """An installation that lacks something."""
    checks = (
        ok("kinds", "all 4 are there, of this version"),
        fail(
            "daemon set", "memguard-system/memguard-node: ready on 2 of 3 nodes", "kubectl -n memguard-system get pods"
        ),
        warn("emergency stop", STOP.words, "kubectl memguard resume --all"),
    )
    nodes = tuple(
        NodeDiagnosis(node=one.metadata.name, fit=found.fit, checks=found.checks)
        for one in reports()
        for found in (examine(one.status, NOW),)
    )
    return ClusterDiagnosis(fit=False, checks=checks, nodes=nodes)


def paused() -> Paused:
    """Two nodes, one of which does not answer."""
    return Paused(
        done="Paused: 1 of 2 nodes confirm it.",
        nodes=(
            PausedNode(node="worker-1", stops=(STOP,), confirmed=True, words="enforces nothing"),
            PausedNode(node="worker-3", stops=(STOP,), confirmed=False, words="its agent is silent"),
        ),
        next="It holds until: kubectl memguard resume --all",
        unguarded=("worker-4",),
    )


def outputs(directory: Path) -> Iterator[tuple[Path, str]]:
    """Every golden file with what it should hold."""
    for name, view in views():
        screen = Console(file=io.StringIO(), width=WIDTH, markup=False, emoji=False, highlight=False)
        screen.print(view)
        assert isinstance(screen.file, io.StringIO)
        yield directory / f"kubectl-{name}.txt", screen.file.getvalue()
