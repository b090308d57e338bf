"""`kubectl memguard fairness`: is any namespace or kind of workload hit more than its share of the memory?"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal

from memguard.cli.cluster.cluster import Cluster
from memguard.cli.cluster.history import Since
from memguard.cli.cluster.options import Context, Form, Kubeconfig, Output, show
from memguard.controller.archive import ended, shares
from memguard.controller.resources import DECISIONS, RecordedDecision
from memguard.core.fairness import ENOUGH_ENDS, Share
from memguard.core.fairness import fairness as standings
from memguard.core.model import Count, Record
from memguard.kube.resources import Selection

if TYPE_CHECKING:
    from rich.console import RenderableType

#: Hit this many times as often as its memory has it is worth a look.
UNFAIR_RATIO = 2.0
Kind = Literal["namespace", "qos", "owner"]
KINDS: tuple[Kind, ...] = ("namespace", "qos", "owner")


class Group(Record, frozen=True, kw_only=True):
    """A namespace, a QoS class or a kind of owner: how often it was hit, and how often its memory would have it.

    `share_ratio`: of the memory of all candidates, over all decisions. `ratio`: 1 is fair; None where too little
    happened to say.
    """

    kind: Kind
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


def fairness(
    *, since: Since = None, output: Output = Form.TABLE, kubeconfig: Kubeconfig = None, context: Context = None
) -> None:
    """Say who is hit, against who holds the memory.

    Of all that was ended, by kill or eviction: by namespace, QoS class and kind of owner, against the share of the
    memory that each held in those very moments. 1 is fair. To be hit more is no proof of unfairness: who grows past
    what it asked for is chosen for that, and not for its size.

    \b
    Examples:
      kubectl memguard fairness
      kubectl memguard fairness --since 7d -o json

    \b
    Exit codes: 0 told, 1 the cluster cannot be asked, 2 bad input.
    """
    cluster = Cluster.reached(kubeconfig, context)
    oldest = None if since is None else datetime.now(UTC) - timedelta(seconds=since)
    document = balance(cluster.all(Selection(DECISIONS)), oldest)

    def view() -> RenderableType:
        from memguard.cli.cluster.view.fairness import fairness_view

        return fairness_view(document)

    show(document, output, view)


def balance(decisions: Iterable[RecordedDecision], oldest: datetime | None) -> Fairness:
    """Of those that were carried out, and are not older."""
    counted = [one for one in decisions if ended(one) and (oldest is None or one.at >= oldest)]
    divided = [shares(one) for one in counted]
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
        for kind in KINDS
        for one in standings(divided)
        if one.group.startswith(f"{kind}/")
    )
    since = min((one.at for one in counted), default=None)
    return Fairness(decisions=len(counted), since=since, groups=groups, words=_words(groups, len(counted)))


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
