"""What was decided: why, at whose cost, what it gave back, how fast, and whether it is fair."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard as grafana
from tools.dashboards.colours import BAD, DOUBTFUL, ORANGE, RED, YELLOW
from tools.dashboards.parts import Panel, Row, count, dashboard, figure, graph, heat, ranked, variable
from tools.dashboards.promql import (
    NODE,
    OPERATOR,
    RANGE,
    Query,
    by_node,
    each,
    increase,
    most,
    new,
    or_nothing,
    quantiles,
    select,
    share,
)

IN_NAMESPACE = f'{NODE}, namespace=~"$namespace"'
DECISIONS = select("memguard_decisions_total", IN_NAMESPACE)
ACTED = select("memguard_decisions_total", IN_NAMESPACE, 'outcome="acted"')
OBSERVED = select("memguard_decisions_total", IN_NAMESPACE, 'outcome="observed"')
OUTCOMES = select("memguard_outcomes_total", NODE)
INCOMPLETE = select("memguard_incomplete_outcomes_total", NODE)
FREED = select("memguard_freed_bytes_total", NODE)
RELEASE = select("memguard_release_seconds_total", NODE)
BUCKETS = select("memguard_reaction_seconds_bucket", NODE)


def board() -> grafana.Dashboard:
    """The dashboard."""
    rows = (
        Row("In the time that is shown", _figures()),
        Row("Why", _why()),
        Row("What it gave back, and how fast", _effect()),
        Row("The operator", _operator()),
        Row("Is it fair", _fair()),
    )
    words = "Decisions by reason, action, namespace and policy; memory given back; reaction; fairness."
    return dashboard(
        "Decisions",
        "memguard-decisions",
        words,
        rows,
        variable("node", "memguard_guard_connected", "Node", several=True),
        variable("namespace", "memguard_decisions_total", "Namespace", several=True),
    )


def _figures() -> tuple[Panel, ...]:
    return (
        count("Carried out", "Decisions that were carried out.", or_nothing(f"sum({new(ACTED, RANGE)})")),
        count(
            "Only observed",
            "Decisions that were not carried out, because a policy or the node only observes.",
            or_nothing(f"sum({new(OBSERVED, RANGE)})"),
        ),
        figure("Given back", "Memory that actions gave back.", f"sum({increase(FREED, RANGE)})", unit="bytes"),
        figure(
            "Reaction, p99",
            "From the guard's wake-up to the action taken: 99 of 100 were at least as fast.",
            f"histogram_quantile(0.99, sum by (le) ({increase(BUCKETS, RANGE)})) >= 0",
            unit="s",
            none="no decision",
        ),
        figure(
            "Release, mean",
            "From the action to the memory given back.",
            share(f"sum({increase(RELEASE, RANGE)})", f"sum({increase(OUTCOMES, RANGE)})"),
            unit="s",
            none="no action",
        ),
        count(
            "Victims that stay",
            "Actions whose victim did not go away in time. MemguardVictimStays fires at the first.",
            f"sum({increase(INCOMPLETE, RANGE)})",
            steps=BAD,
        ),
        count(
            "Budget spent",
            "Containers left alone because a budget had nothing to spare. MemguardBudgetExhausted fires at the first.",
            f"sum({increase(select('memguard_budget_refusals_total', NODE), RANGE)})",
            steps=DOUBTFUL,
        ),
        count(
            "PDB overrides",
            "Containers ended although their PodDisruptionBudget had nothing to spare, as their policy asks. "
            "MemguardDisruptionBudgetOverridden fires at the first.",
            f"sum({increase(select('memguard_disruption_budget_overrides_total', NODE), RANGE)})",
            steps=DOUBTFUL,
        ),
    )


def _why() -> tuple[Panel, ...]:
    return (
        graph(
            "By what woke the guard",
            "line: a container at its own limit; tick and psi: the node or kubepods; order: the operator's.",
            each("sum", "trigger", new(DECISIONS)),
            bars=True,
        ),
        graph(
            "By action",
            "What was done, or would have been.",
            each("sum", "action, outcome", new(DECISIONS)),
            bars=True,
        ),
        graph(
            "By namespace, carried out",
            "Whose containers were ended.",
            most(f"sum by (namespace) ({new(ACTED)})", "{{namespace}}"),
            bars=True,
        ),
        ranked(
            "By policy",
            "Decisions of each policy in the time that is shown.",
            most(f"sum by (policy, outcome) ({new(DECISIONS, RANGE)})", "{{policy}} {{outcome}}", count=15),
            decimals=0,
        ),
        ranked(
            "By node, carried out",
            "Where containers were ended in the time that is shown. MemguardKillStorm: more than 10 in ten minutes.",
            most(by_node("sum", new(ACTED, RANGE)), count=15),
            decimals=0,
        ),
        graph(
            "Ended on a node within ten minutes",
            "The node with the most. Above the line MemguardKillStorm fires.",
            Query(f"max(sum by (cluster, node) (increase({OUTCOMES}[10m])))", "the most of a node"),
            steps=((10, RED),),
        ),
    )


def _mean(total: str) -> Query:
    """Of one action, by what it was."""
    summed = "sum by (action) ({})".format
    return Query(share(summed(increase(total)), summed(increase(OUTCOMES))), "{{action}}")


def _effect() -> tuple[Panel, ...]:
    return (
        graph(
            "Given back",
            "Memory that actions gave back, within the window of each point.",
            each("sum", "action", increase(FREED)),
            unit="bytes",
            bars=True,
        ),
        graph(
            "Given back by an action, mean",
            "What one action gave back.",
            _mean(FREED),
            unit="bytes",
        ),
        graph(
            "From action to memory given back, mean",
            "A stop signal has its grace in it.",
            _mean(RELEASE),
            unit="s",
        ),
        heat(
            "Reaction",
            "From wake-up to the action taken: how many decisions took how long. Exemplars have the id of a decision.",
            each("sum", "le", increase(BUCKETS)),
        ),
        graph(
            "Reaction, half and 99 of 100",
            "From wake-up to the action taken: so many were at least as fast.",
            *quantiles(BUCKETS),
            unit="s",
            logarithmic=True,
            width=12,
        ),
    )


def _operator() -> tuple[Panel, ...]:
    operator = select("memguard_operator_reaction_seconds_bucket")
    return (
        graph(
            "The operator's decisions",
            "Evictions, resizes and orders, carried out or only observed.",
            each("sum", "action, outcome", new(select("memguard_operator_decisions_total"), beside=OPERATOR)),
            bars=True,
        ),
        graph(
            "Victims that could not be touched",
            "Why the next best was taken instead.",
            each("sum", "cause", increase(select("memguard_operator_refusals_total"))),
            bars=True,
        ),
        graph(
            "From a report to what was done",
            "The operator's own time: so many reports were answered at least as fast.",
            *quantiles(operator),
            unit="s",
        ),
        graph(
            "Given back by evictions",
            "Memory that came back on the nodes, and pods that were still there after their time "
            "(MemguardEvictionUnfinished).",
            Query(f"sum({increase(select('memguard_operator_freed_bytes_total'))})", "given back"),
            unit="bytes",
            bars=True,
        ),
        graph(
            "Evictions that did not end",
            "Evicted pods that were still there after their time. MemguardEvictionUnfinished fires at the first.",
            Query(f"sum({increase(select('memguard_operator_unfinished_total'))})", "still there"),
            bars=True,
        ),
        graph(
            "Orders to guards",
            "What became of the operator's orders on the nodes.",
            each("sum", "result", increase(select("memguard_orders_total", NODE))),
            bars=True,
        ),
    )


def _fair() -> tuple[Panel, ...]:
    return (
        ranked(
            "Ends against share of memory",
            "1: a group is hit as its memory has it; 2: twice as often. There is a figure from five ends on. A leak is "
            "rightly hit more often.",
            Query(f"sort_desc(max by (group) ({select('memguard_fairness_ratio')}))", "{{group}}"),
            width=12,
            steps=((1.5, YELLOW), (3, ORANGE)),
            decimals=2,
        ),
        ranked(
            "What was learned",
            "Points that workloads have for what their ends gave back and how often they were the cause, at most 50 "
            "either way; half in six hours.",
            Query(f"sort_desc(max by (workload) ({select('memguard_learned_points')}))", "{{workload}}"),
            width=12,
        ),
    )
