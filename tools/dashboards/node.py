"""One node: how near the danger is, who is near being chosen, and what the guard does about it."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard as grafana
from tools.dashboards.colours import (
    CAN,
    CURRENT,
    DOUBTFUL,
    EXHAUSTION,
    FIT,
    GREY,
    HEADROOM,
    LEAST,
    LEVELS,
    MODES,
    ORANGE,
)
from tools.dashboards.parts import Column, Panel, Row, dashboard, figure, graph, rows_of, variable
from tools.dashboards.promql import NODE, Query, by_node, each, increase, missed, new, rate, select

#: Above the reserve; a node with less is Tight (core/resize.py).
TIGHT_RESERVES = 4


def board() -> grafana.Dashboard:
    """The dashboard."""
    rows = (
        Row("Now", _now()),
        Row("Memory", _memory()),
        Row("Who is near being chosen", _containers()),
        Row("What the guard does", _deeds()),
        Row("What it can do here", (_capabilities(),)),
    )
    words = "One node's memory, the containers nearest to being chosen, lines, brakes, and the steps of the ladder."
    node = variable("node", "memguard_guard_connected", "Node")
    return dashboard("Node", "memguard-node", words, rows, node, since="now-1h")


def level_of(scope: str) -> str:
    """0 Calm, 1 Tight, 2 Critical."""
    tight, critical = (
        by_node("max", select("memguard_node_level", scope, f'level="{level}"')) for level in ("Tight", "Critical")
    )
    return f"{tight} + 2 * {critical}"


def _max(metric: str, *matchers: str) -> str:
    return f"max({select(metric, NODE, *matchers)})"


def _now() -> tuple[Panel, ...]:
    return (
        figure(
            "Level",
            "Tight: less than four reserves left above the reserve. Critical: within the reserve.",
            level_of(NODE),
            words=LEVELS,
        ),
        figure(
            "Headroom",
            "Memory available above the nearest reserve (the node's or kubepods').",
            f"min({select('memguard_node_headroom_bytes', NODE)})",
            unit="bytes",
            steps=HEADROOM,
        ),
        figure(
            "Exhausted in",
            "Until nothing is left, at this pace.",
            f"min({select('memguard_node_exhaustion_seconds', NODE)})",
            unit="s",
            steps=EXHAUSTION,
            none="does not shrink",
        ),
        figure(
            "Mode",
            "Whether anything may be ended here, or all is only observed.",
            _max("memguard_guard_enforcing"),
            words=MODES,
        ),
        figure(
            "Fit",
            "Whether the guard can do here what policies may ask for; in the observe profile it never can. "
            "MemguardNodeUnfit fires after ten minutes, where it is meant to act.",
            _max("memguard_guard_fit"),
            words=FIT,
        ),
        figure(
            "Plan",
            "Whether the guard decides by what the policies say now. MemguardPlanStale fires after ten minutes.",
            _max("memguard_plan_current"),
            words=CURRENT,
        ),
        figure(
            "Containers",
            "Containers under watch on the node.",
            _max("memguard_containers"),
        ),
        figure(
            "Not mapped",
            "Containers of no pod that is known: observed, and never touched.",
            _max("memguard_unmapped_containers"),
            steps=DOUBTFUL,
        ),
    )


def _memory() -> tuple[Panel, ...]:
    reserve = _max("memguard_node_reserve_bytes")
    return (
        graph(
            "Available memory",
            "What can be had without swapping, against the reserve that must stay, and where the node begins to be "
            "Tight.",
            Query(_max("memguard_node_available_bytes"), "available"),
            Query(reserve, "reserve"),
            Query(f"{1 + TIGHT_RESERVES} * {reserve}", "tight below"),
            unit="bytes",
            width=12,
        ),
        graph(
            "Pressure",
            "How close the node is to breaking, 0 to 1: level, pace and stall in one figure.",
            Query(_max("memguard_node_pressure_ratio"), "pressure"),
            unit="percentunit",
            width=6,
        ),
        graph(
            "Waiting for memory",
            "Share of the time in which some, or all, tasks waited for memory (PSI).",
            Query(f"max({rate(select('memguard_node_memory_waiting_seconds_total', NODE))})", "some"),
            Query(f"max({rate(select('memguard_node_memory_stalled_seconds_total', NODE))})", "all"),
            unit="percentunit",
            width=6,
        ),
    )


def _containers() -> tuple[Panel, ...]:
    by_container = "max by (namespace, pod, container) ({})".format
    score, footprint, left = (
        by_container(select(f"memguard_container_{name}", NODE))
        for name in ("score", "footprint_bytes", "time_to_limit_seconds")
    )
    legend = "{{pod}}/{{container}}"
    return (
        graph(
            "Score, against the threshold",
            "Scores of the ten containers nearest to being chosen; who is above the threshold is a candidate. The "
            "threshold falls as the pressure rises; at 1000 and more nobody is one.",
            Query(score, legend),
            Query(f"clamp_max({_max('memguard_node_threshold_score')}, 1000)", "threshold"),
            width=12,
        ),
        graph(
            "Footprint",
            "What the end of each of these would give back.",
            Query(footprint, legend),
            unit="bytes",
            width=12,
        ),
        graph(
            "Time to their own limit",
            "Until each of these reaches its own limit at its pace, where that is within a day.",
            Query(f"{left} < 86400", legend),
            unit="s",
            logarithmic=True,
        ),
        rows_of(
            "The ten nearest to being chosen",
            "Who they are, now. kubectl memguard explain says why.",
            {"namespace": "Namespace", "pod": "Pod", "container": "Container"},
            Column("Score", score),
            Column("Would free", footprint, "bytes"),
            Column("To its limit", left, "s", ((LEAST, ORANGE), (60, GREY))),
            width=16,
        ),
    )


def _deeds() -> tuple[Panel, ...]:
    return (
        graph(
            "Steps of the ladder",
            "What the guard did, within the window of each point: told containers, reclaimed, held suspects still "
            "while it decided (milliseconds), braked at a line, asked to end, killed.",
            each("sum", "step", increase(select("memguard_ladder_steps_total", NODE))),
            bars=True,
            width=12,
        ),
        graph(
            "Lines",
            "Lines under containers' and pods' own limits, by state: armed waits for its bell, probation and braking "
            "slow a container, resting is lifted for page cache.",
            each("max", "state", select("memguard_lines", NODE)),
            stacked=True,
            width=6,
        ),
        graph(
            "Brake time",
            "Seconds per second that containers were slowed at a line, all together.",
            Query(f"sum({rate(select('memguard_brake_seconds_total', NODE))})", "braked"),
            unit="percentunit",
            width=6,
        ),
        graph(
            "Decisions",
            "By action, whether carried out or only observed, and what woke the guard.",
            Query(
                f"sum by (action, outcome, trigger) ({new(select('memguard_decisions_total', NODE))}) > 0",
                "{{action}} {{outcome}} ({{trigger}})",
            ),
            bars=True,
        ),
        graph(
            "Freed",
            "Memory that actions gave back, within the window of each point.",
            each("sum", "action", increase(select("memguard_freed_bytes_total", NODE))),
            unit="bytes",
            bars=True,
        ),
        graph(
            "Missed: kernel OOM kills",
            "Processes that the kernel's OOM killer ended on this node.",
            missed(NODE),
            bars=True,
        ),
    )


def _capabilities() -> Panel:
    return rows_of(
        "Capabilities",
        "What the guard found that it can do on this node; kubectl memguard doctor --node says why not.",
        {"name": "Capability"},
        Column("It can", f"max by (name) ({select('memguard_capability', NODE)})", words=CAN),
        width=12,
    )
