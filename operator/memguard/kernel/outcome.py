"""What became of a lever: the values that all of them answer with."""

from __future__ import annotations

from typing import Literal

import msgspec

Verdict = Literal["done", "unchanged", "vanished", "foreign", "unsupported", "refused", "timeout"]
"""done: the kernel took it. unchanged: it was so already, nothing was written. vanished: the cgroup is gone.
foreign: somebody else's value stands there and stays. unsupported: this kernel has no such file. refused: the
kernel or the rules said no, `detail` has the reason. timeout: not reached before the deadline."""


class Outcome(msgspec.Struct, frozen=True):
    """One use of a lever. `value_bytes`: the value that stands in the file now, where there is one."""

    verdict: Verdict
    detail: str = ""
    value_bytes: int | None = None

    @property
    def ok(self) -> bool:
        """Is the thing now as it was asked for?"""
        return self.verdict in ("done", "unchanged")


VANISHED = Outcome("vanished")
