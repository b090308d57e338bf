"""The reclaim step: where there is swap, cold memory of somebody who does not grow is pushed out before anybody dies.

Without swap it would free only page cache, which counts as available anyway (braking.md). memory.reclaim blocks for as
long as it takes (3 ms per MB of cache, far more for anon): so a child of ours writes it, one at a time.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from memguard.guard.ward import Ward
from memguard.kernel.reclaim import reclaim

#: Asked for at once, and at most this part of a container: a gentle push, measured before the next.
SQUEEZE_BYTES = 64 << 20
SQUEEZE_PART = 4
#: Between two of them.
SQUEEZE_SECONDS = 5.0


class Squeeze:
    """One reclaim in a child process. `fd` becomes readable when it is over; -1 while there is none."""

    def __init__(self) -> None:
        self.fd = -1
        self.ward: Ward | None = None
        self._pid = 0
        self._before = 0
        self._next = 0.0

    def due(self, now: float) -> bool:
        """May another one be started?"""
        return self.fd < 0 and now >= self._next

    def start(self, ward: Ward, now: float) -> None:
        """Push memory of this container out."""
        self.ward, self._before = ward, ward.cgroup.current() or 0
        self._next = now + SQUEEZE_SECONDS
        self._pid = os.fork()
        if self._pid == 0:
            try:
                reclaim(ward.cgroup, min(SQUEEZE_BYTES, ward.footprint_bytes // SQUEEZE_PART))
            finally:
                os._exit(0)
        self.fd = os.pidfd_open(self._pid)

    def finish(self) -> int:
        """The child is gone: by how many bytes did memory.current fall?"""
        os.waitpid(self._pid, 0)
        os.close(self.fd)
        self.fd = -1
        after = self.ward.cgroup.current() if self.ward else None
        return max(0, self._before - (self._before if after is None else after))


def coldest(wards: Iterable[Ward]) -> Ward | None:
    """The largest that does not grow, may be acted on, and has no memory protected from reclaim."""
    fit = [ward for ward in wards if _may_squeeze(ward)]
    return max(fit, key=lambda ward: ward.footprint_bytes, default=None)


def _may_squeeze(ward: Ward) -> bool:
    memory = ward.container.memory
    protected = bool(memory.min_bytes or memory.low_bytes)  # reclaim ignores the target's own protection
    return ward.forbidden is None and ward.rule.allows("reclaim") and not protected and ward.risen_bytes <= 0
