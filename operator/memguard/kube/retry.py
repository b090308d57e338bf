"""When to ask again: exponential backoff with full jitter, and never before the server said.

Full jitter (a uniform draw from nothing to the bound) spreads a thousand agents that lost the same API server best:
https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec

from memguard.errors import KubeError

R = TypeVar("R")

Random = Callable[[], float]
#: Returns True when the waiting was ended: threading.Event.wait is one.
Sleep = Callable[[float], bool]

#: A server that asks for more than this is not believed.
LONGEST_RETRY_AFTER_SECONDS = 300.0


class Backoff(msgspec.Struct, frozen=True, kw_only=True):
    """How long to wait: up to `base_seconds` after one failure, up to twice that after each further, to the cap."""

    base_seconds: float = 0.5
    cap_seconds: float = 30.0

    def delay_seconds(self, failures: int, random: Random, retry_after_seconds: float | None = None) -> float:
        """The wait after so many failures in a row (from 1); what the server asked for comes on top of the jitter."""
        doublings = min(max(failures, 1) - 1, 30)
        jitter = random() * min(self.cap_seconds, self.base_seconds * float(2**doublings))
        return jitter + min(retry_after_seconds or 0.0, LONGEST_RETRY_AFTER_SECONDS)


BACKOFF = Backoff()


def retry(call: Callable[[], R], *, attempts: int, sleep: Sleep, random: Random, backoff: Backoff = BACKOFF) -> R:
    """What `call` returns, tried so often while its error is one that passes; else that error."""
    for failures in range(1, attempts):
        try:
            return call()
        except KubeError as error:
            if not error.passing or sleep(backoff.delay_seconds(failures, random, error.retry_after_seconds)):
                raise
    return call()
