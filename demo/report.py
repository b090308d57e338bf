"""build/demo.json: all that table and picture are drawn from, so that both can be drawn again without a machine."""

from __future__ import annotations

from pathlib import Path

import msgspec

from demo.ending import Ending


class Report(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One run of the demo."""

    kernel: str
    accelerator: str
    clock: str
    memory_bytes: int
    real_seconds: float  # boot to end, of the host
    stories: tuple[Ending, ...]
    failures: tuple[str, ...] = ()  # stories that could not be played

    @property
    def good(self) -> bool:
        """Did every story end as it should?"""
        return not self.failures and all(ending.good for ending in self.stories)

    @property
    def machine(self) -> str:
        """Where it was played, in words."""
        clock = "in virtual time" if self.clock == "virtual" else f"on {self.accelerator.upper()}, in real time"
        return f"Linux {self.kernel}, {self.memory_bytes / (1 << 20):.0f} MiB, {clock}"


def save(report: Report, path: Path) -> None:
    """Write it, with its directory."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n")


def load(path: Path) -> Report:
    """Read it. Raises OSError, or msgspec.DecodeError for what is no report."""
    return msgspec.json.decode(path.read_bytes(), type=Report)
