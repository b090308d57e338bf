"""How much may be said about one object: token buckets, of which only so many are remembered. Pure."""

from __future__ import annotations

#: client-go's limit for Events: 25 at once about one object, then one in five minutes.
BURST = 25
REFILL_SECONDS = 300.0
OBJECTS = 1024


class Buckets:
    """A token bucket per object; the one that was used longest ago is forgotten when there are too many."""

    def __init__(self, *, burst: int = BURST, refill_seconds: float = REFILL_SECONDS, objects: int = OBJECTS) -> None:
        self._burst = float(burst)
        self._refill_seconds = refill_seconds
        self._objects = objects
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, who: str, now_seconds: float) -> bool:
        """Is there a token left? Then it is taken."""
        tokens, since = self._buckets.pop(who, (self._burst, now_seconds))
        tokens = min(self._burst, tokens + (now_seconds - since) / self._refill_seconds)
        taken = tokens >= 1
        if len(self._buckets) >= self._objects:
            del self._buckets[next(iter(self._buckets))]
        self._buckets[who] = (tokens - 1 if taken else tokens, now_seconds)
        return taken
