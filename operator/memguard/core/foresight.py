"""The slow horizon: what to do minutes before a node's line, with what only the cluster knows. Pure.

The chain is the guard's (judge), on snapshots that are made of a node's reports, with a plan that looks a quarter of an
hour ahead. What differs is the way out: a pod that somebody makes anew elsewhere is evicted, with its own grace and
within its PodDisruptionBudget; what would come back on the same node, or never again, is ended in place by the guard.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from memguard.core.history import History, after_victim
from memguard.core.ladder import is_virtual_machine, may_terminate, only_evictable
from memguard.core.model import Container, Snapshot
from memguard.core.policy import Plan, Rule
from memguard.core.refusal import Refusal
from memguard.core.select import BYSTANDER_GROWTH, NO_REFUSALS, TRUSTED_SAMPLES, Candidate, Ranking, Refusals, judge

#: With this horizon, and as much patience, a culprit of 700 points is acted on when some 115 s are left: time for the
#: usual grace of 30 s, for a second try, and all of it before the guard's line. Threshold: docs/score.md.
FORESIGHT_SECONDS = 900.0
#: Growth that is not seen in these is over.
LATEST_REPORTS = 3
#: Controllers whose pods come back on the same node.
BOUND_KINDS = frozenset({"DaemonSet", "Node"})

Way = Literal["evict", "terminate", "kill"]


def ahead(plan: Plan) -> Plan:
    """The plan as it is looked at from minutes away."""
    settings = msgspec.structs.replace(
        plan.settings, horizon_seconds=FORESIGHT_SECONDS, patience_seconds=FORESIGHT_SECONDS
    )
    return msgspec.structs.replace(plan, settings=settings)


def look(history: History, snapshot: Snapshot, plan: Plan, refusals: Refusals = NO_REFUSALS) -> tuple[History, Ranking]:
    """Take one more report in, and rank. `plan` is as `ahead` makes it."""
    return judge(history, snapshot, plan, refusals)


def culprit(history: History, ranking: Ranking) -> Candidate | None:
    """Who is to go, if anybody. `history` is that of the ranking.

    The guard ends a bystander rather than lose the node. Here there is time, or it is the guard's affair: nobody goes
    on a first impression (with two reports at hand the biggest went for what a leak of 20 MB/s did), nor for others,
    nor for what is over (one jump of 200 MiB looked like a leak for a minute).
    """
    victim = ranking.victim
    if victim is None or ranking.sample_count < TRUSTED_SAMPLES or victim.growth_ratio < BYSTANDER_GROWTH:
        return None
    (before, had), *_, (now, has) = history.tracks[victim.container.id].samples[-LATEST_REPORTS:]
    goes_on = has - had >= BYSTANDER_GROWTH * ranking.pressure.fall_bytes_per_second * (now - before)
    return victim if goes_on else None


def settled(history: History, snapshot: Snapshot, *, foreign: bool) -> History:
    """The history once somebody went: what that gives back is no trend."""
    return after_victim(history, snapshot.seconds, foreign=foreign)


def remedy(container: Container, rule: Rule, *, weary: bool = False) -> Way | Refusal:
    """How it is to go; or why not: its policy forbids it, or it is of a kind that it would not help.

    `weary`: ended in place again and again, so that one more restart there is of no use.
    """
    if is_virtual_machine(container):
        return _evicted(rule, "it is a virtual machine")
    if only_evictable(container):
        return _moved(container, rule, "its memory outlives it")
    if movable(container) and rule.allows("evict"):
        return "evict"
    if weary:
        return _moved(container, rule, "it was ended in place again and again")
    return _in_place(container, rule)


def movable(container: Container) -> bool:
    """Does somebody make its pod anew, and may that be on another node?"""
    return container.owner is not None and container.owner.kind not in BOUND_KINDS


def _moved(container: Container, rule: Rule, why: str) -> Way | Refusal:
    if not movable(container):
        return Refusal(cause="kind", words=f"{why}, and {_why_not_movable(container)}")
    return _evicted(rule, why)


def _why_not_movable(container: Container) -> str:
    if container.owner is None:
        return "nobody would make the pod anew"
    return f"a {container.owner.kind}'s pod comes back on the same node"


def _evicted(rule: Rule, why: str) -> Way | Refusal:
    if rule.allows("evict"):
        return "evict"
    return Refusal(cause="policy", words=f"{why}, and its policy does not allow to evict it")


def _in_place(container: Container, rule: Rule) -> Way | Refusal:
    if rule.allows("terminate") and rule.grace_seconds > 0 and may_terminate(container):
        return "terminate"
    if rule.allows("kill"):
        return "kill"
    why = "its policy does not allow to evict it" if movable(container) else _why_not_movable(container)
    return Refusal(cause="policy", words=f"its policy allows no kill, and {why}")
