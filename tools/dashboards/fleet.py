"""All nodes at a glance: who is short of memory, who will be soon, and where the kernel came first."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard as grafana
from tools.dashboards.colours import BAD, EXHAUSTION, FIT, HEADROOM, LEVELS, MODES, RED, SOON, YELLOW
from tools.dashboards.node import level_of
from tools.dashboards.parts import Column, Panel, Row, count, dashboard, figure, graph, rows_of
from tools.dashboards.promql import (
    CLUSTER,
    OPERATOR,
    RANGE,
    by_node,
    each,
    increase,
    kernel_kills,
    least,
    missed,
    most,
    new,
    of_process,
    or_nothing,
    rate,
    select,
)

ENDS = select("memguard_outcomes_total")
EVICTIONS = select("memguard_operator_decisions_total", CLUSTER, 'action="evict"', 'outcome="acted"')
CONNECTED = select("memguard_guard_connected")
LOOKS = select("memguard_last_look_timestamp_seconds")
LEFT = select("memguard_node_headroom_bytes")
#: Its page, with the time range and the variables that this one has.
NODE_PAGE = (
    "/d/memguard-node?${datasource:queryparam}&${cluster:queryparam}&${__url_time_range}&var-node=${__data.fields.Node}"
)


def board() -> grafana.Dashboard:
    """The dashboard."""
    rows = (
        Row("Now", _now()),
        Row("Memory", _memory()),
        Row("What happened", _happened()),
        Row("Node by node", (_nodes(),)),
    )
    words = "Every node's memory: levels, headroom, time to exhaustion, and kernel OOM kills that memguard missed."
    return dashboard("Fleet", "memguard-fleet", words, rows)


def _now() -> tuple[Panel, ...]:
    return (
        figure("Nodes", "Nodes whose agent is scraped.", f"count({by_node('count', CONNECTED)})"),
        figure(
            "Critical",
            "Nodes that are within their reserve. MemguardNodeCritical fires after five minutes of it.",
            f"sum({by_node('max', select('memguard_node_level', CLUSTER, _is('Critical')))})",
            steps=BAD,
        ),
        figure(
            "Tight",
            "Nodes with less than four reserves left above the reserve: the operator looks after them.",
            f"sum({by_node('max', select('memguard_node_level', CLUSTER, _is('Tight')))})",
            steps=((1, YELLOW),),
        ),
        figure(
            "Guards not ready",
            "Nodes whose guard does not speak with its agent: the kernel's OOM killer alone is there. "
            "MemguardGuardNotReady fires after five minutes.",
            f"count({by_node('count', CONNECTED)}) - ({or_nothing('count(' + by_node('count', LOOKS) + ')')})",
            steps=BAD,
        ),
        figure(
            "Enforcing",
            "Nodes on which something may be ended; on the others all is only observed.",
            f"sum({by_node('max', select('memguard_guard_enforcing'))})",
        ),
        count(
            "Missed",
            "Processes that the kernel's OOM killer ended in the time that is shown: what memguard failed to prevent.",
            or_nothing(f"sum({new(kernel_kills(), RANGE)})"),
            steps=BAD,
        ),
        count(
            "Ended by guards",
            "Containers that the nodes' guards ended in the time that is shown.",
            f"sum({increase(ENDS, RANGE)})",
        ),
        count(
            "Evicted",
            "Pods that the operator evicted in the time that is shown.",
            or_nothing(f"sum({new(EVICTIONS, RANGE, OPERATOR)})"),
        ),
    )


def _memory() -> tuple[Panel, ...]:
    return (
        graph(
            "Nodes by level",
            "How many nodes are Calm, Tight (less than four reserves left above the reserve) or Critical (within it).",
            each("sum", "level", f"max by (cluster, node, level) ({select('memguard_node_level')})"),
            stacked=True,
            width=12,
        ),
        graph(
            "Time to exhaustion, the shortest ten",
            "Until nothing is left, at the node's present pace; there is none while nothing shrinks. "
            "MemguardExhaustionNear fires below the line where nobody may act.",
            least(by_node("min", select("memguard_node_exhaustion_seconds"))),
            unit="s",
            steps=((SOON, RED),),
            logarithmic=True,
            width=12,
        ),
        graph(
            "Headroom, the least ten",
            "Memory available above the node's nearest reserve; below 0 the node is Critical.",
            least(by_node("min", LEFT)),
            unit="bytes",
            steps=((0, RED),),
            minimum=None,
            width=12,
        ),
        graph(
            "Headroom as a share of the node's memory, the least ten",
            "The same against what the node has, to compare nodes of different sizes.",
            least(f"{by_node('min', LEFT)} / {by_node('max', select('memguard_node_memory_bytes'))}"),
            unit="percentunit",
            steps=((0, RED),),
            minimum=None,
            width=12,
        ),
    )


def _happened() -> tuple[Panel, ...]:
    return (
        graph(
            "Missed: kernel OOM kills",
            "Processes that the kernel's OOM killer ended, within the window of each point. No namespace: it is not "
            "known whose they were.",
            missed(),
            bars=True,
        ),
        graph(
            "Ended by guards",
            "Containers that were killed or asked to end and went, within the window of each point.",
            each("sum", "action", increase(ENDS)),
            bars=True,
        ),
        graph(
            "Stalled for memory, the worst ten",
            "Share of the time in which all tasks of a node waited for memory (PSI full).",
            most(by_node("max", rate(select("memguard_node_memory_stalled_seconds_total")))),
            unit="percentunit",
        ),
        graph(
            "The operator's nodes",
            "Nodes in trouble that the operator looks after, and nodes that bear its taint.",
            each("max", "cluster", select("memguard_operator_attended_nodes"), "attended {{cluster}}"),
            each("max", "cluster", select("memguard_tainted_nodes"), "tainted {{cluster}}"),
        ),
        graph(
            "Nodes as the operator hears of them",
            "Nodes that have a NodeMemory, by level, seen by the replica that leads. More than are scraped: "
            "MemguardAgentMissing.",
            each("sum", "level", f"{of_process('memguard_operator_nodes', 'memguard_operator_leading')} == 1"),
            stacked=True,
        ),
        graph(
            "Pressure, the worst ten",
            "How close a node is to breaking, 0 to 1: level, pace and stall in one figure.",
            most(by_node("max", select("memguard_node_pressure_ratio"))),
            unit="percentunit",
        ),
    )


def _nodes() -> Panel:
    return rows_of(
        "Nodes",
        "How every node stands now. A node's name leads to its own page.",
        {"cluster": "Cluster", "node": "Node"},
        Column("Level", level_of(CLUSTER), words=LEVELS),
        Column("Headroom", by_node("min", LEFT), "bytes", HEADROOM),
        Column(
            "Exhausted in",
            by_node("min", select("memguard_node_exhaustion_seconds")),
            "s",
            EXHAUSTION,
        ),
        Column("Pressure", by_node("max", select("memguard_node_pressure_ratio")), "percentunit"),
        Column("Mode", by_node("max", select("memguard_guard_enforcing")), words=MODES),
        Column("Fit", by_node("max", select("memguard_guard_fit")), words=FIT),
        Column("Containers", by_node("max", select("memguard_containers"))),
        Column("Missed", by_node("sum", new(kernel_kills(), RANGE)), steps=BAD),
        link=("Node", NODE_PAGE),
    )


def _is(level: str) -> str:
    return f'level="{level}"'
