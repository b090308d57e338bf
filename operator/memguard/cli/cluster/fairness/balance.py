"""Is any namespace or kind of workload hit more than its share of the memory? Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Literal

from memguard.api.decision import MemoryGuardDecision
from memguard.core.decision import ENDS, carried_out
from memguard.core.fairness import ENOUGH_ENDS, Share, share
from memguard.core.fairness import fairness as standings
from memguard.core.model import Count, Record

#: Hit this many times as often as its memory has it is worth a look.
UNFAIR_RATIO = 2.0
Grouping = Literal["namespace", "qos", "owner"]
GROUPINGS: tuple[Grouping, ...] = ("namespace", "qos", "owner")


class Group(Record, frozen=True, kw_only=True):
    """A namespace, a QoS class or a kind of owner: how often it was hit, and how often its memory would have it.

    `share_ratio`: of the memory of all candidates, over all decisions. `ratio`: 1 is fair; None where too little
    happened to say.
    """

    kind: Grouping
    name: str
    ends: Count
    expected: float
    share_ratio: float
    ratio: float | None


class Fairness(Record, frozen=True, kw_only=True):
    """`kubectl memguard fairness`: all groups of what was ended, kills and evictions alike."""

    decisions: Count
    since: datetime | None
    groups: tuple[Group, ...]
    words: str


def balance(decisions: Iterable[MemoryGuardDecision], oldest: datetime | None) -> Fairness:
    """Of those that were carried out, and are not older."""
    counted = [one for one in decisions if _ended(one) and (oldest is None or one.spec.taken_at >= oldest)]
    divided = [_shares(one) for one in counted]
    memory = _memory(divided)
    groups = tuple(
        Group(
            kind=kind,
            name=one.group.removeprefix(f"{kind}/"),
            ends=one.ends,
            expected=one.expected,
            share_ratio=round(memory.get(one.group, 0.0), 3),
            ratio=None if one.ratio is None else round(one.ratio, 2),
        )
        for kind in GROUPINGS
        for one in standings(divided)
        if one.group.startswith(f"{kind}/")
    )
    since = min((one.spec.taken_at for one in counted), default=None)
    return Fairness(decisions=len(counted), since=since, groups=groups, words=_words(groups, len(counted)))


def _ended(one: MemoryGuardDecision) -> bool:
    return one.spec.action in ENDS and carried_out(one.spec.mode, one.status.phase, one.status.freed_bytes)


def _shares(one: MemoryGuardDecision) -> tuple[Share, ...]:
    return tuple(
        share(beside.title, beside.qos, beside.owner_kind, beside.freed_bytes, ended=beside.id == one.spec.victim.id)
        for beside in one.spec.candidates
    )


def _memory(decisions: list[tuple[Share, ...]]) -> dict[str, float]:
    """Each group's share of all that candidates held."""
    held: dict[str, int] = {}
    total = 0
    for one in (one for shares_ in decisions for one in shares_):
        total += one.held_bytes
        for group in one.groups:
            held[group] = held.get(group, 0) + one.held_bytes
    return {group: some / total for group, some in held.items()} if total else {}


def _words(groups: tuple[Group, ...], ends: int) -> str:
    if not ends:
        return "Nothing was ended"
    hit = [one for one in groups if one.ratio is not None and one.ratio >= UNFAIR_RATIO]
    if hit:
        named = ", ".join(f"{one.kind} {one.name} {one.ratio:.1f} times" for one in hit)
        return (
            f"Hit more than their memory has it: {named}. Look why: kubectl memguard history -A --mode Enforce -o wide"
        )
    if all(one.ratio is None for one in groups):
        return f"Too little happened to judge by: a group is judged from {ENOUGH_ENDS} ends on"
    return "No group is hit twice as often as its memory has it"
