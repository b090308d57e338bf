"""What woke the guard, and how long each step took from then on: the measure of its reaction."""

from __future__ import annotations

from collections.abc import Callable


class Trigger:
    """What woke the guard (tick, line, psi), and how the time went from then on, in monotonic seconds."""

    def __init__(self, source: str, monotonic: Callable[[], float]) -> None:
        self.source = source
        self.marks: list[tuple[str, float]] = []
        self._monotonic = monotonic
        self._woke = monotonic()

    def mark(self, step: str) -> None:
        """A step is done."""
        self.marks.append((step, self._monotonic() - self._woke))

    @property
    def seconds(self) -> float:
        """From the wake-up to the latest step."""
        return self.marks[-1][1] if self.marks else 0.0
