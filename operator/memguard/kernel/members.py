"""Which processes are in a cgroup: its own and those of the cgroups nested below it, which are the container's too."""

from __future__ import annotations

import os
from collections.abc import Iterator

from memguard.errors import KernelFileError
from memguard.kernel.files import Directory, open_fd, read_once


def parse_pids(data: bytes, source: object) -> list[int]:
    """cgroup.procs; 0 stands for a process of another pid namespace (no hostPID) and is left out."""
    try:
        return [pid for pid in map(int, data.split()) if pid > 0]
    except ValueError:
        raise KernelFileError(str(source), "not a list of process ids") from None


def nested_pids(directory: Directory) -> list[int]:
    """Processes of every cgroup below `directory`; those that vanish meanwhile have none."""
    found = []
    for path in nested_paths(directory.fd):
        data = read_once(f"{path}/cgroup.procs", directory)
        if data is not None:
            found += parse_pids(data, f"{directory.path}/{path}/cgroup.procs")
    return found


def nested_paths(fd: int, above: str = "") -> Iterator[str]:
    """Paths of all directories below the open directory `fd`, relative to it, parents first."""
    for name in _subdirectories(fd):
        path = f"{above}/{name}" if above else name
        yield path
        child = open_fd(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=fd)
        if child < 0:
            continue
        try:
            yield from nested_paths(child, path)
        finally:
            os.close(child)


def _subdirectories(fd: int) -> list[str]:
    try:
        with os.scandir(fd) as entries:
            return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []  # removed under the scan: nothing is in it any more
