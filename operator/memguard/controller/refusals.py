"""What was refused a moment ago on a node: it is not asked for again at once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from memguard.core.refusal import Refusal

#: Not again for so long.
REFUSED = timedelta(seconds=30)


class Refusals:
    """By what was asked for: to end the container of this id, or another thing by its name. `told` hears of each."""

    def __init__(self, told: Callable[[Refusal], None]) -> None:
        self._told = told
        self._held: dict[str, tuple[str, datetime]] = {}

    def __len__(self) -> int:
        return len(self._held)

    def __contains__(self, key: str) -> bool:
        return key in self._held

    @property
    def words(self) -> dict[str, str]:
        """Why not, each."""
        return {key: words for key, (words, _) in self._held.items()}

    def add(self, key: str, why_not: Refusal, now: datetime) -> None:
        """It was refused."""
        self._told(why_not)
        self.hold(key, why_not.words, now)

    def hold(self, key: str, words: str, now: datetime) -> None:
        """It was not, and is not to be asked for at once either."""
        self._held[key] = (words, now + REFUSED)

    def expire(self, now: datetime) -> None:
        """Forget what may be asked for again."""
        self._held = {key: (words, until) for key, (words, until) in self._held.items() if until > now}
