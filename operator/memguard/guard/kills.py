"""The kernel's own OOM kills: what memguard failed to prevent, or was not allowed to. They are counted, never hidden.

The machine's counter is read first, one line of /proc/vmstat; those of the containers only when it rose. They show
what Kubernetes does not: a killed child of a container that lives on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from memguard.core.decision import KernelKill, victim_of
from memguard.core.model import Events, Vmstat
from memguard.guard.ward import Ward


class KernelKills:
    """`total` since the guard's start. `vmstat` reads the machine's counters."""

    def __init__(self, vmstat: Callable[[], Vmstat | None]) -> None:
        self._vmstat = vmstat
        self._before = self._count()
        self.total = 0

    def look(self, wards: Iterable[Ward]) -> list[KernelKill]:
        """Those since the last look: by container, and the rest, whose cgroup is gone or which were in none."""
        risen = self._count() - self._before
        if risen <= 0:
            return []
        self._before += risen
        self.total += risen
        found = [kill for ward in wards if (kill := _in(ward)) is not None]
        rest = risen - sum(kill.count for kill in found)
        return [*found, KernelKill(count=rest)] if rest > 0 else found

    def _count(self) -> int:
        vmstat = self._vmstat()
        return (vmstat.oom_kill if vmstat else None) or 0


def _in(ward: Ward) -> KernelKill | None:
    events = ward.cgroup.events()
    if events is None:
        return None
    before, ward.events = ward.events or Events(), events
    count = events.oom_kill - before.oom_kill
    group = events.oom_group_kill > before.oom_group_kill
    return KernelKill(count=count, victim=victim_of(ward.container), group=group) if count > 0 else None
