"""`kubectl memguard doctor --node`: a node's own report, as checks with remedies."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from memguard.api.meta import condition
from memguard.api.node_memory import NodeCapability, NodeMemoryStatus
from memguard.cli.cluster.doctor.node_checks import CONDITIONS, REMEDIES, examine
from memguard.guard.fitness import READ_ONLY, capabilities
from memguard.kernel.selfguard import Applied

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
GOOD = tuple(condition(kind, holds=True, reason="Yes", now=NOW) for kind in CONDITIONS)


def status(**changes: object) -> NodeMemoryStatus:
    known = {"observed_at": NOW - timedelta(seconds=30), "conditions": GOOD, "level": "Calm", "headroom": "1.5 GiB"}
    return NodeMemoryStatus(**known | changes)  # type: ignore[arg-type]


def test_a_good_node_is_fit() -> None:
    report = examine(status(capabilities=(NodeCapability(name="host-pid", ok=True),)), NOW)
    assert report.fit
    assert {check.status for check in report.checks} == {"ok"}
    assert report.checks[0].finding == "30 s old: Calm, 1.5 GiB above the reserve"


@pytest.mark.parametrize(
    ("changes", "name", "words"),
    [
        ({"observed_at": None}, "report", "never said"),
        ({"observed_at": NOW - timedelta(hours=2)}, "report", "silent for 2 h"),
        (
            {"conditions": (*GOOD[:1], condition("Fit", holds=False, reason="Unfit", message="cgroup v1", now=NOW))},
            "Fit",
            "v1",
        ),
        (
            {"capabilities": (NodeCapability(name="cgroup-write", ok=False, detail="read-only"),)},
            "cgroup-write",
            "read-only",
        ),
    ],
)
def test_what_makes_it_unfit_is_named_with_a_remedy(changes: dict[str, object], name: str, words: str) -> None:
    report = examine(status(**changes), NOW)
    assert not report.fit
    failed = next(check for check in report.checks if check.status == "fail")
    assert failed.name == name
    assert words in failed.finding
    assert failed.remedy


def test_what_makes_it_weaker_is_a_warning() -> None:
    found = (NodeCapability(name="real-time-scheduling", ok=False, detail="EPERM"),)
    report = examine(status(capabilities=found), NOW)
    assert report.fit
    assert [check.name for check in report.checks if check.status == "warn"] == ["real-time-scheduling"]


def test_to_observe_is_no_illness() -> None:
    unfit = condition("Fit", holds=False, reason="Unfit", message=READ_ONLY, now=NOW)
    lacks = [NodeCapability(name=name, ok=False, detail="observe profile") for name in ("cgroup-write", "host-pid")]
    conditions = (unfit, *(one for one in GOOD if one.type != "Fit"))
    report = examine(status(conditions=conditions, capabilities=tuple(lacks)), NOW)
    assert report.fit
    warned = {check.name: check.remedy for check in report.checks if check.status == "warn"}
    assert warned.keys() == {"Fit", "cgroup-write", "host-pid"}
    assert "enforce profile" in (warned["Fit"] or "")
    half = (lacks[0], NodeCapability(name="host-pid", ok=True))  # installed to act, and cannot
    assert not examine(status(conditions=conditions, capabilities=half), NOW).fit


def test_every_capability_that_a_guard_reports_has_a_remedy() -> None:
    measures = [
        Applied(name, ok=False) for name in ("memory lock", "real-time scheduling", "oom_score_adj", "pages in place")
    ]
    known = capabilities("/none", measures, psi="no", supervised=False)
    assert {capability.name for capability in known} <= set(REMEDIES)


def test_a_condition_that_is_not_told_is_no_good_sign() -> None:
    report = examine(status(conditions=()), NOW)
    assert [check.status for check in report.checks[1:]] == ["warn"] * 3
