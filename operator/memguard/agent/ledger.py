"""What the agent remembers of all news, in one small file: how far it has come, the scorecard, the orders' answers.

Pure: each function gives the ledger after one more fact, and what that makes known of earlier decisions.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from msgspec.structs import replace

from memguard.agent.entries import Amended
from memguard.agent.oom import Death
from memguard.api.node_memory import NodeScorecard, OrderAnswer
from memguard.core.advice import MOST_ORDERS
from memguard.core.decision import Decision
from memguard.core.model import Count, Moment, Record, Seconds
from memguard.core.scorecard import WINDOW_SECONDS, Decided, Fact, Judged, KernelKilled, Passed, Scorecard, keep_score

#: A node's budget is 20 in ten minutes.
MOST_ACTED = 64


class Acted(Record, frozen=True, kw_only=True):
    """A decision that was carried out, for as long as the kernel may still come all the same."""

    decision: str
    at: Seconds
    container: str
    shared: bool
    kills: Count = 0


class Ledger(Record, frozen=True, kw_only=True):
    """`session` and `number`: the last news that is in it, and `entry` its number in the spool. `since`: when begun.

    `earlier`: what the node's agents counted before, whose disks went with their pods.
    """

    since: Moment
    session: str = ""
    number: Count = 0
    entry: Count = 0
    card: Scorecard = Scorecard()
    earlier: NodeScorecard = NodeScorecard()
    acted: tuple[Acted, ...] = ()
    answers: tuple[OrderAnswer, ...] = ()


Step = tuple[Ledger, tuple[Amended, ...]]


def come(ledger: Ledger, session: str, number: int, entry: int) -> Ledger:
    """All up to this one is in it."""
    return replace(ledger, session=session, number=number, entry=entry)


def is_known(ledger: Ledger, session: str, number: int) -> bool:
    """Was this told before?"""
    return session == ledger.session and number <= ledger.number


def decided(ledger: Ledger, decision: Decision, title: str, policy: str, at: float) -> Step:
    """A decision; `title` is its `namespace/id`."""
    if decision.mode == "Observe":
        fact = Decided(at=at, decision=title, container=decision.victim.id, policy=policy, shared=decision.shared)
        return _scored(ledger, fact)
    acted = Acted(decision=title, at=at, container=decision.victim.id, shared=decision.shared)
    return replace(ledger, acted=(*ledger.acted, acted)[-MOST_ACTED:]), ()


def killed(ledger: Ledger, death: Death, policy: str, *, shared: bool) -> Step:
    """The kernel was faster; `shared`: because the node was short."""
    container = death.victim.id if death.victim else None
    ledger, amended = _scored(
        ledger, KernelKilled(at=death.at, container=container, policy=policy, shared=shared or container is None)
    )
    concerned = [one for one in ledger.acted if _came_all_the_same(one, death, container, shared=shared)]
    counted = {one.decision: replace(one, kills=one.kills + death.count) for one in concerned}
    acted = tuple(counted.get(one.decision, one) for one in ledger.acted)
    more = (_kills(one, death.at) for one in counted.values())
    return replace(ledger, acted=acted), (*amended, *more)


def passed(ledger: Ledger, at: float) -> Step:
    """Nothing happened until now. Of what was carried out and nothing came after, that is known now."""
    ledger, amended = _scored(ledger, Passed(at=at))
    over = [one for one in ledger.acted if at - one.at > WINDOW_SECONDS]
    calm = (_kills(one, at) for one in over if not one.kills)
    acted = tuple(one for one in ledger.acted if one not in over)
    return replace(ledger, acted=acted), (*amended, *calm)


def answered(ledger: Ledger, answers: Iterable[OrderAnswer]) -> Ledger:
    """Orders that were answered; the first answer to one is the one that counts."""
    known = {one.id for one in ledger.answers}
    news = tuple(one for one in answers if one.id not in known)
    return replace(ledger, answers=(*ledger.answers, *news)[-2 * MOST_ORDERS :]) if news else ledger


def resumed(ledger: Ledger, published: NodeScorecard) -> Ledger:
    """Go on with the scorecard that the agent before us published, unless it is our own."""
    known_since = ledger.earlier.since or ledger.since
    if published.since is None or published.since >= known_since:
        return ledger
    return replace(ledger, earlier=published)


def _scored(ledger: Ledger, fact: Fact) -> Step:
    card, judged = keep_score(ledger.card, fact)
    if card is ledger.card:
        return ledger, ()
    return replace(ledger, card=card), tuple(_verdicts(judged, fact.at))


def _verdicts(judged: Iterable[Judged], at: float) -> Iterable[Amended]:
    return (Amended(at=_moment(at), decision=name, verdict=one.verdict) for one in judged for name in one.decisions)


def _kills(acted: Acted, at: float) -> Amended:
    return Amended(at=_moment(at), decision=acted.decision, kernel_oom_kills=acted.kills)


def _came_all_the_same(acted: Acted, death: Death, container: str | None, *, shared: bool) -> bool:
    within = 0 <= death.at - acted.at <= WINDOW_SECONDS
    return within and (acted.container == container or (acted.shared and (shared or container is None)))


def _moment(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)
