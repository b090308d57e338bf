"""The reclaim step: where there is swap, cold memory of somebody who does not grow is pushed out before anybody dies.

Only for containers whose rule asks for it: what looks cold may be in use, and then its owner pays (core/policy.py).

Without swap it would free only page cache, which counts as available anyway (braking.md). memory.reclaim blocks for as
long as it takes (3 ms per MB of cache, far more for anon): so it is done aside, one at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from memguard.guard.aside import aside
from memguard.guard.ears import Ears
from memguard.guard.ward import Ward
from memguard.kernel.reclaim import reclaim

#: Asked for at once, and at most this part of a container: a gentle push, measured before the next.
SQUEEZE_BYTES = 64 << 20
SQUEEZE_PART = 4
#: Between two of them.
SQUEEZE_SECONDS = 5.0


class Squeeze:
    """At most one reclaim at a time; `measured` is told whom it was and by how much memory.current fell."""

    def __init__(self, ears: Ears, measured: Callable[[Ward, int], None]) -> None:
        self._ears, self._measured = ears, measured
        self._under_way = False
        self._next = 0.0

    def due(self, now: float) -> bool:
        """May another one be started?"""
        return not self._under_way and now >= self._next

    def start(self, ward: Ward, now: float) -> None:
        """Push memory of this container out."""
        self._next = now + SQUEEZE_SECONDS
        before = ward.cgroup.current() or 0
        wanted = min(SQUEEZE_BYTES, ward.footprint_bytes // SQUEEZE_PART)

        def ended() -> None:
            self._under_way = False
            after = ward.cgroup.current()
            self._measured(ward, 0 if after is None else max(0, before - after))

        self._under_way = aside(lambda: reclaim(ward.cgroup, wanted), self._ears, ended)


def coldest(wards: Iterable[Ward]) -> Ward | None:
    """The largest that does not grow, may be acted on, and has no memory protected from reclaim."""
    fit = [ward for ward in wards if _may_squeeze(ward)]
    return max(fit, key=lambda ward: ward.footprint_bytes, default=None)


def _may_squeeze(ward: Ward) -> bool:
    memory = ward.container.memory
    protected = bool(memory.min_bytes or memory.low_bytes)  # reclaim ignores the target's own protection
    return ward.forbidden is None and ward.rule.allows("reclaim") and not protected and ward.risen_bytes <= 0
