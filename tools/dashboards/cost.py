"""What memguard itself costs and whether it is well: CPU, memory, what was lost, and how fresh what it knows is."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard as grafana
from tools.dashboards.colours import ORANGE, RED
from tools.dashboards.parts import Column, Panel, Row, dashboard, figure, graph, rows_of
from tools.dashboards.promql import (
    AGENT,
    OPERATOR,
    REPLICA,
    Query,
    by_node,
    each,
    increase,
    most,
    of_process,
    or_nothing,
    rate,
    select,
    share,
)

#: What each may cost (docs/guard.md, docs/cluster.md, docs/operator.md): the guard's locked memory with its open cgroup
#: files' pages, the agent's, the operator's for 5,000 nodes.
GUARD_BYTES, AGENT_BYTES, OPERATOR_BYTES = 24 << 20, 45 << 20, 150 << 20
CPU, MEMORY = "process_cpu_seconds_total", "process_resident_memory_bytes"


def board() -> grafana.Dashboard:
    """The dashboard."""
    rows = (
        Row("Now", _figures()),
        Row("The guard", _guard()),
        Row("The agent", _agent()),
        Row("The operator", _operator()),
        Row("What it knows, and what was lost", _health()),
    )
    words = "What memguard itself costs: CPU and memory of guard, agent and operator; what was lost; how fresh it is."
    return dashboard("Own cost", "memguard-cost", words, rows)


def _cpu(beside: str) -> str:
    return f"{rate(select(CPU))} and on (cluster, instance) {select(beside)}"


def _figures() -> tuple[Panel, ...]:
    return (
        figure(
            "Guard CPU",
            "Of one CPU, on an average node.",
            f"avg({by_node('sum', rate(select('memguard_guard_cpu_seconds_total')))})",
            unit="percentunit",
            decimals=2,
        ),
        figure(
            "Guard CPU, most",
            "Of one CPU, on the busiest node.",
            f"max({by_node('sum', rate(select('memguard_guard_cpu_seconds_total')))})",
            unit="percentunit",
            decimals=2,
        ),
        figure(
            "Guard memory",
            "The largest guard's own memory, which it locks.",
            f"max({select('memguard_guard_resident_bytes')})",
            unit="bytes",
            steps=((GUARD_BYTES, ORANGE),),
        ),
        figure(
            "Agent CPU",
            "Of one CPU, on an average node.",
            f"avg({_cpu(AGENT)})",
            unit="percentunit",
            decimals=2,
        ),
        figure(
            "Agent memory",
            "The largest agent's resident memory.",
            f"max({of_process(MEMORY, AGENT)})",
            unit="bytes",
            steps=((AGENT_BYTES, ORANGE),),
        ),
        figure(
            "Operator CPU",
            "All replicas together, of one CPU.",
            f"sum({_cpu(OPERATOR)})",
            unit="percentunit",
            decimals=2,
        ),
        figure(
            "Operator memory",
            "The largest replica's resident memory.",
            f"max({of_process(MEMORY, OPERATOR)})",
            unit="bytes",
            steps=((OPERATOR_BYTES, ORANGE),),
        ),
        figure(
            "Oldest report",
            "How long ago the node that is silent for longest wrote its NodeMemory. MemguardReportStale: 15 minutes.",
            f"max(time() - {by_node('max', select('memguard_last_report_timestamp_seconds'))})",
            unit="s",
            steps=((330, ORANGE), (900, RED)),
        ),
    )


def _guard() -> tuple[Panel, ...]:
    return (
        graph(
            "CPU, the most ten",
            "Of one CPU. Idle it costs the same whatever the number of containers; near the danger it looks every few "
            "milliseconds.",
            most(by_node("sum", rate(select("memguard_guard_cpu_seconds_total")))),
            unit="percentunit",
        ),
        graph(
            "Awake, the most ten",
            "Share of the time in which the guard looked instead of sleeping.",
            most(by_node("sum", rate(select("memguard_guard_awake_seconds_total")))),
            unit="percentunit",
        ),
        graph(
            "Memory, the most ten",
            "The guard's own, which it locks. The line is what it may have.",
            most(by_node("max", select("memguard_guard_resident_bytes"))),
            unit="bytes",
            steps=((GUARD_BYTES, RED),),
        ),
        graph(
            "Looks per second, the most ten",
            "How often the guard woke up and looked.",
            most(by_node("sum", rate(select("memguard_guard_turns_total")))),
            unit="reqps",
        ),
        graph(
            "One look, mean",
            "How long the guard was awake for one look, over all nodes.",
            Query(
                share(
                    f"sum({rate(select('memguard_guard_awake_seconds_total'))})",
                    f"sum({rate(select('memguard_guard_turns_total'))})",
                ),
                "a look",
            ),
            unit="s",
        ),
        graph(
            "Alarms",
            "What a person must know, within the window of each point: growth that no container explains, a critical "
            "process gone, no supervisor.",
            each("sum", "kind", increase(select("memguard_alarms_total"))),
            bars=True,
        ),
    )


def _agent() -> tuple[Panel, ...]:
    return (
        graph(
            "CPU, the most ten",
            "Of one CPU.",
            most(by_node("sum", _cpu(AGENT))),
            unit="percentunit",
        ),
        graph(
            "Memory, the most ten",
            "Resident. The line is what it may have.",
            most(by_node("max", of_process(MEMORY, AGENT))),
            unit="bytes",
            steps=((AGENT_BYTES, RED),),
        ),
        graph(
            "Records that wait for the API server, the most ten",
            "MemguardSpoolStuck fires when they have for a quarter of an hour.",
            most(by_node("max", select("memguard_spool_entries"))),
        ),
    )


def _operator() -> tuple[Panel, ...]:
    return (
        graph(
            "CPU",
            "Of one CPU, by replica.",
            each("sum", "cluster, pod", _cpu(OPERATOR), REPLICA),
            unit="percentunit",
        ),
        graph(
            "Memory",
            "Resident, by replica. The line is what it may have with 5,000 nodes.",
            each("max", "cluster, pod", of_process(MEMORY, OPERATOR), REPLICA),
            unit="bytes",
            steps=((OPERATOR_BYTES, RED),),
        ),
        graph(
            "Who leads",
            "1 for the replica that acts. MemguardOperatorNotLeading fires when there is none for two minutes.",
            each("max", "cluster, pod", select("memguard_operator_leading"), REPLICA),
        ),
        graph(
            "Records",
            "MemoryGuardDecisions that are kept.",
            each("max", "cluster", select("memguard_operator_records"), "kept {{cluster}}"),
        ),
        graph(
            "Records that were deleted",
            "Too old, or too many, within the window of each point.",
            each(
                "sum", "cluster", increase(select("memguard_operator_expired_decisions_total")), "deleted {{cluster}}"
            ),
            bars=True,
        ),
        graph(
            "Failed requests and refused reports",
            "Requests that are tried again, and reports that make no sense, within the window of each point.",
            Query(or_nothing(f"sum by (what) ({increase(select('memguard_operator_failures_total'))})"), "{{what}}"),
            each("sum", "cause", increase(select("memguard_operator_reports_refused_total")), "report: {{cause}}"),
            bars=True,
        ),
    )


def _health() -> tuple[Panel, ...]:
    lost = {
        "memguard_spool_dropped_total": "records, no room",
        "memguard_spool_refused_total": "records, refused",
        "memguard_guard_dropped_news_total": "news of the guard",
        "memguard_journal_dropped_lines_total": "log lines",
        "memguard_events_dropped_total": "Events",
    }
    return (
        graph(
            "Lost",
            "What could not be told, within the window of each point. MemguardRecordsLost is about the first three.",
            *(Query(f"sum({increase(select(metric))})", words) for metric, words in lost.items()),
            bars=True,
        ),
        graph(
            "How long ago the API server was heard",
            "The watch that is silent for longest, by resource. At the line what depends on it stops: "
            "MemguardPlanStale, MemguardOperatorBlind.",
            each("max", "resource", select("memguard_watch_age_seconds")),
            unit="s",
            steps=((150, RED),),
        ),
        graph(
            "Watches that ended in an error",
            "They go on where they were; within the window of each point.",
            each("sum", "resource", increase(select("memguard_watch_failures_total"))),
            bars=True,
        ),
        graph(
            "Age of the plan, the oldest ten",
            "How long ago the plan in force was made. An old plan is a good one, while the policies do not change.",
            most(f"time() - {by_node('max', select('memguard_plan_timestamp_seconds'))}"),
            unit="s",
        ),
        graph(
            "Policies that cannot be read",
            "As the node sees it that finds most. MemguardPolicyBroken fires after ten minutes.",
            each("max", "cluster", select("memguard_broken_policies"), "broken {{cluster}}"),
        ),
        rows_of(
            "Versions",
            "How many nodes run which agent, guard and Python. Two lines for long: a rollout that does not end.",
            {"cluster": "Cluster", "version": "Agent", "guard_version": "Guard", "python": "Python"},
            Column("Nodes", f"count by (cluster, version, guard_version, python) ({select('memguard_build_info')})"),
            width=8,
        ),
    )
