"""One container under watch: its cgroup's open files, who it is, and what was last read of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

import msgspec

from memguard.core.exclusion import OBSERVED, ONLY_EVICTED, exclusion
from memguard.core.footprint import footprint
from memguard.core.model import Container, Cpu, Events, Identity
from memguard.core.policy import Plan, Rule
from memguard.errors import MemguardError
from memguard.kernel import reading
from memguard.kernel.cgroup import Cgroup

#: Processes of a container that are looked at one by one; each costs about 100 us.
PROCESSES_LOOKED_AT = 4
#: Who holds no more than this allocates nothing either, and is nobody's concern: a pod's sandbox (pause) has 0.3 MB.
SANDBOX_BYTES = 4 << 20


class Terms(NamedTuple):
    """What may be done on this machine: the plan, and why nothing of it may be carried out, if so."""

    plan: Plan
    unfit: str | None = None


class Ward:
    """A container's cgroup with its identity. `container` is the latest full knowledge, for a snapshot."""

    __slots__ = (
        "_terms",
        "_trouble",
        "base_bytes",
        "cgroup",
        "container",
        "current_bytes",
        "discount_bytes",
        "emptied",
        "events",
        "footprint_bytes",
        "forbidden",
        "pod_path",
        "pod_uid",
        "read_at",
        "risen_bytes",
        "rule",
        "sampled_bytes",
        "strange_since",
        "swept_bytes",
    )

    def __init__(self, cgroup: Cgroup, container: Container, trouble: Callable[[str], None] = lambda _: None) -> None:
        """`trouble` is told what could not be understood of its files; to the others it is as if it were gone."""
        self.cgroup = cgroup
        self._trouble = trouble
        self._terms = Terms(Plan())
        self.container = container
        self.rule = Rule()
        self.forbidden: str | None = None
        #: it was killed, nothing has run in it since, and yet it is there: its memory outlives it
        self.emptied = False
        #: its pod's cgroup; None outside of Kubernetes
        self.pod_path: str | None = None
        #: its pod's UID as the cgroup is named: a hint, and for static pods another than the API's
        self.pod_uid: str | None = None
        #: since when nobody knows its pod (monotonic seconds)
        self.strange_since: float | None = None
        #: the kernel's kills in it that are known already
        self.events: Events | None = None
        #: memory.current when last glanced at
        self.current_bytes = 0
        #: the part of memory.current that is no footprint (page cache), as of the last memory.stat
        self.discount_bytes = 0
        self.footprint_bytes = 0
        #: how much the footprint rose since the sweep before the last: since the last one may be no time at all
        self.risen_bytes = 0
        #: the footprint at the last sweep, and at the one before it
        self.swept_bytes = self.base_bytes = 0
        self.read_at = 0.0
        #: the footprint when it last went into the history
        self.sampled_bytes = 0

    @property
    def id(self) -> str:
        """The container's id."""
        return self.container.id

    @property
    def excess_bytes(self) -> int:
        """Footprint over the request."""
        return self.footprint_bytes - (self.container.request_bytes or 0)

    def assume(self, identity: Identity, terms: Terms) -> None:
        """It is known better now who this is; the readings stay."""
        self.container = self.container.known_as(identity)
        self.adopt(terms)

    def adopt(self, terms: Terms | None = None) -> None:
        """Look up the rule for this container once, not on every decision; without `terms` under those it has."""
        self._terms = terms or self._terms
        plan = self._terms.plan
        self.rule = plan.rule_for(self.container)
        self.cgroup.file("memory.max").keep = self.rule.knows_limit  # then it is read with every decision
        self.forbidden = exclusion(self.container, self.rule, plan) or self._spared()

    def _spared(self) -> str | None:
        """Why this guard leaves it alone, whoever it is."""
        if self.cgroup.holds_us():
            return "the guard itself runs in it"
        if self._terms.plan.mode_for(self.container) != "Enforce":
            return OBSERVED
        if self._terms.unfit is not None:
            return self._terms.unfit
        if self.emptied:
            return "nothing runs in it any more, and its memory outlives it"
        if not self.rule.allows("kill"):
            return ONLY_EVICTED
        return None

    def _tried(self, reading: Callable[[], bool]) -> bool:
        try:
            return reading()
        except MemguardError as error:
            self._trouble(str(error))
            return False

    def glance(self) -> bool:
        """Read memory.current alone (4 us): the footprint moves with it as long as the cache stays. False: gone."""
        return self._tried(self._glance)

    def _glance(self) -> bool:
        current = self.cgroup.current()
        if current is None:
            return False
        used = max(0, current - self.discount_bytes)
        self.risen_bytes = used - self.base_bytes
        self.current_bytes, self.footprint_bytes = current, used
        return True

    def read(self) -> bool:
        """Read memory.current and memory.stat: the footprint as the score counts it. False: gone."""
        return self._tried(self._read)

    def _read(self) -> bool:
        current, stat = self.cgroup.current(), self.cgroup.stat()
        if current is None or stat is None:
            return False
        if self.emptied and self.cgroup.populated():  # it was started again
            self.emptied = False
            self.adopt()
        known = self.container.memory
        swap = self.cgroup.swap_current() if known.swap_bytes is not None else None
        memory = reading.memory(current, stat, swap, known)
        used = footprint(memory)
        self.risen_bytes = used - self.base_bytes
        self.current_bytes, self.footprint_bytes, self.discount_bytes = current, used, current - used
        limit = self.cgroup.max() if self.rule.knows_limit else None  # it may be resized in place at any moment
        self.container = msgspec.structs.replace(
            self.container,
            memory=memory,
            limit_bytes=self.container.limit_bytes if limit is None else reading.finite(limit),
        )
        return True

    def study(self, now: datetime, monotonic: float, proc_root: str, *, swap: bool, numa: bool = False) -> bool:
        """Read everything that a score looks at: at discovery, and now and then. False: gone."""
        return self._tried(lambda: self._study(now, monotonic, proc_root, swap=swap, numa=numa))

    def _study(self, now: datetime, monotonic: float, proc_root: str, *, swap: bool, numa: bool) -> bool:
        cgroup, known = self.cgroup, self.container
        limit = cgroup.max()
        if limit is None:
            return False
        first = reading.FirstProcesses(cgroup.pids() or [], proc_root, PROCESSES_LOOKED_AT)
        self.container = msgspec.structs.replace(
            known,
            memory=msgspec.structs.replace(
                known.memory,
                min_bytes=cgroup.min(),
                low_bytes=cgroup.low(),
                swap_bytes=0 if swap else None,
                virtual_bytes=first.virtual_bytes,
            ),
            limit_bytes=reading.finite(limit),
            events=cgroup.events(),
            nice=first.nice(cgroup.nice()),
            cpu=self._cpu(cgroup.cpu_seconds(), monotonic),
            started_at=known.started_at or reading.started_at(cgroup, first, now) or now,
            oom_score_adj=first.oom_score_adj,
            processes=first.processes,
            numa_bytes=reading.numa_bytes(cgroup) if numa else None,
            cpuset_mems=cgroup.cpuset_mems() if numa else None,
        )
        self.read_at = monotonic
        return self.read()

    def _cpu(self, total: float | None, monotonic: float) -> Cpu | None:
        if total is None:
            return None
        before = self.container.cpu
        seconds = monotonic - self.read_at
        recent = (total - before.total_seconds) / seconds if before and self.read_at and seconds > 0 else None
        return Cpu(total_seconds=total, recent_cores=max(0.0, recent) if recent is not None else None)

    def close(self) -> None:
        """Give the descriptors back."""
        self.cgroup.close()
