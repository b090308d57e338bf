"""What was only observed, held against what the kernel did: is it evidence for enforcing? Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from memguard.api.node_memory import NodeMemory, NodeScorecard
from memguard.cli.words import many
from memguard.core.compile import DEFAULT
from memguard.core.model import Count, Moment, Record
from memguard.core.notes import title_of
from memguard.core.policies import ClusterMemoryGuardPolicySpec
from memguard.core.policy import Mode
from memguard.core.scorecard import Tally, together

#: Fewer events than this are no evidence either way.
ENOUGH = 5
#: This share of alarms must have been right before enforcing is advised: one needless end in five.
RIGHT_RATIO = 0.8
#: The policy that holds where nobody wrote one has no object.
BUILT_IN = {title_of("", DEFAULT): ClusterMemoryGuardPolicySpec().defaults.mode}


class Score(Record, frozen=True, kw_only=True):
    """Of a policy, a node or all of them. `right_ratio`: of the alarms; `foreseen_ratio`: of the kernel's kills.

    Both are None without any. `words` says what it means, and what to do next.
    """

    of: str
    mode: Mode | None = None
    hits: Count = 0
    false_alarms: Count = 0
    misses: Count = 0
    since: Moment | None = None
    right_ratio: float | None = None
    foreseen_ratio: float | None = None
    words: str = ""


class Evidence(Record, frozen=True, kw_only=True):
    """`kubectl memguard scorecard`."""

    cluster: Score
    policies: tuple[Score, ...]
    nodes: tuple[Score, ...]


class PolicyFigures(Record, frozen=True, kw_only=True):
    """A policy: its title, what it asks for, and its figures by its own status (None: the operator wrote none)."""

    title: str
    mode: Mode
    hits: Count | None = None
    false_alarms: Count | None = None
    misses: Count | None = None


def evidence(reports: Iterable[NodeMemory], policies: Iterable[PolicyFigures]) -> Evidence:
    """By policy from its status; where no operator writes that, or the policy is gone, from the nodes' own counts."""
    told = tuple(reports)
    nodes = tuple(_node(one.metadata.name, card) for one in told if (card := one.status.scorecard) is not None)
    sums = _by_policy(told)
    known = {one.title: one for one in policies}
    found = [_policy(title, known.get(title), sums.get(title, Tally())) for title in sorted({*known, *sums})]
    total = together(nodes)
    return Evidence(
        cluster=_score(
            "all nodes",
            total.hits,
            total.false_alarms,
            total.misses,
            since=min((one.since for one in nodes if one.since), default=None),
        ),
        policies=tuple(sorted(found, key=lambda one: (-(one.hits + one.false_alarms + one.misses), one.of))),
        nodes=nodes,
    )


def _node(name: str, card: NodeScorecard) -> Score:
    return _score(name, card.hits, card.false_alarms, card.misses, since=card.since)


def _policy(title: str, known: PolicyFigures | None, counted: Tally) -> Score:
    hits, false_alarms, misses = counted.hits, counted.false_alarms, counted.misses
    if known is not None and known.hits is not None:
        hits, false_alarms, misses = known.hits, known.false_alarms or 0, known.misses or 0
    return _score(title, hits, false_alarms, misses, mode=known.mode if known else BUILT_IN.get(title))


def _by_policy(reports: Iterable[NodeMemory]) -> dict[str, Tally]:
    sums: dict[str, Tally] = {}
    for report in reports:
        card = report.status.scorecard
        for one in card.policies if card else ():
            title = one.policy or "no policy"
            sums[title] = together((sums.get(title, Tally()), one))
    return sums


def _score(
    of: str, hits: int, false_alarms: int, misses: int, *, mode: Mode | None = None, since: datetime | None = None
) -> Score:
    alarms, kills = hits + false_alarms, hits + misses
    return Score(
        of=of,
        mode=mode,
        hits=hits,
        false_alarms=false_alarms,
        misses=misses,
        since=since,
        right_ratio=round(hits / alarms, 3) if alarms else None,
        foreseen_ratio=round(hits / kills, 3) if kills else None,
        words=_words(hits, false_alarms, misses, mode),
    )


def _words(hits: int, false_alarms: int, misses: int, mode: Mode | None) -> str:
    """What the figures mean, and what to do next."""
    if not hits + false_alarms + misses:
        return "nothing happened: no evidence either way; go on observing"
    if mode == "Enforce":
        return "it enforces: these are what was observed before, or where it could not act"
    if not hits + false_alarms:
        return (
            f"{many(misses, 'miss')}, nothing foreseen: if they were at containers' own limits, observing cannot "
            "foresee them; try limit.guard in one namespace"
        )
    told = (
        f"enforcing would have come before the kernel's OOM killer {hits} of {many(hits + misses, 'time')}, "
        f"and have ended something needlessly {many(false_alarms, 'time')}"
    )
    if hits + false_alarms < ENOUGH:
        return f"{told}; too little to judge by: go on observing until there are {ENOUGH} alarms"
    if hits / (hits + false_alarms) >= RIGHT_RATIO:
        return f"{told}; that speaks for Enforce: begin with the workloads that caused it"
    return (
        f"{told}; that speaks against Enforce as it is: see whom (kubectl memguard history -A --mode Observe -o wide), "
        "and give those a protection, an adjustment or a request that fits"
    )
