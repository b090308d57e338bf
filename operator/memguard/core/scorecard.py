"""Observe mode keeps score: would it have been right? People enable enforcement on this evidence.

An alarm is a run of Observe decisions about one container for one reason (its own limit, or a boundary that all share),
none later than ten minutes after the one before. When the kernel's OOM killer comes within ten minutes of the last, it
was a hit; when it does not, a false alarm. A kernel kill that no alarm came before is a miss. An alarm that was a hit
takes no more decisions (they are a new one), but the kernel's further kills within its ten minutes are no misses.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, Protocol

import msgspec

from memguard.core.model import Count, Record, Seconds

#: How long after a decision the kernel's kill still confirms it.
WINDOW_SECONDS = 600.0
#: More containers than a node runs; when more are suspected within the window, the oldest alarm is forgotten unjudged.
MOST_ALARMS = 256
#: Policies beyond these are counted together, under OTHERS.
MOST_POLICIES = 64
OTHERS = "others"
#: Decisions of one alarm that are told their verdict; a guard repeats itself once a minute at most.
MOST_DECISIONS = 16

Verdict = Literal["Hit", "FalseAlarm"]


class Decided(Record, frozen=True, kw_only=True):
    """It would have acted on this container. `shared`: because of a boundary that all share, not of its own limit."""

    at: Seconds
    decision: str
    container: str
    policy: str = ""
    shared: bool = True


class KernelKilled(Record, frozen=True, kw_only=True):
    """The kernel's OOM killer ended something of a container; None: of the node, it is not known of which.

    `shared`: the node (or kubepods) was short, and not only the container at its own limit.
    """

    at: Seconds
    container: str | None = None
    policy: str = ""
    shared: bool = False


class Passed(Record, frozen=True, kw_only=True):
    """Nothing happened until now."""

    at: Seconds


Fact = Decided | KernelKilled | Passed


class Judged(Record, frozen=True, kw_only=True):
    """What an alarm was, for the record of each of its decisions."""

    verdict: Verdict
    decisions: tuple[str, ...]
    policy: str = ""


class OpenAlarm(Record, frozen=True, kw_only=True):
    """A run of decisions about one container; `confirmed` once the kernel killed."""

    container: str
    policy: str
    last_at: Seconds
    shared: bool
    decisions: tuple[str, ...]
    confirmed: bool = False


class Tally(Record, frozen=True, kw_only=True):
    """How often it was right, how often nothing came, and how often the kernel came first."""

    hits: Count = 0
    false_alarms: Count = 0
    misses: Count = 0


class Counted(Protocol):
    """Whatever holds the three counts."""

    @property
    def hits(self) -> int:
        """As in Tally; so are the others."""

    @property
    def false_alarms(self) -> int: ...  # noqa: D102

    @property
    def misses(self) -> int: ...  # noqa: D102


def together(counted: Iterable[Counted]) -> Tally:
    """Their sum."""
    each = tuple(counted)
    return Tally(
        hits=sum(one.hits for one in each),
        false_alarms=sum(one.false_alarms for one in each),
        misses=sum(one.misses for one in each),
    )


class Scorecard(Record, frozen=True, kw_only=True):
    """The score of one node, of each policy, and the alarms that are open, the oldest first. It survives a restart."""

    total: Tally = Tally()
    policies: dict[str, Tally] = {}
    alarms: tuple[OpenAlarm, ...] = ()


Step = tuple[Scorecard, tuple[Judged, ...]]


def keep_score(card: Scorecard, fact: Fact) -> Step:
    """The score after one more fact, and the alarms that it judges. Facts come in the order of their time."""
    card, judged = _expire(card, fact.at)
    match fact:
        case Decided():
            return _decided(card, fact), judged
        case KernelKilled():
            card, more = _killed(card, fact)
            return card, (*judged, *more)
        case Passed():
            return card, judged


def _expire(card: Scorecard, now: float) -> Step:
    """Alarms whose ten minutes are over: false, unless they were confirmed."""
    over = tuple(alarm for alarm in card.alarms if now - alarm.last_at > WINDOW_SECONDS)
    if not over:
        return card, ()
    card = msgspec.structs.replace(card, alarms=tuple(alarm for alarm in card.alarms if alarm not in over))
    return _judge(card, [alarm for alarm in over if not alarm.confirmed], "FalseAlarm")


def _decided(card: Scorecard, fact: Decided) -> Scorecard:
    """A new alarm, or one more decision of the one that is open."""
    before = next((alarm for alarm in card.alarms if _goes_on(alarm, fact)), None)
    alarm = OpenAlarm(
        container=fact.container, policy=fact.policy, last_at=fact.at, shared=fact.shared, decisions=(fact.decision,)
    )
    if before is not None:
        decisions = (*before.decisions, fact.decision)[:MOST_DECISIONS]
        alarm = msgspec.structs.replace(before, last_at=fact.at, decisions=decisions)
    others = tuple(one for one in card.alarms if one is not before)
    return msgspec.structs.replace(card, alarms=(*others, alarm)[-MOST_ALARMS:])


def _goes_on(alarm: OpenAlarm, fact: Decided) -> bool:
    return alarm.container == fact.container and alarm.shared == fact.shared and not alarm.confirmed


def _killed(card: Scorecard, fact: KernelKilled) -> Step:
    """It confirms the alarms that foresaw it; without one it is a miss."""
    foreseen = [alarm for alarm in card.alarms if _foresaw(alarm, fact)]
    if not foreseen:
        return _count(card, fact.policy, misses=1), ()
    alarms = tuple(
        msgspec.structs.replace(alarm, confirmed=True) if alarm in foreseen else alarm for alarm in card.alarms
    )
    return _judge(
        msgspec.structs.replace(card, alarms=alarms), [alarm for alarm in foreseen if not alarm.confirmed], "Hit"
    )


def _foresaw(alarm: OpenAlarm, fact: KernelKilled) -> bool:
    """A kill in its container, or, where the node was short both times, anywhere."""
    return alarm.container == fact.container or (alarm.shared and (fact.shared or fact.container is None))


def _judge(card: Scorecard, alarms: list[OpenAlarm], verdict: Verdict) -> Step:
    for alarm in alarms:
        card = _count(card, alarm.policy, hits=int(verdict == "Hit"), false_alarms=int(verdict == "FalseAlarm"))
    return card, tuple(Judged(verdict=verdict, decisions=one.decisions, policy=one.policy) for one in alarms)


def _count(card: Scorecard, policy: str, *, hits: int = 0, false_alarms: int = 0, misses: int = 0) -> Scorecard:
    def more(tally: Tally) -> Tally:
        return Tally(
            hits=tally.hits + hits, false_alarms=tally.false_alarms + false_alarms, misses=tally.misses + misses
        )

    known = policy in card.policies or len(card.policies) < MOST_POLICIES
    key = policy if known else OTHERS
    policies = {**card.policies, key: more(card.policies.get(key, Tally()))}
    return msgspec.structs.replace(card, total=more(card.total), policies=policies)
