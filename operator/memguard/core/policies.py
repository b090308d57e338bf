"""What people write: the specs of the two policy kinds, as `kubectl explain` shows them.

A MemoryGuardPolicy is a tenant's, for pods of its own namespace; a ClusterMemoryGuardPolicy is the administrators', for
nodes: how a decision is made there, how pods are treated that no tenant speaks for, and what tenants may ask for.
core/compile makes one plan of them. Every default is harmless: nothing is enforced before somebody says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, get_args

from msgspec import Meta

from memguard.core.model import Record
from memguard.core.policy import DEFAULT_ACTIONS, GUARD_SETTINGS, Action, Budget, Mode, Ratio, RuleBudget
from memguard.core.quantity import PATTERN, parse_bytes
from memguard.core.selector import LabelSelector
from memguard.core.taint import TaintBehaviour
from memguard.errors import InputError

#: Signals that a process can answer.
Signal = Literal[
    "SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGWINCH", "SIGURG", "SIGCONT", "SIGABRT", "SIGPWR"
]
#: The factors of the score (core/score).
FactorName = Literal[
    "memory", "growth", "excess", "overuse", "oom_score_adj", "priority", "cpu", "lifetime", "nice", "privileged",
    "protection", "history", "inherit",
]  # fmt: skip
ACTIONS: tuple[Action, ...] = get_args(Action)
#: Of a budget: what was ended within it has to be remembered.
LONGEST_WINDOW_SECONDS = 86_400

Quantity = Annotated[int, Meta(ge=0)] | Annotated[str, Meta(pattern=PATTERN, max_length=32)]
Adjustment = Annotated[int, Meta(ge=-1000, le=1000)]
Precedence = Annotated[int, Meta(ge=0, le=1000)]
#: A day: who is older is not young.
Age = Annotated[int, Meta(ge=0, le=86_400)]
#: Ten minutes; Kubernetes' own default grace period is 30 s.
Grace = Annotated[int, Meta(ge=0, le=600_000)]
#: An hour: beyond it nothing is foreseen.
ForecastSeconds = Annotated[float, Meta(ge=0, le=3600)]
Name = Annotated[str, Meta(min_length=1, max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]


class Limit(Record, frozen=True, kw_only=True):
    """What is done at a container's own memory limit."""

    guard: Annotated[
        bool,
        Meta(
            description="Put a line under the container's (and its pod's) own limit, and act before the kernel's OOM "
            "killer does. Only for limits of 128 MiB and more."
        ),
    ] = False
    maximum: Annotated[
        Quantity | None,
        Meta(
            description="With the action resize: how far the limit of a Burstable container may be raised in place "
            "when it is about to be reached and the node has room. Without one it is not raised."
        ),
    ] = None

    def __post_init__(self) -> None:
        try:
            _ = self.maximum_bytes
        except InputError as error:
            raise ValueError(str(error)) from None

    @property
    def maximum_bytes(self) -> int:
        """The maximum in bytes; 0 where there is none."""
        return 0 if self.maximum is None else parse_bytes(str(self.maximum), "limit", "maximum")


class Stop(Record, frozen=True, kw_only=True):
    """How a container is asked to end, before it is killed."""

    grace_milliseconds: Annotated[
        Grace,
        Meta(
            description="How long the container has to end by itself after the stop signal. 0: it is killed at once. "
            "Where the forecast leaves less time, it has less."
        ),
    ] = 0
    signal: Annotated[Signal, Meta(description="The stop signal.")] = "SIGTERM"


class Notify(Record, frozen=True, kw_only=True):
    """How a container is told that memory is short, before anything else is done."""

    signal: Annotated[
        Signal | None,
        Meta(
            description="A signal to the container's first process. Most signals end a process that does not handle "
            "them."
        ),
    ] = None
    directory: Annotated[
        Annotated[str, Meta(max_length=1024)] | None,
        Meta(
            description="A directory inside the container in which a file, memguard.notice, tells it; an absolute "
            "path. Only where the guard has CAP_SYS_PTRACE, which no profile of ours gives it."
        ),
    ] = None


class Treatment(Record, frozen=True, kw_only=True):
    """How containers are treated."""

    mode: Annotated[
        Mode,
        Meta(description="Observe: only tell what would be done, and keep score of it. Enforce: do it."),
    ] = "Observe"
    adjustment: Annotated[
        Adjustment,
        Meta(description="Points added to the score of 0 to 1000; negative ones make a container less likely to end."),
    ] = 0
    protected: Annotated[bool, Meta(description="Never end these containers.")] = False
    minimum_age_seconds: Annotated[
        Age,
        Meta(description="Spare containers younger than this, unless they make half of the growth or more themselves."),
    ] = 0
    limit: Annotated[Limit, Meta(description="What is done at a container's own memory limit.")] = Limit()
    stop: Annotated[Stop, Meta(description="How a container is asked to end, before it is killed.")] = Stop()
    notify: Annotated[Notify, Meta(description="How a container is told that memory is short.")] = Notify()
    actions: Annotated[
        tuple[Action, ...],
        Meta(
            min_length=1,
            max_length=len(ACTIONS),
            description="What may be done, from the gentlest to the last: notify, reclaim (page cache; with swap it "
            "can slow down others), brake (slow down who grows), resize (raise the limit where the node has room), "
            "terminate (the stop signal, for containers that are restarted whatever their exit code), kill, evict "
            "(the pod, where its memory outlives the container).",
        ),
    ] = DEFAULT_ACTIONS
    budget: Annotated[
        RuleBudget, Meta(description="How many of these containers may be ended in a window, within the node's budget.")
    ] = RuleBudget()
    override_disruption_budget: Annotated[
        bool,
        Meta(
            description="In an emergency (half of the node's reserve is gone) end these containers in place although "
            "their PodDisruptionBudget has nothing to spare, rather than leave the choice to the kernel. Never by "
            "eviction; each time is counted."
        ),
    ] = False


class MemoryGuardPolicySpec(Treatment, frozen=True, kw_only=True):
    """How pods of this namespace are treated. Of several policies that select a pod, the first one counts whole."""

    selector: Annotated[
        LabelSelector, Meta(description="The pods that this is for, by their labels. Empty: all of the namespace.")
    ] = LabelSelector()
    containers: Annotated[
        tuple[Name, ...],
        Meta(max_length=32, description="Only these containers of the pods, by name. Empty: all of them."),
    ] = ()
    precedence: Annotated[
        Precedence,
        Meta(description="The policy with the highest precedence comes first, then the alphabet decides."),
    ] = 0


class AdjustmentRange(Record, frozen=True, kw_only=True):
    """Between which points a tenant's adjustment may lie."""

    min: Annotated[Adjustment, Meta(description="No tenant's adjustment is below this.")] = -300
    max: Annotated[Adjustment, Meta(description="No tenant's adjustment is above this.")] = 1000

    def __post_init__(self) -> None:
        if self.min > self.max:
            raise ValueError("min is above max")


class Guardrails(Record, frozen=True, kw_only=True):
    """What tenants' policies may ask for; what is beyond it is clipped, and their status says so."""

    enforce: Annotated[bool, Meta(description="May a tenant's policy say Enforce? Otherwise it observes.")] = True
    observe: Annotated[
        bool,
        Meta(description="May a tenant's policy say Observe, where `defaults` say Enforce? Otherwise it enforces."),
    ] = True
    protect: Annotated[
        bool,
        Meta(
            description="May a tenant's policy protect containers? Otherwise neither `protected` does, nor a list of "
            "actions without kill and evict (both are added)."
        ),
    ] = False
    adjustment: Annotated[AdjustmentRange, Meta(description="Between which points a tenant's adjustment may lie.")] = (
        AdjustmentRange()
    )
    max_minimum_age_seconds: Annotated[Age, Meta(description="The longest `minimumAgeSeconds` of a tenant.")] = 600
    max_grace_milliseconds: Annotated[Grace, Meta(description="The longest `stop.graceMilliseconds` of a tenant.")] = (
        30_000
    )
    actions: Annotated[
        tuple[Action, ...], Meta(max_length=len(ACTIONS), description="The actions that a tenant's policy may allow.")
    ] = ACTIONS
    guard_limit: Annotated[bool, Meta(description="May a tenant's policy set `limit.guard`?")] = True


class ClusterSettings(Record, frozen=True, kw_only=True):
    """The figures of the decision; docs/score.md explains them."""

    reserve_ratio: Annotated[
        Ratio, Meta(description="The reserve is the line that must not be crossed: this share of the node's memory.")
    ] = GUARD_SETTINGS.reserve_ratio
    reserve_cap: Annotated[Quantity, Meta(description="The reserve is never larger than this.")] = "4Gi"
    relief_ratio: Annotated[
        Annotated[float, Meta(ge=1, le=100)],
        Meta(description="Relief is enough when this multiple of the reserve is available again."),
    ] = GUARD_SETTINGS.relief_ratio
    horizon_seconds: Annotated[
        ForecastSeconds, Meta(description="How far ahead of the reserve a forecast may act.")
    ] = GUARD_SETTINGS.horizon_seconds
    patience_seconds: Annotated[
        ForecastSeconds,
        Meta(description="Within the reserve, growth that needs longer than this to use it up is waited for."),
    ] = GUARD_SETTINGS.patience_seconds or 0.0
    margin_ratio: Annotated[
        Ratio, Meta(description="The line under a container's own limit: this share of the limit below it.")
    ] = GUARD_SETTINGS.margin_ratio
    margin: Annotated[Quantity, Meta(description="The same, at least.")] = "16Mi"
    weights: Annotated[
        dict[FactorName, Annotated[float, Meta(ge=0, le=1000)]],
        Meta(description="Weights of the score's factors that differ from the documented ones."),
    ] = {}
    protected_namespaces: Annotated[
        tuple[Name, ...], Meta(max_length=256, description="Namespaces in which nothing is ever touched.")
    ] = GUARD_SETTINGS.protected_namespaces

    def __post_init__(self) -> None:
        try:
            parse_bytes(str(self.reserve_cap), "settings", "reserveCap")
            parse_bytes(str(self.margin), "settings", "margin")
        except InputError as error:
            raise ValueError(str(error)) from None

    @property
    def reserve_cap_bytes(self) -> int:
        """The reserve's cap in bytes."""
        return parse_bytes(str(self.reserve_cap))

    @property
    def margin_bytes(self) -> int:
        """The margin in bytes."""
        return parse_bytes(str(self.margin))


class NodeBudget(Record, frozen=True, kw_only=True):
    """How many containers a node's guard may end within a window; when it is spent, it only watches."""

    window_seconds: Annotated[
        Annotated[int, Meta(ge=1, le=LONGEST_WINDOW_SECONDS)], Meta(description="The window's length.")
    ] = int(Budget().window_seconds)
    per_container: Annotated[
        Annotated[int, Meta(ge=0, le=1000)], Meta(description="The most for one workload's container.")
    ] = Budget().per_container
    per_namespace: Annotated[Annotated[int, Meta(ge=0, le=1000)], Meta(description="The most for one namespace.")] = (
        Budget().per_namespace
    )
    per_node: Annotated[Annotated[int, Meta(ge=0, le=1000)], Meta(description="The most for the node.")] = (
        Budget().per_node
    )
    per_cluster: Annotated[
        Annotated[int, Meta(ge=0, le=10_000)],
        Meta(description="The most that the operator may evict, or have ended, in the whole cluster."),
    ] = 50


class ClusterMemoryGuardPolicySpec(Record, frozen=True, kw_only=True):
    """How nodes are guarded. Of several policies that select a node, the first one counts whole.

    The one called `default` comes last; where there is none, these defaults stand.
    """

    node_selector: Annotated[
        LabelSelector, Meta(description="The nodes that this is for, by their labels. Empty: all nodes.")
    ] = LabelSelector()
    precedence: Annotated[
        Precedence,
        Meta(
            description="The policy with the highest precedence comes first, then the alphabet decides; the policy "
            "called default always comes last."
        ),
    ] = 0
    settings: Annotated[ClusterSettings, Meta(description="The figures of the decision.")] = ClusterSettings()
    defaults: Annotated[Treatment, Meta(description="How pods are treated that no tenant's policy selects.")] = (
        Treatment()
    )
    tenants: Annotated[Guardrails, Meta(description="What tenants' policies may ask for.")] = Guardrails()
    budget: Annotated[NodeBudget, Meta(description="How many containers a node's guard may end within a window.")] = (
        NodeBudget()
    )
    taint: Annotated[
        TaintBehaviour,
        Meta(
            description="Which taint memguard.io/memory-pressure the operator may put on a node that is short of "
            "memory. PreferNoSchedule: when it will run out within minutes. NoSchedule: that too, when the reserve is "
            "touched. It is taken off after five calm minutes."
        ),
    ] = "Never"
    emergency_stop: Annotated[
        bool,
        Meta(
            description="While it is true nothing is enforced on the nodes that this selects, whatever all policies "
            "say, with or without the operator. It changes nothing else: a policy that says only this (and where) "
            "stops, and never counts otherwise. `kubectl memguard pause` makes such policies."
        ),
    ] = False

    @property
    def only_stops(self) -> bool:
        """Does it say nothing but that all is to stop, and where?"""
        bare = ClusterMemoryGuardPolicySpec(
            node_selector=self.node_selector, precedence=self.precedence, emergency_stop=True
        )
        return self == bare

    def stops(self, node_labels: Mapping[str, str]) -> bool:
        """Is nothing to be enforced on a node with these labels?"""
        return self.emergency_stop and self.node_selector.selects(node_labels)
