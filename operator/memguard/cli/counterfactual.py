"""What would have changed a choice: the fewest points, and the fewest bytes, all else being equal.

Points are arithmetic; bytes enter several factors at once, so they are searched for with the ranking itself.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, floor

import msgspec

from memguard.cli.judging import Judgement
from memguard.core.model import Container, Snapshot
from memguard.core.select import Candidate, Ranking, rank

MIB = 1 << 20
HIGHEST_SCORE = 1000


def points_to_lose(ranking: Ranking) -> int | None:
    """Points that the victim would need less, for another victim or none; None where no number of points does."""
    victim = ranking.victim
    if victim is None:
        return None
    second = runner_up(ranking)
    lead = victim.badness - second.badness if second else None
    return fewest_to_lose(victim.scored.score, ranking.pressure.threshold_score, lead)


def points_to_win(ranking: Ranking, candidate: Candidate) -> int | None:
    """Points more with which this candidate would be the victim; None where no number of points does."""
    victim = ranking.victim
    lead = victim.badness - candidate.badness if victim else None
    return fewest_to_win(candidate.scored.score, ranking.pressure.threshold_score, lead)


def fewest_to_lose(score: int, threshold_score: float, lead: float | None) -> int | None:
    """Points less that end a victim's choice; `lead` is its badness over the runner-up's, None without one."""
    to_threshold = score - ceil(threshold_score) + 1
    fewest = to_threshold if lead is None else min(to_threshold, _points_over(lead))
    return fewest if fewest <= score else None


def fewest_to_win(score: int, threshold_score: float, lead: float | None) -> int | None:
    """Points more that make one the victim; `lead` is the victim's badness over its own, None without a victim."""
    needed = max(ceil(threshold_score) - score, 1 if lead is None else _points_over(lead), 1)
    return needed if score + needed <= HIGHEST_SCORE else None


def bytes_to_lose(judged: Judgement) -> int | None:
    """Anonymous memory that the victim would need less, to the MiB, not to be chosen."""
    victim = judged.ranking.victim
    if victim is None:
        return None
    held = victim.container.memory.anon_bytes or victim.container.memory.current_bytes
    return _fewest(held, lambda less: not _chosen_with(judged, victim, -less))


def bytes_to_win(judged: Judgement, candidate: Candidate) -> int | None:
    """Anonymous memory more, to the MiB, with which this candidate would be chosen."""
    room = judged.ranking.domain.size_bytes
    return _fewest(room, lambda more: _chosen_with(judged, candidate, more))


def runner_up(ranking: Ranking) -> Candidate | None:
    """The one that would be chosen if the victim were not there."""
    return next((c for c in ranking.candidates[1:] if c.excluded is None), None)


def _points_over(badness: float) -> int:
    return floor(badness * 1000) + 1


def _chosen_with(judged: Judgement, candidate: Candidate, change_bytes: int) -> bool:
    """Would it be the victim with so many bytes more, under the same pressure?"""
    ranking = judged.ranking
    snapshot = _with(judged.snapshot, _changed(candidate.container, change_bytes))
    victim = rank(judged.history, snapshot, judged.plan, ranking.domain, ranking.pressure).victim
    return victim is not None and victim.container.id == candidate.container.id


def _changed(container: Container, change_bytes: int) -> Container:
    memory = container.memory
    anon = None if memory.anon_bytes is None else max(0, memory.anon_bytes + change_bytes)
    current = max(0, memory.current_bytes + change_bytes)
    return msgspec.structs.replace(
        container, memory=msgspec.structs.replace(memory, anon_bytes=anon, current_bytes=current)
    )


def _with(snapshot: Snapshot, changed: Container) -> Snapshot:
    containers = tuple(changed if container.id == changed.id else container for container in snapshot.containers)
    return msgspec.structs.replace(snapshot, containers=containers)


def _fewest(most_bytes: int, holds: Callable[[int], bool]) -> int | None:
    """The least amount, in whole MiB, for which it holds; None if it does not even for the most."""
    if not holds(most_bytes):
        return None
    low, high = 0, -(-most_bytes // MIB)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle * MIB) else (middle, high)
    return min(high * MIB, most_bytes)
