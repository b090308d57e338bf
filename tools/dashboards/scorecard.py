"""Observe keeps score: what would have been ended, and whether the kernel came. The evidence to enforce on."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard as grafana
from tools.dashboards.parts import (
    GREEN,
    ORANGE,
    RED,
    Column,
    Panel,
    Query,
    Row,
    dashboard,
    figure,
    graph,
    ranked,
    rows_of,
    variable,
)
from tools.dashboards.promql import NODE, RANGE, by_node, increase, new, or_nothing, select, share

OBSERVED = select("memguard_decisions_total", NODE, 'outcome="observed"')
KERNEL_KILLS = select("memguard_kernel_oom_kills_total", NODE)
#: MemguardFalseAlarmsHigh
TRUSTED = 0.5


def board() -> grafana.Dashboard:
    """The dashboard."""
    rows = (
        Row("The evidence so far", _figures()),
        Row("How it came about", _course()),
        Row("Node by node", (_nodes(),)),
    )
    words = "What memguard would have done where it only observes, against what the kernel's OOM killer did."
    node = variable("node", "memguard_guard_connected", "Node", several=True)
    return dashboard("Observe scorecard", "memguard-scorecard", words, rows, node, since="now-7d")


def _verdicts(*verdicts: str) -> str:
    return select("memguard_scorecard_total", NODE, 'verdict=~"' + "|".join(verdicts) + '"')


def _figures() -> tuple[Panel, ...]:
    hits, alarms, due = (f"sum({_verdicts(*which)})" for which in (("hit",), ("hit", "false_alarm"), ("hit", "miss")))
    return (
        figure(
            "Hits",
            "Observed decisions after which the kernel's OOM killer came within ten minutes: enforcing would have come "
            "before it.",
            hits,
            steps=((0, GREEN),),
        ),
        figure(
            "False alarms",
            "Observed decisions after which it did not come within ten minutes.",
            f"sum({_verdicts('false_alarm')})",
            steps=((1, ORANGE),),
        ),
        figure(
            "Misses",
            "Kernel OOM kills that no observed decision came before. A container that reaches its own limit is one: "
            "without a line nothing rings there.",
            f"sum({_verdicts('miss')})",
            steps=((1, RED),),
        ),
        figure(
            "Rightly alarmed",
            "Hits among all that would have been done. Below half MemguardFalseAlarmsHigh fires.",
            share(hits, alarms),
            unit="percentunit",
            steps=((float("-inf"), RED), (TRUSTED, ORANGE), (0.9, GREEN)),
            none="no evidence yet",
            width=4,
        ),
        figure(
            "Seen coming",
            "Hits among all times that the kernel's OOM killer came.",
            share(hits, due),
            unit="percentunit",
            steps=((float("-inf"), RED), (TRUSTED, ORANGE), (0.9, GREEN)),
            none="no evidence yet",
            width=4,
        ),
        figure(
            "Only observing",
            "Nodes on which nothing may be ended.",
            f"sum(1 - {by_node('max', select('memguard_guard_enforcing', NODE))})",
        ),
        figure(
            "Kernel OOM kills",
            "Processes that the kernel's OOM killer ended in the time that is shown.",
            or_nothing(f"sum({new(KERNEL_KILLS, RANGE)})"),
            steps=((1, RED),),
            decimals=0,
            width=4,
        ),
    )


def _course() -> tuple[Panel, ...]:
    return (
        graph(
            "Verdicts",
            "Within the window of each point. A false alarm is known after ten minutes, a hit at once.",
            Query(f"sum by (verdict) ({increase(_verdicts('.*'))})", "{{verdict}}"),
            bars=True,
            width=8,
        ),
        graph(
            "All verdicts so far",
            "What the agents' ledgers hold, over restarts.",
            Query(f"sum by (verdict) ({_verdicts('.*')})", "{{verdict}}"),
            width=8,
        ),
        graph(
            "As the operator adds it up",
            "The sum over all nodes' reports; it falls when a node leaves.",
            Query(f"max by (verdict) ({select('memguard_operator_scorecard')})", "{{verdict}}"),
            width=8,
        ),
        graph(
            "Would have been ended",
            "Observed decisions by namespace, within the window of each point.",
            Query(f"topk(10, sum by (namespace) ({new(OBSERVED)}))", "{{namespace}}"),
            bars=True,
            width=8,
        ),
        ranked(
            "Would have been ended, by policy",
            "In the time that is shown; kubectl memguard scorecard has their verdicts.",
            Query(f"topk(15, sum by (policy) ({new(OBSERVED, RANGE)}))", "{{policy}}"),
            decimals=0,
        ),
        graph(
            "Kernel OOM kills",
            "By namespace, within the window of each point.",
            Query(f"sum by (namespace, scope) ({new(KERNEL_KILLS)})", "{{namespace}} ({{scope}})"),
            bars=True,
            width=8,
        ),
    )


def _nodes() -> Panel:
    hit, false_alarm, miss = (by_node("sum", _verdicts(verdict)) for verdict in ("hit", "false_alarm", "miss"))
    return rows_of(
        "Nodes",
        "Each node's scorecard, so far.",
        {"cluster": "Cluster", "node": "Node"},
        Column("Hits", hit),
        Column("False alarms", false_alarm),
        Column("Misses", miss),
        Column("Rightly alarmed", share(hit, by_node("sum", _verdicts("hit", "false_alarm"))), "percentunit"),
        Column("Observed decisions", by_node("sum", new(OBSERVED, RANGE)), decimals=0),
    )
