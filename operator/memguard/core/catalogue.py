"""Every metric, once: the agent and the guard expose what stands here, and docs/metrics.md is made of it.

Names follow the conventions of Prometheus and cAdvisor: one prefix, base units, counters end in _total. Labels are
bounded: no pid, no container id; a pod's own series exist only while it is among the ten nearest to being chosen.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

from memguard.core.decision import AlarmKind, Step
from memguard.core.model import Level

Kind = Literal["counter", "gauge", "histogram"]

#: Seconds. The operator answers a report within one (p99, 5,000 nodes); a guard's fast path takes well under a
#: millisecond on real hardware.
ATTENDING_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
REACTION_BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0)


class Metric(NamedTuple):
    """One metric. `labels`: in the cluster, by the agent; `textfile`: those that a standalone guard writes, if it does.

    `values`: what its only label may be, where that is a short list; a counter shows 0 for each from the start.
    """

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    textfile: tuple[str, ...] | None = None
    values: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


_ENDS = ("kill", "terminate")

DECIDED = (
    Metric(
        "memguard_decisions_total",
        "counter",
        "Decisions; in a cluster the outcome is acted or observed",
        labels=("namespace", "policy", "trigger", "action", "outcome"),
        textfile=("mode", "action", "namespace"),
    ),
    Metric(
        "memguard_freed_bytes_total",
        "counter",
        "Memory that actions gave back",
        labels=("action",),
        textfile=("action",),
        values=_ENDS,
    ),
    Metric(
        "memguard_reaction_seconds",
        "histogram",
        "From wake-up to the action taken",
        textfile=(),
        buckets=REACTION_BUCKETS,
    ),
    Metric(
        "memguard_release_seconds_total",
        "counter",
        "From action to memory given back, summed",
        labels=("action",),
        textfile=("action",),
        values=_ENDS,
    ),
    Metric(
        "memguard_outcomes_total",
        "counter",
        "Actions that came to their end",
        labels=("action",),
        textfile=("action",),
        values=_ENDS,
    ),
    Metric(
        "memguard_incomplete_outcomes_total",
        "counter",
        "Actions whose victim did not go away",
        labels=("action",),
        values=_ENDS,
    ),
    Metric(
        "memguard_kernel_oom_kills_total",
        "counter",
        "Processes that the kernel's OOM killer ended: what memguard failed to prevent. In a cluster the scope is "
        "container, process (the container lives on) or node (none that is known)",
        labels=("namespace", "scope"),
        textfile=(),
    ),
    Metric(
        "memguard_scorecard_total",
        "counter",
        "Observed decisions against the kernel's OOM killer: a hit when it came within ten minutes, a false alarm when "
        "not, a miss when it came without one",
        labels=("verdict",),
        values=("hit", "false_alarm", "miss"),
    ),
    Metric("memguard_budget_refusals_total", "counter", "Containers left alone because the kill budget was spent"),
    Metric(
        "memguard_disruption_budget_overrides_total",
        "counter",
        "Containers ended although their PodDisruptionBudget had nothing to spare, as their policy asks",
    ),
    Metric("memguard_brake_seconds_total", "counter", "Time that containers spent braked at a line of ours, summed"),
    Metric(
        "memguard_ladder_steps_total",
        "counter",
        "What the guard did to containers, step by step; held are those that stood still while it decided",
        labels=("step",),
        values=get_args(Step),
    ),
    Metric(
        "memguard_alarms_total",
        "counter",
        "What a person must know: growth that no container explains, a critical process gone, no supervisor",
        labels=("kind",),
        textfile=("kind",),
        values=get_args(AlarmKind),
    ),
    Metric(
        "memguard_orders_total",
        "counter",
        "The operator's orders, by what became of them",
        labels=("result",),
        values=("accepted", "refused"),
    ),
)

NODE = (
    Metric(
        "memguard_node_level",
        "gauge",
        "1 for the level that the node is at, 0 for the others",
        labels=("level",),
        values=get_args(Level),
    ),
    Metric("memguard_node_memory_bytes", "gauge", "The node's memory"),
    Metric("memguard_node_available_bytes", "gauge", "Memory that can be had without swapping"),
    Metric("memguard_node_reserve_bytes", "gauge", "What must stay available on the node"),
    Metric(
        "memguard_node_headroom_bytes",
        "gauge",
        "Available memory above the nearest reserve",
        textfile=(),
    ),
    Metric("memguard_node_pressure_ratio", "gauge", "How close the node is to breaking, 0 to 1"),
    Metric("memguard_node_threshold_score", "gauge", "From which score on a container is a candidate"),
    Metric(
        "memguard_node_exhaustion_seconds", "gauge", "Until nothing is left, at this pace; absent when nothing shrinks"
    ),
    Metric(
        "memguard_node_memory_waiting_seconds_total", "counter", "Time that some tasks waited for memory (PSI some)"
    ),
    Metric("memguard_node_memory_stalled_seconds_total", "counter", "Time that all tasks waited for memory (PSI full)"),
    Metric(
        "memguard_container_score",
        "gauge",
        "Score, 0 to 1000, of the containers nearest to being chosen",
        labels=("namespace", "pod", "container"),
    ),
    Metric(
        "memguard_container_footprint_bytes",
        "gauge",
        "What the end of each of these would free",
        labels=("namespace", "pod", "container"),
    ),
    Metric(
        "memguard_container_time_to_limit_seconds",
        "gauge",
        "Until each of these reaches its own limit, at its pace; absent without a limit or growth",
        labels=("namespace", "pod", "container"),
    ),
    Metric("memguard_containers", "gauge", "Containers under watch", textfile=()),
    Metric(
        "memguard_unmapped_containers",
        "gauge",
        "Containers that are not mapped to a pod: observed, never touched",
        textfile=(),
    ),
    Metric("memguard_lines", "gauge", "Lines by state", labels=("state",), textfile=("state",)),
)

GUARD = (
    Metric("memguard_guard_connected", "gauge", "1 while the guard speaks with the agent"),
    Metric("memguard_guard_fit", "gauge", "1 when the guard can do on this node what policies may ask for"),
    Metric("memguard_guard_enforcing", "gauge", "1 when something may be ended here, 0 when all is only observed"),
    Metric(
        "memguard_capability",
        "gauge",
        "1 for each thing that the guard can do here, 0 for each that it cannot",
        labels=("name",),
    ),
    Metric("memguard_guard_turns_total", "counter", "How often the guard woke up and looked"),
    Metric("memguard_guard_awake_seconds_total", "counter", "Time that it took to look"),
    Metric("memguard_guard_cpu_seconds_total", "counter", "The guard's own CPU time", textfile=()),
    Metric("memguard_guard_resident_bytes", "gauge", "The guard's own memory"),
    Metric("memguard_guard_dropped_news_total", "counter", "News that the guard had no room for while no agent came"),
    Metric("memguard_journal_dropped_lines_total", "counter", "Log lines that nobody took", textfile=()),
    Metric("memguard_last_look_timestamp_seconds", "gauge", "When the guard last looked", textfile=()),
    Metric("memguard_plan_timestamp_seconds", "gauge", "When the plan in force was made of the policies"),
    Metric("memguard_plan_current", "gauge", "1 when the guard decides by what the policies say now"),
    Metric("memguard_broken_policies", "gauge", "Policies that cannot be read"),
)

AGENT = (
    Metric(
        "memguard_watch_age_seconds",
        "gauge",
        "How long ago the API server last said how these stand",
        labels=("resource",),
    ),
    Metric("memguard_watch_failures_total", "counter", "Watches that ended in an error", labels=("resource",)),
    Metric("memguard_last_report_timestamp_seconds", "gauge", "When the NodeMemory was last written"),
    Metric("memguard_spool_entries", "gauge", "What waits on the disk to be written to the API server"),
    Metric("memguard_spool_dropped_total", "counter", "Of these, dropped because there was no room"),
    Metric(
        "memguard_spool_refused_total", "counter", "Of these, set aside because the API server will never take them"
    ),
    Metric(
        "memguard_events_dropped_total", "counter", "Events dropped because too many waited, or were about one object"
    ),
    Metric(
        "memguard_build_info",
        "gauge",
        "1, with the version as a label",
        labels=("version", "guard_version", "python"),
        textfile=("version",),
    ),
)

OPERATOR = (
    Metric("memguard_operator_leading", "gauge", "1 for the replica that acts"),
    Metric("memguard_operator_nodes", "gauge", "Nodes that report, by their level", labels=("level",)),
    Metric("memguard_operator_attended_nodes", "gauge", "Nodes in trouble that the operator looks after"),
    Metric(
        "memguard_operator_decisions_total",
        "counter",
        "The operator's decisions; outcome is acted or observed",
        labels=("action", "outcome"),
    ),
    Metric(
        "memguard_operator_refusals_total",
        "counter",
        "Victims that could not be touched, so that the next one was chosen, by the cause",
        labels=("cause",),
        values=("disruption_budget", "budget", "policy", "refused", "gone", "kind", "observed", "deposed"),
    ),
    Metric("memguard_operator_freed_bytes_total", "counter", "Memory that evictions gave back to their nodes"),
    Metric("memguard_operator_unfinished_total", "counter", "Evicted pods that were still there after their time"),
    Metric(
        "memguard_operator_reports_refused_total",
        "counter",
        "Reports that are not acted on: they make no sense",
        labels=("cause",),
        values=("unknown_node", "clock", "sizes", "containers"),
    ),
    Metric(
        "memguard_operator_reaction_seconds",
        "histogram",
        "From a report to what was done about it",
        buckets=ATTENDING_BUCKETS,
    ),
    Metric("memguard_operator_failures_total", "counter", "Requests that failed and are tried again", labels=("what",)),
    Metric("memguard_operator_expired_decisions_total", "counter", "Records that were deleted: too old, or too many"),
    Metric("memguard_operator_records", "gauge", "Records of decisions that are kept"),
    Metric("memguard_tainted_nodes", "gauge", "Nodes that bear our taint"),
    Metric(
        "memguard_operator_scorecard",
        "gauge",
        "What was only observed, against what the kernel did, on all nodes",
        labels=("verdict",),
    ),
    Metric(
        "memguard_fairness_ratio",
        "gauge",
        "Ends of a group's containers against its share of the memory at those moments; 1 is fair",
        labels=("group",),
    ),
    Metric("memguard_learned_points", "gauge", "Points of the workloads that have most of them", labels=("workload",)),
)

SECTIONS: dict[str, tuple[Metric, ...]] = {
    "What was decided, and what came of it": DECIDED,
    "How the node stands": NODE,
    "The guard": GUARD,
    "The agent": AGENT,
    "The operator": OPERATOR,
}
#: What a node exports; the operator has its own, and those of the watches.
CATALOGUE = (*DECIDED, *NODE, *GUARD, *AGENT)


def metric(name: str) -> Metric:
    """The one of this name."""
    return next(one for one in (*CATALOGUE, *OPERATOR) if one.name == name)
