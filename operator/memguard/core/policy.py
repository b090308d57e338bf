"""What may be done to whom: the plan that every decision is made under.

A plan is compiled from a file (standalone) or from the cluster's policies (agent); the guard only reads it. Every
default is harmless: without a rule that says Enforce, memguard observes.
"""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Annotated, Literal

import msgspec

from memguard.core.model import Bytes, Container, Count, Moment, Record, Seconds
from memguard.core.selector import Requirement

Mode = Literal["Observe", "Enforce"]
Action = Literal["notify", "reclaim", "brake", "resize", "terminate", "kill", "evict"]
Ratio = Annotated[float, msgspec.Meta(ge=0, le=1)]
Kills = Annotated[int, msgspec.Meta(ge=1, le=1000)]

#: "reclaim" only for who asks for it: with swap it made innocents' worst stalls 1.6 to 2 times as long, and the
#: guard's CPU 4 times as much, for no better outcome (node, swap on a file and on zram, 5 runs each). "resize" is the
#: operator's.
DEFAULT_ACTIONS: tuple[Action, ...] = ("notify", "brake", "terminate", "kill", "evict")

MIB = 1 << 20
GIB = 1 << 30

#: Below this limit a line's margin of 16 MiB would be an eighth or more of the container.
SMALLEST_GUARDED_LIMIT = 128 * MIB

#: What feedback may add to or take from a score at most: it breaks near ties, it must not lead (docs/score.md).
LEARNED_POINTS = 50


class Settings(Record, frozen=True, kw_only=True):
    """The figures of the decision; the defaults are the documented ones (docs/score.md)."""

    #: the reserve is the line that must not be crossed: a share of the domain, capped on big nodes
    reserve_ratio: Ratio = 0.06
    reserve_cap_bytes: Bytes = 4 * GIB
    #: relief is enough when this multiple of the reserve is available again
    relief_ratio: Annotated[float, msgspec.Meta(ge=1, le=1e9)] = 4 / 3
    #: how far ahead of the reserve a forecast may act; the guard, which reacts in milliseconds, sets it far lower
    horizon_seconds: Seconds = 8.0
    #: growth is met with patience while more than this many looks like the last are left before the last line (1.5 %)
    patience_looks: Count = 6
    #: the same by the clock, for who looks all the time: act on growth that would use up everything within this time
    patience_seconds: Seconds | None = None
    #: margin under a container's or pod's own limit
    margin_ratio: Ratio = 0.05
    margin_bytes: Bytes = 16 * MIB
    weights: dict[str, Annotated[float, msgspec.Meta(ge=0, le=1000)]] = {}
    protected_namespaces: tuple[str, ...] = ("kube-system", "memguard-system")


#: The guard looks every few milliseconds near the danger, so it need not act on forecasts: what it cannot wait for
#: is its own reaction. A snapshot or a trace that comes without a plan is judged with the core's 8 s.
GUARD_HORIZON_SECONDS = 0.1
#: Within the reserve the guard waits for growth that needs longer than this to use it up, less and less as it shrinks:
#: 50 MB/s are acted on at the reserve of a node of 1 GiB (2 s), compilers at 5.8 MB/s (12 s) not before half of it is
#: gone. With 60 s they were killed at 93 % of it (bench benign).
GUARD_PATIENCE_SECONDS = 15.0
GUARD_SETTINGS = Settings(horizon_seconds=GUARD_HORIZON_SECONDS, patience_seconds=GUARD_PATIENCE_SECONDS)


class Match(Record, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which containers a rule is for: all of it must match, and what is missing matches everything.

    `namespace`, `pod`, `container` and `cgroup` are globs; `containers` are names, one of which it must have.
    """

    namespace: str = "*"
    pod: str = "*"
    container: str = "*"
    cgroup: str = "*"
    containers: tuple[str, ...] = ()
    labels: dict[str, str] = {}
    expressions: tuple[Requirement, ...] = ()

    def matches(self, container: Container) -> bool:
        """Is the rule for this container?"""
        return (
            _fits(self.namespace, container.namespace or "")
            and _fits(self.pod, container.pod or "")
            and _fits(self.container, container.name or "")
            and _fits(self.cgroup, container.cgroup)
            and (not self.containers or container.name in self.containers)
            and (not (self.labels or self.expressions) or self._describes(container.labels))
        )

    def _describes(self, labels: Mapping[str, str] | None) -> bool:
        """Labels that are not known match no condition, not even that one is missing."""
        if labels is None:
            return False
        return self.labels.items() <= labels.items() and all(one.holds(labels) for one in self.expressions)


ANYBODY = Match()


def _fits(pattern: str, name: str) -> bool:
    return pattern == "*" or fnmatchcase(name, pattern)  # most rules leave most patterns open: 1 us against 5


class RuleBudget(Record, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A rule's own budget, within the plan's. Never 0, which would be protection by another name."""

    per_container: Annotated[
        Kills | None, msgspec.Meta(description="How often a window may see the end of one workload's container.")
    ] = None
    per_namespace: Annotated[
        Kills | None,
        msgspec.Meta(
            description="How many ends of containers a window may see in the namespace before those that this is for "
            "are left alone."
        ),
    ] = None


class Rule(Record, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the containers that it matches are treated; `None` leaves the plan's own mode in force."""

    match: Match = Match()
    mode: Mode | None = None
    adjustment: Annotated[int, msgspec.Meta(ge=-1000, le=1000)] = 0
    protected: bool = False
    minimum_age_seconds: Seconds = 0.0
    #: guard the container's (and its pod's) own limit too, with a line under it
    guard_limit: bool = False
    #: how long a stop signal may take before the kill; 0 kills at once
    grace_seconds: Seconds = 0.0
    stop_signal: str = "SIGTERM"
    #: a signal that tells the container that memory is short, before anything else is done
    notify_signal: str | None = None
    #: a directory inside the container in which a file says so
    notify_directory: str | None = None
    actions: tuple[Action, ...] = DEFAULT_ACTIONS
    budget: RuleBudget | None = None
    #: end it in place although its PodDisruptionBudget has nothing to spare, rather than leave it to the kernel
    override_disruption_budget: bool = False
    #: how far an in-place resize may raise the container's limit; 0: it may not
    largest_limit_bytes: Bytes = 0
    #: the policy that the rule comes from: `namespace/name`, or `cluster/name`
    policy: str = ""

    def allows(self, action: Action) -> bool:
        """May this be done?"""
        return action in self.actions

    @property
    def knows_limit(self) -> bool:
        """Is anything done at the container's own limit?"""
        return self.guard_limit or self.largest_limit_bytes > 0


class Budget(Record, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many kills a window may see; when it is spent, memguard only watches."""

    window_seconds: Seconds = 600.0
    per_container: Count = 3
    per_namespace: Count = 10
    per_node: Count = 20

    @property
    def generous(self) -> bool:
        """Does it allow anything at all, before anything was spent?"""
        return min(self.per_container, self.per_namespace, self.per_node) > 0

    def narrowed(self, by: RuleBudget | None) -> Budget:
        """What is left of it for the containers of a rule."""
        if by is None:
            return self
        mine, near = by.per_container or self.per_container, by.per_namespace or self.per_namespace
        return msgspec.structs.replace(
            self, per_container=min(mine, self.per_container), per_namespace=min(near, self.per_namespace)
        )


class Disruptions(Record, frozen=True, kw_only=True):
    """How many pods of a workload this node may disrupt between two moments, by its PodDisruptionBudget."""

    count: Count
    since: Moment
    until: Moment


class Plan(Record, frozen=True, kw_only=True):
    """Everything that a decision needs to know beyond the readings."""

    version: str = ""
    mode: Mode = "Observe"
    settings: Settings = Settings()
    rules: tuple[Rule, ...] = ()
    budget: Budget = Budget()
    #: learned points per workload (feedback), added to the score
    bias: dict[str, Annotated[int, msgspec.Meta(ge=-LEARNED_POINTS, le=LEARNED_POINTS)]] = {}
    #: what of PodDisruptionBudgets was lent to this node, by workload; of the others nothing is known
    disruptions: dict[str, Disruptions] = {}

    @property
    def acts(self) -> bool:
        """May anything be done at all, or is everything only observed?"""
        return "Enforce" in (self.mode, *(rule.mode for rule in self.rules))

    def rule_for(self, container: Container) -> Rule:
        """The first rule that matches; the harmless default where none does."""
        for rule in self.rules:
            if rule.match == ANYBODY or rule.match.matches(container):
                return rule
        return DEFAULT_RULE

    def mode_for(self, container: Container) -> Mode:
        """Observe or Enforce for one container."""
        return self.rule_for(container).mode or self.mode


DEFAULT_RULE = Rule()


def workload(container: Container) -> str:
    """Key under which a workload's history is kept: it survives restarts and new container ids."""
    if container.owner and container.namespace:
        return f"{container.namespace}/{container.owner.kind}/{container.owner.name}/{container.name}"
    return f"{container.namespace or ''}/{container.pod or container.cgroup}/{container.name or container.id}"
