"""A kernel that lacks some of the cgroup files, for the process with this directory in its PYTHONPATH: MG_WITHOUT."""

from __future__ import annotations

import errno
import os
from typing import Any

MISSING = frozenset(filter(None, os.environ.get("MG_WITHOUT", "").split(",")))
_open = os.open


def _opened(path: Any, *arguments: Any, **more: Any) -> int:
    if isinstance(path, str) and path.rpartition("/")[2] in MISSING:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
    return _open(path, *arguments, **more)


os.open = _opened
