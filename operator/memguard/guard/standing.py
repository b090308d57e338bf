"""How things stand, for the agent: the level of the node and the containers nearest to being chosen."""

from __future__ import annotations

from memguard.core.footprint import footprint, unreclaimable
from memguard.core.forecast import rise, seconds_until
from memguard.core.history import History
from memguard.core.link import Top
from memguard.core.model import Container, Level
from memguard.core.policy import Rule
from memguard.core.resize import TIGHT_RESERVES
from memguard.core.select import Candidate

#: With more than so many reserves above the reserve a node is calm again, so that one that hovers about TIGHT_RESERVES
#: does not write a report each second.
CALM_RESERVES = TIGHT_RESERVES + 1
#: Out of the reserve again is whoever has this part of another one.
EASED_RESERVES = 0.25
LISTED = 10


def level(headroom_bytes: int, reserve_bytes: int, before: Level | None = None) -> Level:
    """Calm, Tight or Critical, with a little inertia on the way back; headroom counts from the reserve."""
    if headroom_bytes <= (EASED_RESERVES * reserve_bytes if before == "Critical" else 0):
        return "Critical"
    tight = TIGHT_RESERVES if before in (None, "Calm") else CALM_RESERVES
    return "Tight" if headroom_bytes <= tight * reserve_bytes else "Calm"


def top(candidate: Candidate, history: History, rule: Rule, *, spared: bool) -> Top:
    """One container: its score, how long until its own limit, and whether that may be raised; `spared`: it may not."""
    container = candidate.container
    raised = (
        not spared
        and rule.allows("resize")
        and rule.largest_limit_bytes > (container.limit_bytes or rule.largest_limit_bytes)
    )
    return Top(
        id=container.id,
        namespace=container.namespace,
        pod=container.pod,
        name=container.name,
        score=candidate.scored.score,
        footprint_bytes=footprint(container.memory),
        shmem_bytes=container.memory.shmem_bytes or 0,
        limit_bytes=container.limit_bytes,
        limit_seconds=limit_seconds(container, history),
        largest_limit_bytes=rule.largest_limit_bytes if raised else None,
        excluded=candidate.excluded,
    )


class Paces:
    """How fast those grow whose limit may be raised, from one status to the next: nobody else looks at them when all is
    calm.
    """

    def __init__(self) -> None:
        self._seen: dict[str, tuple[float, int]] = {}

    def limit_seconds(self, one: Top, now: float) -> float | None:
        """Until its limit at this pace; None where it did not grow, or was not seen before."""
        seen = self._seen.get(one.id)
        self._seen[one.id] = (now, one.footprint_bytes)
        if seen is None or one.limit_bytes is None or now <= seen[0]:
            return None
        pace = (one.footprint_bytes - seen[1]) / (now - seen[0])
        return seconds_until(one.limit_bytes - one.footprint_bytes, pace)

    def forget_others(self, ids: set[str]) -> None:
        """Only these are still there."""
        self._seen = {key: seen for key, seen in self._seen.items() if key in ids}


def limit_seconds(container: Container, history: History) -> float | None:
    """Until the container's own limit, at its pace; None without a limit or without growth."""
    if container.limit_bytes is None:
        return None
    track = history.tracks.get(container.id)
    growth = rise(track.samples) if track else 0.0
    return seconds_until(container.limit_bytes - unreclaimable(container.memory), growth)
