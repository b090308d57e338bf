"""When each alert fires and when it does not: one value a minute, and `at` is the minute in which promtool is asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

Labels = Mapping[str, str]


class Case(NamedTuple):
    """`fires`: the labels of those that do, beside the rule's own; `value`: how their text shows the value."""

    alert: str
    what: str
    series: Mapping[str, str]
    at: int
    fires: tuple[Labels, ...] = ()
    value: str = ""


def _kills(namespace: str, values: str, scope: str = "container") -> dict[str, str]:
    labels = f'namespace="{namespace}",scope="{scope}",node="a",instance="a:1"'
    return {f"memguard_kernel_oom_kills_total{{{labels}}}": values, **_agent("1x120")}


def _agent(values: str, node: str = "a") -> dict[str, str]:
    return {f'memguard_guard_connected{{node="{node}",instance="{node}:1"}}': values}


def _enforcing(values: str = "1x60") -> dict[str, str]:
    return {'memguard_guard_enforcing{node="a"}': values}


def _acted(namespace: str, node: str, values: str) -> dict[str, str]:
    decided = f'namespace="{namespace}",policy="p",trigger="line",action="kill",outcome="acted"'
    labels = f'{decided},node="{node}",instance="{node}:1"'
    return {f"memguard_decisions_total{{{labels}}}": values, **_agent("1x60", node)}


def _capabilities(write: int, host_pid: int) -> dict[str, str]:
    return {
        'memguard_capability{name="cgroup-write",node="a",instance="a:1"}': f"{write}x60",
        'memguard_capability{name="host-pid",node="a",instance="a:1"}': f"{host_pid}x60",
    }


def _level(level: str) -> dict[str, str]:
    return {
        f'memguard_node_level{{level="{one}",node="a"}}': f"{int(one == level)}x60"
        for one in ("Calm", "Tight", "Critical")
    }


A = {"node": "a"}
WARNING, CRITICAL, INFO = {"severity": "warning"}, {"severity": "critical"}, {"severity": "info"}
ON_NODE, IN_NAMESPACE = CRITICAL | {"scope": "node"}, CRITICAL | {"scope": "namespace"}

CASES = (
    # --- the node
    Case("MemguardNodeCritical", "five minutes", _level("Critical"), 6, (A | CRITICAL,)),
    Case("MemguardNodeCritical", "four minutes", _level("Critical"), 4),
    Case("MemguardNodeCritical", "it is only tight", _level("Tight"), 30),
    Case(
        "MemguardNodeCritical",
        "two looks at it, eased between them",
        {'memguard_node_level{level="Critical",node="a"}': "1x3 0 1x4"},
        7,
    ),
    Case(
        "MemguardExhaustionNear",
        "nobody acts",
        {'memguard_node_exhaustion_seconds{node="a"}': "480x60", **_level("Tight"), **_enforcing("0x60")},
        5,
        (A | CRITICAL,),
        "8m 0s",
    ),
    Case(
        "MemguardExhaustionNear",
        "the guard enforces",
        {'memguard_node_exhaustion_seconds{node="a"}': "480x60", **_level("Tight"), **_enforcing()},
        30,
    ),
    Case(
        "MemguardExhaustionNear",
        "calm, it is a cache that fills",
        {'memguard_node_exhaustion_seconds{node="a"}': "480x60", **_level("Calm"), **_enforcing("0x60")},
        30,
    ),
    Case(
        "MemguardExhaustionNear",
        "the growth has ended: the series is gone",
        {'memguard_node_exhaustion_seconds{node="a"}': "480x3 _x60 ", **_level("Tight"), **_enforcing("0x60")},
        30,
    ),
    Case(
        "MemguardForeignGrowth",
        "an alarm",
        {'memguard_alarms_total{kind="foreign",node="a"}': "0x10 1x60"},
        15,
        (A | WARNING,),
    ),
    Case("MemguardForeignGrowth", "another kind", {'memguard_alarms_total{kind="critical",node="a"}': "0x10 1x60"}, 15),
    Case("MemguardForeignGrowth", "long ago", {'memguard_alarms_total{kind="foreign",node="a"}': "0x10 1x60"}, 40),
    Case(
        "MemguardForeignGrowth",
        "an agent that begins anew has not alarmed",
        {'memguard_alarms_total{kind="foreign",node="a"}': "3x10 0x60"},
        15,
    ),
    Case(
        "MemguardCriticalProcessGone",
        "an alarm",
        {'memguard_alarms_total{kind="critical",node="a"}': "0x10 1x60"},
        15,
        (A | CRITICAL,),
    ),
    Case(
        "MemguardCriticalProcessGone",
        "another kind",
        {'memguard_alarms_total{kind="supervisor",node="a"}': "0x10 1x60"},
        15,
    ),
    Case(
        "MemguardKernelOomMissed",
        "the first of a namespace: its series begins with it",
        _kills("shop", "_x10 1x60") | _enforcing(),
        12,
        (A | WARNING | {"namespace": "shop", "scope": "container"},),
        "1",
    ),
    Case(
        "MemguardKernelOomMissed",
        "another of a namespace",
        _kills("shop", "4x30 6x60") | _enforcing(),
        35,
        (A | WARNING | {"namespace": "shop", "scope": "container"},),
        "2",
    ),
    Case(
        "MemguardKernelOomMissed",
        "of nobody that is known, by a new agent",
        _kills("shop", "5x30") | _kills("", "0x30 1x60", "node") | _enforcing(),
        35,
        (A | WARNING | {"scope": "node"},),
        "1",
    ),
    Case(
        "MemguardKernelOomMissed",
        "the guard is gone, and nobody knows whether it would have acted",
        _kills("shop", "_x10 1x60"),
        12,
        (A | WARNING | {"namespace": "shop", "scope": "container"},),
        "1",
    ),
    Case(
        "MemguardKernelOomMissed",
        "it only observes",
        _kills("shop", "_x10 1x60") | _enforcing("0x60"),
        12,
        (A | INFO | {"namespace": "shop", "scope": "container"},),
        "1",
    ),
    Case(
        "MemguardKernelOomMissed",
        "Prometheus was away for a quarter of an hour, and what it sees is old",
        _kills("shop", "5x3 _x15 5x60") | _agent("1x3 _x15 1x60") | _enforcing(),
        22,
    ),
    Case(
        "MemguardKernelOomMissed",
        "the agent had just begun",
        _kills("shop", "_x11 1x60") | _agent("_x10 1x60") | _enforcing(),
        14,
        (A | WARNING | {"namespace": "shop", "scope": "container"},),
        "1",
    ),
    Case("MemguardKernelOomMissed", "long ago", _kills("shop", "_x10 1x60") | _enforcing(), 25),
    Case(
        "MemguardKernelOomMissed", "none since the agent began anew", _kills("", "3x30 0x60", "node") | _enforcing(), 35
    ),
    # --- decisions
    Case(
        "MemguardKillStorm",
        "two a minute",
        {'memguard_outcomes_total{action="kill",node="a"}': "0x10 0+2x20"},
        25,
        (A | ON_NODE,),
        "20",
    ),
    Case(
        "MemguardKillStorm",
        "kills and stop signals are counted together",
        {f'memguard_outcomes_total{{action="{action}",node="a"}}': "0x10 0+1x20" for action in ("kill", "terminate")},
        25,
        (A | ON_NODE,),
        "20",
    ),
    Case(
        "MemguardKillStorm",
        "one every two minutes",
        {'memguard_outcomes_total{action="kill",node="a"}': "0 0 1 1 2 2 3 3 4 4 5 5 6 6 7 7"},
        15,
    ),
    Case(
        "MemguardKillStorm",
        "twelve of a namespace on three nodes, the first of each",
        _acted("shop", "a", "_x10 4x60") | _acted("shop", "b", "_x10 4x60") | _acted("shop", "c", "_x10 4x60"),
        12,
        ({"namespace": "shop"} | IN_NAMESPACE,),
        "12",
    ),
    Case(
        "MemguardKillStorm",
        "twelve of three namespaces",
        _acted("shop", "a", "_x10 4x60") | _acted("mill", "b", "_x10 4x60") | _acted("mine", "c", "_x10 4x60"),
        12,
    ),
    Case(
        "MemguardKillStorm",
        "forty since last week, and one scrape was missed",
        _acted("shop", "a", "40x10 _ 40x60") | _agent("1x10 _ 1x60"),
        21,
    ),
    Case(
        "MemguardBudgetExhausted",
        "the agent begins anew: what is counted is the guard's",
        {'memguard_budget_refusals_total{node="a"}': "7x10 _x2 7x60"},
        15,
    ),
    Case(
        "MemguardBudgetExhausted",
        "a node's",
        {'memguard_budget_refusals_total{node="a"}': "0x10 3x60"},
        12,
        (A | WARNING | {"scope": "node"},),
    ),
    Case("MemguardBudgetExhausted", "it was", {'memguard_budget_refusals_total{node="a"}': "0x10 3x60"}, 30),
    Case(
        "MemguardBudgetExhausted",
        "the operator's",
        {'memguard_operator_refusals_total{cause="budget"}': "0+1x60"},
        30,
        (WARNING | {"scope": "operator"},),
    ),
    Case(
        "MemguardBudgetExhausted",
        "the operator chose another for other reasons",
        {'memguard_operator_refusals_total{cause="policy"}': "0+1x60"},
        30,
    ),
    Case(
        "MemguardDisruptionBudgetOverridden",
        "once",
        {'memguard_disruption_budget_overrides_total{node="a"}': "0x10 1x60"},
        30,
        (A | WARNING,),
    ),
    Case(
        "MemguardDisruptionBudgetOverridden",
        "never",
        {'memguard_disruption_budget_overrides_total{node="a"}': "2x60"},
        30,
    ),
    Case(
        "MemguardVictimStays",
        "once",
        {'memguard_incomplete_outcomes_total{action="kill",node="a"}': "0x10 1x60"},
        30,
        (A | WARNING | {"action": "kill"},),
    ),
    Case(
        "MemguardVictimStays",
        "it went in time",
        {
            'memguard_incomplete_outcomes_total{action="kill",node="a"}': "0x60",
            'memguard_outcomes_total{action="kill",node="a"}': "0x10 1x60",
        },
        30,
    ),
    Case(
        "MemguardFalseAlarmsHigh",
        "four of five",
        {
            'memguard_scorecard_total{verdict="false_alarm",node="a"}': "0x10 4x60",
            'memguard_scorecard_total{verdict="hit",node="a"}': "0x10 1x60",
        },
        40,
        (INFO,),
        "80%",
    ),
    Case(
        "MemguardFalseAlarmsHigh",
        "two of two say nothing",
        {
            'memguard_scorecard_total{verdict="false_alarm",node="a"}': "0x10 2x60",
            'memguard_scorecard_total{verdict="hit",node="a"}': "0x60",
        },
        40,
    ),
    Case(
        "MemguardFalseAlarmsHigh",
        "one of five",
        {
            'memguard_scorecard_total{verdict="false_alarm",node="a"}': "0x10 1x60",
            'memguard_scorecard_total{verdict="hit",node="a"}': "0x10 4x60",
        },
        40,
    ),
    Case(
        "MemguardFalseAlarmsHigh",
        "a scorecard that was kept over a restart counts once",
        {
            'memguard_scorecard_total{verdict="false_alarm",node="a",pod="new"}': "_x10 90x60",
            'memguard_scorecard_total{verdict="hit",node="a",pod="new"}': "_x10 1x60",
        },
        40,
    ),
    # --- the guard
    Case("MemguardAbsent", "never there", {"up": "1x60"}, 20, (CRITICAL,)),
    Case(
        "MemguardAbsent",
        "gone from one cluster of two",
        {
            'memguard_guard_connected{cluster="x",node="a"}': "1x5 _x60",
            'memguard_guard_connected{cluster="y",node="b"}': "1x60",
        },
        40,
        ({"cluster": "x"} | CRITICAL,),
    ),
    Case("MemguardAbsent", "there", {'memguard_guard_connected{node="a"}': "1x60"}, 40),
    Case(
        "MemguardAgentMissing",
        "three nodes, two agents, two replicas of the operator",
        {
            'memguard_operator_nodes{level="Calm",instance="o:1"}': "2x60",
            'memguard_operator_nodes{level="Tight",instance="o:1"}': "1x60",
            'memguard_operator_nodes{level="Calm",instance="o:2"}': "3x60",
            'memguard_guard_connected{node="a"}': "1x60",
            'memguard_guard_connected{node="b"}': "1x60",
        },
        20,
        (WARNING,),
        "1",
    ),
    Case(
        "MemguardAgentMissing",
        "a pod is being replaced",
        {
            'memguard_operator_nodes{level="Calm",instance="o:1"}': "2x60",
            'memguard_guard_connected{node="a",pod="old"}': "1x10",
            'memguard_guard_connected{node="a",pod="new"}': "_x12 1x60",
            'memguard_guard_connected{node="b"}': "1x60",
        },
        40,
    ),
    Case("MemguardGuardNotReady", "gone", {'memguard_guard_connected{node="a"}': "0x60"}, 6, (A | WARNING,)),
    Case(
        "MemguardGuardNotReady",
        "connected and silent",
        {'memguard_guard_connected{node="a"}': "1x60"},
        6,
        (A | WARNING,),
    ),
    Case(
        "MemguardGuardNotReady",
        "it speaks",
        {'memguard_guard_connected{node="a"}': "1x60", 'memguard_last_look_timestamp_seconds{node="a"}': "0+60x60"},
        30,
    ),
    Case(
        "MemguardGuardNotReady",
        "a pod was replaced",
        {
            'memguard_guard_connected{node="a",pod="old"}': "0x4",
            'memguard_guard_connected{node="a",pod="new"}': "_x3 1x60",
            'memguard_last_look_timestamp_seconds{node="a",pod="new"}': "_x3 0+60x60",
        },
        9,
    ),
    Case(
        "MemguardNodeUnfit",
        "strangers on a node where it may act",
        {'memguard_guard_fit{node="a"}': "0x60", **_capabilities(1, 1)},
        15,
        (A | WARNING,),
    ),
    Case(
        "MemguardNodeUnfit",
        "the enforce profile, and the tree is read-only",
        {'memguard_guard_fit{node="a"}': "0x60", **_capabilities(0, 1)},
        15,
        (A | WARNING,),
    ),
    Case(
        "MemguardNodeUnfit", "the observe profile", {'memguard_guard_fit{node="a"}': "0x60", **_capabilities(0, 0)}, 30
    ),
    Case("MemguardNodeUnfit", "fit", {'memguard_guard_fit{node="a"}': "1x60", **_capabilities(1, 1)}, 30),
    Case(
        "MemguardNoSupervisor",
        "gone",
        {
            'memguard_guard_fit{node="a",instance="a:1"}': "1x60",
            'memguard_capability{name="supervisor",node="a",instance="a:1"}': "0x60",
        },
        15,
        (A | WARNING,),
    ),
    Case(
        "MemguardNoSupervisor",
        "the observe profile has none",
        {
            'memguard_guard_fit{node="a",instance="a:1"}': "0x60",
            'memguard_capability{name="supervisor",node="a",instance="a:1"}': "0x60",
        },
        30,
    ),
    Case("MemguardPlanStale", "ten minutes", {'memguard_plan_current{node="a"}': "0x60"}, 11, (A | WARNING,)),
    Case("MemguardPlanStale", "it begins", {'memguard_plan_current{node="a"}': "0x5 1x60"}, 11),
    Case(
        "MemguardPolicyBroken",
        "two, as most nodes see it",
        {'memguard_broken_policies{node="a"}': "2x60", 'memguard_broken_policies{node="b"}': "1x60"},
        15,
        (WARNING,),
        "2",
    ),
    Case("MemguardPolicyBroken", "none", {'memguard_broken_policies{node="a"}': "0x60"}, 30),
    # --- the agent
    Case(
        "MemguardReportStale",
        "the last is old",
        {'memguard_last_report_timestamp_seconds{node="a"}': "0x60"},
        25,
        (A | WARNING,),
    ),
    Case("MemguardReportStale", "it never did", {'memguard_guard_connected{node="a"}': "1x60"}, 6, (A | WARNING,)),
    Case(
        "MemguardReportStale",
        "every five minutes",
        {
            'memguard_last_report_timestamp_seconds{node="a"}': "0x5 300x5 600x5 900x5 1200x5 1500x5 1800x5",
            'memguard_guard_connected{node="a"}': "1x60",
        },
        34,
    ),
    Case(
        "MemguardSpoolStuck",
        "a quarter of an hour",
        {'memguard_spool_entries{node="a"}': "7x60"},
        16,
        (A | WARNING,),
        "7",
    ),
    Case("MemguardSpoolStuck", "it empties now and then", {'memguard_spool_entries{node="a"}': "7x9 0 7x9 0 7x9"}, 28),
    Case(
        "MemguardRecordsLost",
        "three for want of room, one refused: the first is told",
        {
            'memguard_spool_dropped_total{node="a"}': "0x60 3x60",
            'memguard_spool_refused_total{node="a"}': "0x60 1x60",
            'memguard_guard_dropped_news_total{node="a"}': "0x120",
        },
        90,
        (A | WARNING,),
        "3",
    ),
    Case(
        "MemguardRecordsLost",
        "refused, while the guard has not said how it stands",
        {'memguard_spool_refused_total{node="a"}': "0x60 30x60"},
        90,
        (A | WARNING,),
        "30",
    ),
    Case(
        "MemguardRecordsLost",
        "none",
        {
            'memguard_spool_dropped_total{node="a"}': "9x30 0x90",
            'memguard_spool_refused_total{node="a"}': "9x30 0x90",
            'memguard_guard_dropped_news_total{node="a"}': "9x120",
        },
        90,
    ),
    # --- the operator
    Case("MemguardOperatorAbsent", "it was there", {'memguard_operator_leading{pod="o"}': "1x5 _x60"}, 30, (WARNING,)),
    Case("MemguardOperatorAbsent", "there never was one", {'memguard_guard_connected{node="a"}': "1x60"}, 30),
    Case("MemguardOperatorAbsent", "it is there", {'memguard_operator_leading{pod="o"}': "1x60"}, 30),
    Case(
        "MemguardOperatorNotLeading",
        "neither of two",
        {'memguard_operator_leading{pod="o"}': "0x60", 'memguard_operator_leading{pod="p"}': "0x60"},
        5,
        (WARNING,),
    ),
    Case(
        "MemguardOperatorNotLeading",
        "one stands by",
        {'memguard_operator_leading{pod="o"}': "0x60", 'memguard_operator_leading{pod="p"}': "1x60"},
        30,
    ),
    Case("MemguardOperatorNotLeading", "none is installed", {'memguard_guard_connected{node="a"}': "1x60"}, 30),
    Case(
        "MemguardOperatorBlind",
        "the one that leads",
        {
            'memguard_operator_leading{instance="o:1"}': "1x60",
            'memguard_watch_age_seconds{resource="nodes",instance="o:1"}': "0+60x60",
            'memguard_watch_age_seconds{resource="pods",instance="a:1"}': "0+60x60",
        },
        10,
        (WARNING | {"resource": "nodes"},),
        "10m 0s",
    ),
    Case(
        "MemguardOperatorBlind",
        "one that stands by, and an agent",
        {
            'memguard_operator_leading{instance="o:1"}': "0x60",
            'memguard_watch_age_seconds{resource="nodes",instance="o:1"}': "0+60x60",
            'memguard_watch_age_seconds{resource="pods",instance="a:1"}': "0+60x60",
        },
        30,
    ),
    Case(
        "MemguardOperatorFailing",
        "two a minute",
        {'memguard_operator_failures_total{what="server"}': "0+2x60"},
        30,
        (WARNING | {"what": "server"},),
        "20",
    ),
    Case("MemguardOperatorFailing", "a few", {'memguard_operator_failures_total{what="server"}': "0x20 5x60"}, 30),
    Case(
        "MemguardReportsRefused",
        "a clock that is wrong",
        {'memguard_operator_reports_refused_total{cause="clock"}': "0+1x60"},
        30,
        (WARNING | {"cause": "clock"},),
    ),
    Case("MemguardReportsRefused", "once", {'memguard_operator_reports_refused_total{cause="clock"}': "0x10 1x60"}, 20),
    Case("MemguardEvictionUnfinished", "one", {"memguard_operator_unfinished_total": "0x10 1x60"}, 25, (WARNING,), "1"),
    Case("MemguardEvictionUnfinished", "none", {"memguard_operator_unfinished_total": "1x60"}, 25),
)
