"""What the patterns of a configuration match on this machine now: a good one may name nobody who is there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from fnmatch import fnmatchcase

from memguard.core.model import Record
from memguard.errors import UnfitError
from memguard.guard.config import Config
from memguard.kernel.tree import Tree


class Matched(Record, frozen=True, kw_only=True):
    """A pattern over cgroups: where it stands in the file, and how many containers' cgroups it matches."""

    field: str
    glob: str
    cgroups: int


def census(config: Config) -> tuple[Matched, ...]:
    """Each pattern of containers, and of rules that name cgroups. Raises UnfitError where there is no tree to look at.

    A rule is counted as the guard applies it: over Kubernetes' containers and those that the file names.
    """
    globs = dict(_globs(config))
    there = _containers(config) if globs else ()
    return tuple(
        Matched(field=field, glob=glob, cgroups=sum(fnmatchcase(path, glob) for path in there))
        for field, glob in globs.items()
    )


def _globs(config: Config) -> Iterator[tuple[str, str]]:
    yield from ((f"containers[{index}].cgroup", one.cgroup) for index, one in enumerate(config.containers))
    rules = ((f"rules[{index}].match.cgroup", rule.match.cgroup) for index, rule in enumerate(config.rules))
    yield from (one for one in rules if one[1] != "*")


def _containers(config: Config) -> tuple[str, ...]:
    if not os.path.exists(f"{config.cgroup_root}/cgroup.controllers"):
        raise UnfitError(f"{config.cgroup_root}: no cgroup v2 tree")
    tree = Tree(config.cgroup_root, config.extra_directories)
    try:
        return tuple(one.path for one in tree.start() if one.container is not None or config.watches(one.path))
    finally:
        tree.close()
