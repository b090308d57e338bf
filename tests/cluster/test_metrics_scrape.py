"""The real Prometheus (Debian's package) reads the real agent, and promtool finds nothing to say."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from e2e.lab.control_plane import ControlPlane
from e2e.prometheus import Prometheus, Target
from tests.agent.guards import ScriptedGuard, decision, kernel_kill, outcome, standing, victim
from tests.cluster.agents import AgentProcess, Site, deploy, withdraw
from tests.cluster.clients import wait_until

from memguard.core.catalogue import CATALOGUE
from memguard.core.link import Capability
from memguard.core.model import Stall

NODE = "scraped-node"
#: What it takes to be shown at all.
FULL = {
    "top": (standing(1),),
    "stall": Stall(some_total_seconds=1.0, full_total_seconds=0.5),
    "lines": {"armed": 2},
    "capabilities": (Capability(name="host-pid", ok=True),),
    "exhaustion_seconds": 9.0,
    "resident_bytes": 17 << 20,
    "turns": 7,
}


@pytest.fixture
def site(control_plane: ControlPlane, tmp_path: Path) -> Iterator[Site]:
    deploy(control_plane)
    yield Site(control_plane, NODE, tmp_path)
    withdraw(control_plane)


@contextmanager
def busy(site: Site) -> Iterator[tuple[ScriptedGuard, AgentProcess]]:
    """An agent that has something of everything to show."""
    with site.guard() as guard, site.agent() as agent:
        guard.wait(lambda: guard.plan)
        agent.wait_ready()
        guard.news(decision=decision(victim=victim(namespace="default")))
        guard.news(outcome=outcome(victim=victim(namespace="default")))
        guard.news(kernel_kill=kernel_kill(victim=victim("b" * 64, namespace="default")))
        guard.say(**FULL)
        wait_until(lambda: agent.value("memguard_guard_turns_total") == 7)
        wait_until(lambda: agent.value('memguard_outcomes_total{action="kill"}') == 1)
        wait_until(lambda: agent.value("memguard_last_report_timestamp_seconds"))
        yield guard, agent


def test_promtool_finds_nothing_to_say(site: Site) -> None:
    with busy(site) as (_, agent):
        text = agent.http("/metrics")[1]
    ran = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    shown = set(re.findall(r"^# TYPE (memguard_\w+)", text, re.MULTILINE))
    assert shown == {metric.name for metric in CATALOGUE}


@pytest.mark.row("K4")
def test_prometheus_reads_the_agent_and_answers(site: Site, tmp_path: Path) -> None:
    with busy(site) as (guard, agent), Prometheus(tmp_path, [Target(f"127.0.0.1:{agent.port}")]) as prometheus:
        wait_until(lambda: prometheus.value("up") == 1)
        wait_until(lambda: prometheus.value('memguard_decisions_total{action="kill",outcome="acted"}') == 1)
        assert prometheus.value("memguard_freed_bytes_total{action='kill'}") == 1 << 30
        assert prometheus.value('sum(memguard_kernel_oom_kills_total{namespace="default"})') == 1
        assert prometheus.value("histogram_quantile(0.99, memguard_reaction_seconds_bucket)") <= 0.001  # type: ignore[operator]
        assert prometheus.value('memguard_container_score{pod="pod-1"}') == 499
        exemplars = prometheus.ask("query_exemplars", query="memguard_reaction_seconds_bucket", start=0, end=1 << 32)
        assert decision().id in json.dumps(exemplars)
        guard.say(**FULL | {"top": ()})
        wait_until(lambda: prometheus.value('memguard_container_score{pod="pod-1"}') is None)
        assert prometheus.value("memguard_guard_turns_total") == 7
