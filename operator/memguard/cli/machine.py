"""This machine as a source of snapshots, for the commands that look at it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import UTC, datetime
from types import TracebackType

from msgspec.structs import replace

from memguard.core.model import Container, Snapshot
from memguard.errors import InputError, UnfitError
from memguard.guard.config import Config, load_config
from memguard.kernel.cgroup import CGROUP_ROOT
from memguard.kernel.host import cgroup_version, require_proc
from memguard.kernel.paths import is_kubepods, is_pod
from memguard.kernel.readers import Readers
from memguard.kernel.snapshot import take_snapshot
from memguard.kernel.tree import Change, Tree


def configuration(plan_file: str | None, cgroup_root: str | None = None, proc_root: str | None = None) -> Config:
    """The guard's configuration or its defaults, with the roots that the command line gives. Raises ConfigError."""
    config = load_config(plan_file) if plan_file else Config()
    roots = {"cgroup_root": cgroup_root, "proc_root": proc_root}
    return replace(config, **{name: root for name, root in roots.items() if root})


class Machine:
    """A context: snapshots, one after the other, of the containers that are there at each moment.

    Raises UnfitError where there is no cgroup v2 tree with the memory controller, InputError for a root that is none.
    """

    def __init__(self, config: Config) -> None:
        _require_unified(config.cgroup_root)
        require_proc(config.proc_root)
        self._config = config
        self._identities: dict[str, Container] = {}
        self._tree = Tree(config.cgroup_root, config.extra_directories)
        self._readers = Readers(config.cgroup_root, config.proc_root, node_name=os.uname().nodename)
        self._follow(self._tree.start())

    def __enter__(self) -> Machine:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._readers.close()
        self._tree.close()

    def snapshot(self) -> Snapshot:
        """Everything, now."""
        self._follow(self._tree.changes() if self._tree.complete else self._tree.rescan())
        return take_snapshot(self._readers, self._identities, now)

    def _follow(self, changes: Iterable[Change]) -> None:
        watched = [change for change in changes if self._watches(change)]
        self._readers.apply(watched)
        for change in watched:
            self._identities.pop(change.path, None)
            if change.kind == "added" and self._config.watches(change.path):
                self._identities[change.path] = self._config.identify(change.path, _id_of(change))

    def _watches(self, change: Change) -> bool:
        """A container, a boundary above containers, or a unit that the configuration names."""
        path = change.path
        return change.container is not None or is_kubepods(path) or is_pod(path) or self._config.watches(path)


def now() -> datetime:
    """The time, with its zone."""
    return datetime.now(UTC)


def _id_of(change: Change) -> str:
    return change.container.container_id if change.container else change.path


def _require_unified(root: str) -> None:
    """A fixture tree is no cgroup mount, but has the files of one."""
    if root != CGROUP_ROOT and not os.path.isdir(root):
        raise InputError(root, "no such directory", remedy="Say where cgroup v2 is mounted with --cgroup-root.")
    version = cgroup_version(root)
    if version in ("v1", "hybrid"):
        raise UnfitError(f"{root}: cgroup {version}, and memguard needs v2. Run `memguard doctor` for the remedy.")
    if not os.path.exists(f"{root}/cgroup.controllers"):
        raise UnfitError(f"{root}: no cgroup v2 tree. Say where it is mounted with --cgroup-root.")
