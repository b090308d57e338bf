"""Who is hit, against who holds the memory when it is short: is any namespace or kind of workload hit more than that?

For each decision that was carried out the candidates' memory is divided among the groups: that is what each group would
be expected to bear of it, were memory all that counted. Over many decisions a group's ends are held against its sum.
"""

from __future__ import annotations

from collections.abc import Iterable

from memguard.core.model import Bytes, Count, Record

#: With fewer ends than this a ratio says nothing.
ENOUGH_ENDS = 5


class Share(Record, frozen=True, kw_only=True):
    """One candidate of a decision: the groups that it is of, and what it held."""

    groups: tuple[str, ...]
    held_bytes: Bytes
    ended: bool = False


def share(title: str, qos: str | None, owner_kind: str | None, held_bytes: int, *, ended: bool) -> Share:
    """A candidate's, by its title (namespace/pod/name), QoS class and kind of owner."""
    groups = (f"namespace/{title.partition('/')[0]}", f"qos/{qos or 'unknown'}", f"owner/{owner_kind or 'none'}")
    return Share(groups=groups, held_bytes=held_bytes, ended=ended)


class Standing(Record, frozen=True, kw_only=True):
    """How often a group was hit, and how often its share of the memory would have it."""

    group: str
    ends: Count
    expected: float

    @property
    def ratio(self) -> float | None:
        """1: as its memory has it; above it is hit more. None where too little happened to say."""
        if max(self.ends, self.expected) < ENOUGH_ENDS or self.expected <= 0:
            return None
        return self.ends / self.expected


def fairness(decisions: Iterable[Iterable[Share]]) -> tuple[Standing, ...]:
    """All groups, those that are hit most first."""
    ends: dict[str, int] = {}
    expected: dict[str, float] = {}
    for shares in decisions:
        candidates = tuple(shares)
        total = sum(one.held_bytes for one in candidates)
        for one in candidates:
            share = one.held_bytes / total if total else float(one.ended)
            for group in one.groups:
                ends[group] = ends.get(group, 0) + one.ended
                expected[group] = expected.get(group, 0.0) + share
    found = [Standing(group=group, ends=ends[group], expected=round(expected[group], 3)) for group in expected]
    return tuple(sorted(found, key=lambda one: (-one.ends, one.group)))
