"""Containers as they come and go, told by inotify: nothing is read while nothing changes.

Watched are the directories that can hold a container: the root and its children (kubelet may start after us), every
kubepods, QoS and pod directory, and what the caller adds. A container's own directory never is: what it nests is its
own business.

A directory is watched first and listed second, and what is known already is not reported again: so a cgroup that was
created between its parent's event and the new watch is found in the listing.

Without inotify (kernel/inotify.py says why there may be none) the caller looks by itself.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Final, Literal

import msgspec

from memguard.kernel.cgroup import CGROUP_ROOT
from memguard.kernel.inotify import Inotify
from memguard.kernel.paths import (
    ContainerPath,
    children,
    holds_containers,
    parents_of_containers,
    parse_container_path,
)
from memguard.kernel.syscalls import (
    IN_CREATE,
    IN_DELETE,
    IN_IGNORED,
    IN_ISDIR,
    IN_MOVED_FROM,
    IN_MOVED_TO,
    IN_ONLYDIR,
    IN_Q_OVERFLOW,
)

_MASK: Final = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ONLYDIR
_GONE: Final = IN_DELETE | IN_MOVED_FROM
_VANISHED: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.EACCES})


class Change(msgspec.Struct, frozen=True):
    """A cgroup came or went. `container` None: it holds containers, or is none (a unit of an extra directory)."""

    kind: Literal["added", "removed"]
    path: str
    container: ContainerPath | None = None


class Tree:
    """The cgroup tree below `root`, as far as it can hold containers.

    `extra`: further directories whose direct children are reported, too ("system.slice", "user.slice/user-*.slice",
    "" for the root).
    """

    __slots__ = ("_extra", "_inotify", "_known", "_parents", "_paths", "_watches", "complete", "root")

    def __init__(self, root: str = CGROUP_ROOT, extra: Iterable[str] = ()) -> None:
        self.root = root
        self._extra = _steps(extra)
        self._inotify = Inotify()
        #: False while inotify cannot be had, or its watches ran out (sysctls fs.inotify.*): call rescan() now and then
        self.complete = self._inotify.fileno() >= 0
        self._watches: dict[int, str] = {}
        self._paths: dict[str, int] = {}
        self._known: set[str] = set()
        self._parents: frozenset[str] = frozenset()

    def fileno(self) -> int:
        """The inotify descriptor, for poll: readable when changes() has something to say; -1 while there is none."""
        return self._inotify.fileno()

    def start(self) -> list[Change]:
        """Watch everything; all that exists comes back as added."""
        self._parents = parents_of_containers(self.root)
        changes: list[Change] = []
        self._watch("", changes)
        return changes

    def changes(self) -> list[Change]:
        """What came and went since the last call, in order. Never waits."""
        changes: list[Change] = []
        for watch, mask, name in self._inotify.events():
            if mask & IN_Q_OVERFLOW:
                changes += self.rescan()
            else:
                self._apply(watch, mask, name, changes)
        return changes

    def follow(self, extra: Iterable[str]) -> list[Change]:
        """Other directories from now on; what went since the last call, and all that is there as added."""
        self._extra = _steps(extra)
        gone = [change for change in self.rescan() if change.kind == "removed"]
        there = filter(self._reported, sorted(self._known))
        return gone + [Change("added", path, parse_container_path(path)) for path in there]

    def rescan(self) -> list[Change]:
        """Compare with what is really there, and watch it: after events were lost, or where watches are missing."""
        self.complete = self._inotify.open()
        before, watches = self._known, self._watches
        self._known, self._watches, self._paths = set(), {}, {}
        found = self.start()  # a directory that is still the same one gets its old number back
        for watch in watches.keys() - self._watches.keys():
            self._inotify.drop(watch)
        gone = sorted(before - self._known, reverse=True)
        removed = [Change("removed", path, parse_container_path(path)) for path in gone if self._reported(path)]
        return removed + [change for change in found if change.path not in before]

    def close(self) -> None:
        """Stop watching."""
        self._inotify.close()

    def _apply(self, watch: int, mask: int, name: str, changes: list[Change]) -> None:
        parent = self._watches.get(watch)
        if mask & IN_IGNORED:
            self._watches.pop(watch, None)
            if parent is not None and self._paths.get(parent) == watch:
                del self._paths[parent]
        elif parent is None or not mask & IN_ISDIR:
            return
        elif mask & _GONE:
            self._remove(f"{parent}/{name}" if parent else name, changes)
        else:
            self._add(f"{parent}/{name}" if parent else name, changes)

    def _add(self, path: str, changes: list[Change]) -> None:
        if path in self._known:
            return
        self._known.add(path)
        container = parse_container_path(path)
        if self._reported(path):
            changes.append(Change("added", path, container))
        if container is None and self._watched(path):
            self._watch(path, changes)

    def _remove(self, path: str, changes: list[Change]) -> None:
        # A parent's removal can overtake its children's: they go with it.
        below = [known for known in self._known if known.startswith(f"{path}/")]
        for gone in (*sorted(below, reverse=True), path):
            if gone in self._known:
                self._known.discard(gone)
                self._unwatch(gone)
                if self._reported(gone):
                    changes.append(Change("removed", gone, parse_container_path(gone)))

    def _watch(self, path: str, changes: list[Change]) -> None:
        directory = f"{self.root}/{path}" if path else self.root
        try:
            watch = self._inotify.watch(directory, _MASK)
        except OSError as error:
            if error.errno not in _VANISHED:
                self.complete = False
        else:
            self._watches[watch] = path
            self._paths[path] = watch
        for name in children(directory):
            self._add(f"{path}/{name}" if path else name, changes)

    def _unwatch(self, path: str) -> None:
        watch = self._paths.pop(path, None)
        if watch is not None and self._watches.get(watch) == path:
            del self._watches[watch]
            self._inotify.drop(watch)

    def _reported(self, path: str) -> bool:
        parent = path.split("/")[:-1]
        extra = any(len(steps) == len(parent) and _alike(parent, steps) for steps in self._extra)
        return extra or holds_containers(path) or parse_container_path(path) is not None

    def _watched(self, path: str) -> bool:
        if "/" not in path or path in self._parents or holds_containers(path):
            return True
        parts = path.split("/")
        return any(len(parts) <= len(steps) and _alike(parts, steps) for steps in self._extra)


def _steps(globs: Iterable[str]) -> tuple[tuple[str, ...], ...]:
    """Each glob by its directories; () is the root itself."""
    return tuple({tuple(step for step in path.split("/") if step) for path in globs})


def _alike(parts: Sequence[str], steps: Sequence[str]) -> bool:
    return all(map(fnmatchcase, parts, steps))
