"""Observe keeps score: what would have been ended, and whether the kernel came. The evidence to enforce on."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard as grafana
from tools.dashboards.colours import BAD, DOUBTFUL, GREEN, TRUST
from tools.dashboards.parts import Column, Panel, Row, count, dashboard, figure, graph, ranked, rows_of, variable
from tools.dashboards.promql import (
    NODE,
    RANGE,
    by_node,
    each,
    increase,
    kernel_kills,
    missed,
    most,
    new,
    or_nothing,
    select,
    share,
)

OBSERVED = select("memguard_decisions_total", NODE, 'outcome="observed"')


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
            steps=DOUBTFUL,
        ),
        figure(
            "Misses",
            "Kernel OOM kills that no observed decision came before. A container that reaches its own limit is one: "
            "without a line nothing rings there.",
            f"sum({_verdicts('miss')})",
            steps=BAD,
        ),
        figure(
            "Rightly alarmed",
            "Hits among all that would have been done. Below half MemguardFalseAlarmsHigh fires.",
            share(hits, alarms),
            unit="percentunit",
            steps=TRUST,
            none="no evidence yet",
            width=4,
        ),
        figure(
            "Seen coming",
            "Hits among all times that the kernel's OOM killer came.",
            share(hits, due),
            unit="percentunit",
            steps=TRUST,
            none="no evidence yet",
            width=4,
        ),
        figure(
            "Only observing",
            "Nodes on which nothing may be ended.",
            f"sum(1 - {by_node('max', select('memguard_guard_enforcing', NODE))})",
        ),
        count(
            "Kernel OOM kills",
            "Processes that the kernel's OOM killer ended in the time that is shown.",
            or_nothing(f"sum({new(kernel_kills(NODE), RANGE)})"),
            steps=BAD,
            width=4,
        ),
    )


def _course() -> tuple[Panel, ...]:
    return (
        graph(
            "Verdicts",
            "Within the window of each point. A false alarm is known after ten minutes, a hit at once.",
            each("sum", "verdict", increase(_verdicts(".*"))),
            bars=True,
        ),
        graph(
            "All verdicts so far",
            "What the agents' ledgers hold, over restarts.",
            each("sum", "verdict", _verdicts(".*")),
        ),
        graph(
            "As the operator adds it up",
            "The sum over all nodes' reports; it falls when a node leaves.",
            each("max", "verdict", select("memguard_operator_scorecard")),
        ),
        graph(
            "Would have been ended",
            "Observed decisions by namespace, within the window of each point.",
            most(f"sum by (namespace) ({new(OBSERVED)})", "{{namespace}}"),
            bars=True,
        ),
        ranked(
            "Would have been ended, by policy",
            "In the time that is shown; kubectl memguard scorecard has their verdicts.",
            most(f"sum by (policy) ({new(OBSERVED, RANGE)})", "{{policy}}", count=15),
            decimals=0,
        ),
        graph(
            "Kernel OOM kills",
            "By namespace, within the window of each point.",
            missed(NODE),
            bars=True,
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
