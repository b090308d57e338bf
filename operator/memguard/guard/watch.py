"""All containers of the node: found as they come and go, glanced at as the headroom falls, studied one at a time.

At idle nothing here costs more with more containers: discovery sleeps in inotify, and now and then one ward is studied.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from heapq import nlargest

from memguard.core.model import Container
from memguard.errors import MemguardError
from memguard.guard.ward import Terms, Ward
from memguard.kernel.cgroup import Cgroup

#: memory.stat readings (the dearest, braking.md) per sweep and in a shortlist; tests/kernel/test_costs.py counts them.
GROWERS, LARGEST, OVER_REQUEST, CACHE_HOLDERS = 3, 3, 2, 2
#: Movements below this are not worth a sample.
MOVED_BYTES = 1 << 20


class Watch:
    """The wards of one machine, by cgroup path."""

    def __init__(
        self,
        terms: Terms,
        cgroup_root: str,
        proc_root: str,
        *,
        swap: bool,
        numa: bool,
        trouble: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.terms = terms
        self.cgroup_root, self.proc_root = cgroup_root, proc_root
        self.swap, self.numa = swap, numa
        self.wards: dict[str, Ward] = {}
        self.front: list[Ward] = []
        #: those whose rule asks for a notice when memory gets short
        self.asking: list[Ward] = []
        #: by cgroup above them, as long as nobody comes or goes
        self._inside: dict[str, list[Ward]] = {}
        self._queue: list[str] = []
        self._fresh: list[str] = []
        self._trouble = trouble

    def __len__(self) -> int:
        return len(self.wards)

    def add(self, path: str, identity: Container, now: datetime, monotonic: float) -> Ward | None:
        """Take a cgroup under watch; None if it is gone already, is watched, or has a name that is no text."""
        if path in self.wards or not _is_text(path):
            return None
        ward = Ward(Cgroup(path, self.cgroup_root), identity, self._trouble)
        if not ward.study(now, monotonic, self.proc_root, swap=self.swap, numa=self.numa):
            ward.close()
            return None
        ward.adopt(self.terms)
        ward.events = ward.container.events
        ward.swept_bytes, ward.risen_bytes = ward.footprint_bytes, 0
        try:
            ward.cgroup.prepare()
        except MemguardError:
            ward.close()
            raise
        self.wards[path] = ward
        self._inside.clear()
        self._fresh += (path, path)  # soon again, and again: its runtime is still about to set its limits
        self._list_asking()
        return ward

    def remove(self, path: str) -> Ward | None:
        """Forget a cgroup and close its files."""
        ward = self.wards.pop(path, None)
        if ward is not None:
            self._inside.clear()
            self.front = [other for other in self.front if other is not ward]
            self._queue = [other for other in self._queue if other != path]
            self._fresh = [other for other in self._fresh if other != path]
            self._list_asking()
            ward.close()
        return ward

    def follow(self, terms: Terms, identify: Callable[[str, str], Container]) -> None:
        """Something else may be done now, and it may be known better who each ward is."""
        self.terms = terms
        self.assume(self.wards.values(), identify)

    def assume(self, wards: Iterable[Ward], identify: Callable[[str, str], Container]) -> None:
        """It may be known better who these are."""
        for ward in wards:
            ward.assume(identify(ward.cgroup.path, ward.id), self.terms)
        self._list_asking()

    def inside(self, path: str) -> list[Ward]:
        """The wards at or below a cgroup; nothing that is a ward holds another."""
        if path in self.wards:
            return [self.wards[path]]
        if path not in self._inside:
            self._inside[path] = [ward for at, ward in self.wards.items() if at.startswith(f"{path}/")]
        return self._inside[path]

    @property
    def has_fresh(self) -> bool:
        """Are there some that came lately, and are still to be studied again?"""
        return bool(self._fresh)

    def settle(self) -> None:
        """Those that were found at the start are nobody's news."""
        self._fresh.clear()

    def study_next(self, now: datetime, monotonic: float) -> Ward | None:
        """Study one ward: those that came lately first, then in turn. None if there is none or it is gone."""
        if not self._fresh and not self._queue:
            self._queue = list(self.wards)
        turn = self._fresh or self._queue
        ward = self.wards.get(turn.pop()) if turn else None
        if ward is None or not ward.study(now, monotonic, self.proc_root, swap=self.swap, numa=self.numa):
            return None
        ward.adopt(self.terms)  # its processes may have come, and be marked unkillable
        return ward

    def sweep(self) -> list[Ward]:
        """Glance at all, and read those whose cache may hide their growth; the wards that moved since the last time.

        It also chooses the front: those that any decision must be among (who grows, who is large, who is over its
        request), so that nothing looks at all containers between a wake-up and a kill.
        """
        for ward in self.wards.values():
            ward.base_bytes = ward.swept_bytes
        # Who is gone stays until inotify says so: its descriptors may still be in the poll set.
        wards = [ward for ward in self.wards.values() if ward.glance()]
        growers = nlargest(GROWERS, wards, key=_risen)
        for ward in {*growers, *nlargest(CACHE_HOLDERS, wards, key=_discount)}:
            ward.read()
        growers = nlargest(GROWERS, wards, key=_risen)  # now with those that hid behind their cache
        front = {*growers, *nlargest(LARGEST, wards, key=_footprint), *nlargest(OVER_REQUEST, wards, key=_excess)}
        self.front = sorted(front, key=_risen, reverse=True)
        for ward in wards:
            ward.swept_bytes = ward.footprint_bytes
        return [ward for ward in wards if abs(ward.footprint_bytes - ward.sampled_bytes) >= MOVED_BYTES]

    def raisable(self) -> list[Ward]:
        """Those whose own limit their policy lets be raised: few, since somebody must have asked for it."""
        return [ward for ward in self.wards.values() if ward.rule.largest_limit_bytes]

    def glance_at_front(self) -> list[Ward]:
        """The front as it is now, the fastest growers first."""
        return sorted([ward for ward in self.front if ward.glance()], key=_risen, reverse=True)

    def _list_asking(self) -> None:
        self.asking = [w for w in self.wards.values() if w.rule.notify_signal or w.rule.notify_directory]

    def close(self) -> None:
        """Close everything."""
        for path in list(self.wards):
            self.remove(path)


def growers(front: list[Ward]) -> list[Ward]:
    """Those of the front that grow."""
    return [ward for ward in front[:GROWERS] if ward.risen_bytes >= MOVED_BYTES]


def shortlist(front: list[Ward]) -> list[Ward]:
    """The few that the choice is nearly always among: who grows, the largest, the most over its request.

    If nobody grows, the whole front: then the difference between two of them is small, and there is time.
    """
    growing = growers(front)
    if not growing:
        return list(front)
    return list({*growing, max(front, key=_footprint), max(front, key=_excess)})


def sampled(wards: Iterable[Ward]) -> tuple[Container, ...]:
    """The latest readings of some wards, for a snapshot that goes into the history; from now on they count as in it."""
    seen = list(wards)
    for ward in seen:
        ward.sampled_bytes = ward.footprint_bytes
    return tuple(ward.container for ward in seen)


def _is_text(path: str) -> bool:
    """Cgroup names are bytes; those that are no UTF-8 could not be written into journal and trace."""
    return path.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in path)


def _risen(ward: Ward) -> int:
    return ward.risen_bytes


def _footprint(ward: Ward) -> int:
    return ward.footprint_bytes


def _excess(ward: Ward) -> int:
    return ward.excess_bytes


def _discount(ward: Ward) -> int:
    return ward.discount_bytes
