"""What the authors of policies should know: what was clipped, what is broken, and which never count, and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import attrgetter
from typing import Generic, Literal, TypeVar

import msgspec

from memguard.core.guardrails import RAILS
from memguard.core.model import Record
from memguard.core.policies import ClusterMemoryGuardPolicySpec, MemoryGuardPolicySpec
from memguard.core.selector import satisfiable

#: Each is compared with all before it, on every node: beyond these a namespace's authors are told nothing of conflicts.
MOST_COMPARED = 16
#: In all conditions of two; where there are more it is not told that they overlap.
MOST_VALUES = 512

S = TypeVar("S", MemoryGuardPolicySpec, ClusterMemoryGuardPolicySpec)


def title_of(namespace: str, name: str) -> str:
    """What rules, notes and Events call a policy: `namespace/name`, or `cluster/name`."""
    return f"{namespace or 'cluster'}/{name}"


class Named(msgspec.Struct, Generic[S], frozen=True, kw_only=True):
    """A policy as it came from the cluster; without a `spec` it could not be read, and `problem` says why."""

    name: str
    spec: S | None
    namespace: str = ""
    problem: str = ""

    @property
    def title(self) -> str:
        """What it is called."""
        return title_of(self.namespace, self.name)


class Note(Record, frozen=True, kw_only=True):
    """One thing to know about a policy.

    Broken: it cannot be read. Clipped: a field (`asked`, `granted`) is beyond the guard-rails. Where two select the
    same: Idle, it never counts; Tied, another of the same precedence comes before it; Later, another of a higher one
    does; First, it comes before another.
    """

    policy: str
    kind: Literal["Broken", "Clipped", "Tied", "Idle", "Later", "First"]
    reason: str
    field: str = ""
    asked: str = ""
    granted: str = ""


Cluster = Named[ClusterMemoryGuardPolicySpec]
Tenant = Named[MemoryGuardPolicySpec]


def broken(policy: Cluster | Tenant, problem: str) -> Note:
    """It is left out."""
    where = f"in namespace {policy.namespace}" if policy.namespace else "on any node"
    reason = f"it cannot be read, so nothing is enforced {where} while it is there: {problem}"
    return Note(policy=policy.title, kind="Broken", reason=reason)


def tied(title: str, first: str, precedence: int) -> Note:
    """Another counts where both could."""
    reason = f"{first} has the same precedence of {precedence} and comes first by its name: it counts where both could"
    return Note(policy=title, kind="Tied", reason=reason)


def idle(title: str, reason: str) -> Note:
    """It never counts."""
    return Note(policy=title, kind="Idle", reason=reason)


def clipped(title: str, asked: MemoryGuardPolicySpec, granted: MemoryGuardPolicySpec, cluster: str) -> Iterator[Note]:
    """Every field that is not granted as asked."""
    for field, path, rail in RAILS:
        wish, given = attrgetter(path)(asked), attrgetter(path)(granted)
        if wish != given:
            wish, given = _shown(wish), _shown(given)
            reason = f"{field} is {given} and not {wish}, by {rail} of {cluster}"
            yield Note(policy=title, kind="Clipped", field=field, asked=wish, granted=given, reason=reason)


def conflicts(ordered: Sequence[tuple[str, MemoryGuardPolicySpec]]) -> Iterator[Note]:
    """Policies (title and spec) of one namespace that select the same, the first of them first: both are told."""
    compared = ordered[:MOST_COMPARED]
    for index, (title, spec) in enumerate(compared):
        before = compared[:index]
        first = next((one for one, other in before if _covers(other, spec)), None)
        if first is not None:
            yield idle(title, f"{first} comes first and selects all that it selects")
            yield _first(first, title)
            continue
        meeting = ((one, other) for one, other in before if _overlap(other, spec))
        for one, other in meeting:
            yield tied(title, one, spec.precedence) if other.precedence == spec.precedence else _later(title, one)
            yield _first(one, title)
            break


def _later(title: str, first: str) -> Note:
    reason = f"{first} has a higher precedence: it counts where both could"
    return Note(policy=title, kind="Later", reason=reason)


def _first(title: str, second: str) -> Note:
    return Note(policy=title, kind="First", reason=f"it comes before {second}, and counts where both could")


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "nothing"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _covers(first: MemoryGuardPolicySpec, second: MemoryGuardPolicySpec) -> bool:
    """Does the first surely select every container that the second selects?"""
    named = not first.containers or (bool(second.containers) and {*second.containers} <= {*first.containers})
    return named and {*first.selector.requirements} <= {*second.selector.requirements}


def _overlap(first: MemoryGuardPolicySpec, second: MemoryGuardPolicySpec) -> bool:
    """Could there be a container that both select?"""
    if first.containers and second.containers and not {*first.containers} & {*second.containers}:
        return False
    wanted = (*first.selector.requirements, *second.selector.requirements)
    return sum(len(one.values) for one in wanted) <= MOST_VALUES and satisfiable(wanted)
