"""Descriptors that have run out, for real."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def no_descriptors() -> Iterator[None]:
    """Meanwhile this process has as many open as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    largest = max(int(name) for name in os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (largest + 2, hard))
    taken = []
    with suppress(OSError):
        while True:
            taken.append(os.dup(2))
    try:
        yield
    finally:
        for fd in taken:
            os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
