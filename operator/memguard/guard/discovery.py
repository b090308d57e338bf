"""Who is there: cgroups that come, go, or are made anew under the same path, and are known better by and by."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from memguard.core.model import Container
from memguard.errors import MemguardError
from memguard.guard.clock import Clock
from memguard.guard.config import Config
from memguard.guard.court import Court
from memguard.guard.limits import Limits
from memguard.guard.ward import Terms, Ward
from memguard.guard.watch import Watch
from memguard.kernel.paths import parse_container_path
from memguard.kernel.tree import Change, Tree

#: Wards that are looked after in one housekeeping, in turn: are they still the cgroups that were opened, is a line
#: missing?
LOOKED_AFTER = 8

UNTOLD = (
    "inotify has no instance or not enough watches for us: containers are looked for every 10 s. Raise the sysctls "
    "fs.inotify.max_user_instances and fs.inotify.max_user_watches, or find who takes them all."
)

Identify = Callable[[str, str], Container]


class Discovery:
    """Keeps the watch in step with the tree. `identify`: the container that a cgroup is (path and id)."""

    def __init__(
        self,
        config: Config,
        identify: Identify,
        watch: Watch,
        court: Court,
        limits: Limits,
        *,
        clock: Clock,
        trouble: Callable[[str], None],
    ) -> None:
        self._watches, self._identify = config.watches, identify
        self._watch, self._court, self._limits = watch, court, limits
        self._clock, self._trouble = clock, trouble
        self._unseen: list[str] = []
        self._tree = Tree(config.cgroup_root, config.extra_directories)
        self._take(self._tree.start())
        watch.settle()
        watch.sweep()

    def fileno(self) -> int:
        """Readable when something changed; -1 while inotify cannot be had, another once it can."""
        return self._tree.fileno()

    def look(self, _: float) -> None:
        """What changed."""
        self._take(self._tree.changes())

    def follow(self, config: Config, identify: Identify) -> None:
        """Other directories may be of interest."""
        self._watches, self._identify = config.watches, identify
        self._take(self._tree.follow(config.extra_directories))

    def adopt(self, terms: Terms) -> None:
        """Something else may be done now, and it may be known better who each is."""
        self._watch.follow(terms, self._identify)

    def acquaint(self, ids: set[str]) -> None:
        """It is known now who these are, or known anew."""
        wards = [ward for ward in self._watch.wards.values() if ward.id in ids]
        self._watch.assume(wards, self._identify)
        self._limits.check(wards)

    def renew(self, path: str) -> None:
        """What was there is gone; a unit that restarted has the same path again."""
        self._forget(path)
        self._welcome(path)

    def turn_of_some(self) -> list[Ward]:
        """A few wards, all of them one after another; and what inotify could not tell of them.

        (Watches that ran out, a cgroup that was made anew while events were lost.)
        """
        if not self._tree.complete:
            self._trouble(UNTOLD)
            self._take(self._tree.rescan())
        if not self._unseen:
            self._unseen = list(self._watch.wards)
        paths, self._unseen = self._unseen[:LOOKED_AFTER], self._unseen[LOOKED_AFTER:]
        for path in paths:
            ward = self._watch.wards.get(path)
            if ward is not None and not ward.cgroup.alive():
                self.renew(path)
        return [ward for path in paths if (ward := self._watch.wards.get(path)) is not None]

    def _take(self, changes: Iterable[Change]) -> None:
        for change in changes:
            try:
                if change.kind == "removed":
                    self._forget(change.path)
                elif change.container is not None or self._watches(change.path):
                    self._welcome(change.path)
            except (MemguardError, OSError) as error:  # the others that came with it are watched all the same
                self._trouble(str(error))

    def _welcome(self, path: str) -> None:
        found = parse_container_path(path)
        identity = self._identify(path, found.container_id if found else path)
        ward = self._watch.add(path, identity, self._clock.now(), self._clock.monotonic())
        if ward is not None:
            ward.pod_path, ward.pod_uid = (found.pod_path, found.pod_uid) if found else (None, None)
            self._limits.hang(ward)

    def _forget(self, path: str) -> None:
        self._limits.forget(path)
        if any(course.ward.cgroup.path == path for course in self._court.courses.values()):
            return  # its course comes to its end first
        ward = self._watch.remove(path)
        if ward is not None and ward.pod_path and not self._watch.inside(ward.pod_path):
            self._limits.forget(ward.pod_path)
