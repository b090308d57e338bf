"""Which processes are in a cgroup: its own and those of the cgroups nested below it, which are the container's too."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from typing import Final

from memguard.errors import KernelFileError
from memguard.kernel.files import Directory, open_fd, read_once

# Whoever may make cgroups may make them without end: what is deeper, or comes after so many, is not looked at. A kind
# node's pods are 8 levels deep; cgroup.kill takes all levels anyway.
_DEEPEST: Final = 32
_MOST_NESTED: Final = 1000


def parse_pids(data: bytes, source: object) -> list[int]:
    """cgroup.procs; 0 stands for a process of another pid namespace (no hostPID) and is left out."""
    try:
        return [pid for pid in map(int, data.split()) if pid > 0]
    except ValueError:
        raise KernelFileError(str(source), "not a list of process ids") from None


def nested_pids(directory: Directory) -> list[int]:
    """Processes of every cgroup below `directory`; those that vanish meanwhile have none."""
    found = []
    for path in islice(nested_paths(directory.fd), _MOST_NESTED):
        data = read_once(f"{path}/cgroup.procs", directory)
        if data is not None:
            found += parse_pids(data, f"{directory.path}/{path}/cgroup.procs")
    return found


def nested_paths(fd: int) -> Iterator[str]:
    """Paths of the directories below the open directory `fd`, relative to it, each after the one it is in."""
    waiting = [("", 1)]
    while waiting:
        above, level = waiting.pop()
        for name in _subdirectories(above or ".", fd):
            path = f"{above}/{name}" if above else name
            yield path
            if level < _DEEPEST:
                waiting.append((path, level + 1))


def _subdirectories(path: str, fd: int) -> list[str]:
    try:
        directory = open_fd(path, os.O_RDONLY | os.O_DIRECTORY, dir_fd=fd, missing_ok=False)
    except OSError:
        return []  # removed meanwhile, or its path is longer than the kernel takes
    try:
        with os.scandir(directory) as entries:
            return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []  # removed under the scan: nothing is in it any more
    finally:
        os.close(directory)
