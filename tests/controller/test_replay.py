"""Reports that a real agent wrote on a real node (e2e/recorder) lead to the decision that the operator made there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from memguard.controller.reports import snapshot
from memguard.controller.resources import RecordedDecision, ReportedNode
from memguard.core.compile import compile_plan
from memguard.core.foresight import FORESIGHT_SECONDS, ahead, culprit, look
from memguard.core.history import History
from memguard.core.model import Identity
from memguard.core.notes import Cluster, Named, Tenant
from memguard.core.policies import ClusterMemoryGuardPolicySpec, MemoryGuardPolicySpec
from memguard.core.policy import Plan
from memguard.core.select import Ranking
from memguard.kube.identities import identities
from memguard.kube.objects import Pod

INCIDENTS = Path(__file__).parent / "incidents"


def plan_of(still: dict[str, Any]) -> Plan:
    clusters: list[Cluster] = [
        Named(name=one["metadata"]["name"], spec=msgspec.convert(one["spec"], ClusterMemoryGuardPolicySpec))
        for one in still["clusterPolicies"]["items"]
    ]
    tenants: list[Tenant] = [
        Named(
            namespace=one["metadata"]["namespace"],
            name=one["metadata"]["name"],
            spec=msgspec.convert(one["spec"], MemoryGuardPolicySpec),
        )
        for one in still["policies"]["items"]
    ]
    return compile_plan(clusters, tenants, still["node"]["metadata"].get("labels", {})).plan


def known_of(still: dict[str, Any]) -> dict[str, Identity]:
    pods = (msgspec.convert(one, Pod) for one in still["pods"]["items"])
    return {one.id: one for pod in pods for one in identities(pod)}


def replayed(still: dict[str, Any], reports: list[dict[str, Any]]) -> Ranking:
    """The ranking that leads to the first deed."""
    plan, known, history, taken_at = ahead(plan_of(still)), known_of(still), History(), None
    for one in reports:
        reported = msgspec.convert(one, ReportedNode)
        if reported.status.observed_at == taken_at:  # told again, since we wrote its spec
            continue
        taken_at = reported.status.observed_at
        report, left = reported.status, reported.status.exhaustion_seconds
        if report.level == "Calm":
            history = History()
            continue
        history, ranking = look(history, snapshot(reported.metadata.name, report, known), plan)
        if left is not None and left <= FORESIGHT_SECONDS and culprit(history, ranking) is not None:
            return ranking
    pytest.fail("nobody is chosen")


@pytest.mark.row("G2")
@pytest.mark.parametrize("path", sorted(INCIDENTS.glob("*.jsonl")), ids=lambda path: path.stem)
def test_recorded_reports_lead_to_the_same_decision(path: Path) -> None:
    still, *reports, last = map(json.loads, path.read_text().splitlines())
    recorded = msgspec.convert(last["decisions"][-1], RecordedDecision).spec
    found = replayed(still, reports)
    first = found.candidates[0]
    assert first.container.id == recorded.victim.id
    assert (found.domain.available_bytes, first.freed_bytes) == (recorded.available_bytes, recorded.expected_bytes)
    told = last["decisions"][-1]["spec"]
    assert (first.scored.score, round(first.badness, 4)) == (told["score"], told["badness"])


def test_there_is_an_incident() -> None:
    assert list(INCIDENTS.glob("*.jsonl"))
