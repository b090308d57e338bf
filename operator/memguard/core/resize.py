"""How far a container's own limit is raised in place, where its policy allows and the node has room. Pure."""

from __future__ import annotations

MIB = 1 << 20
#: A quarter more at a time: enough for minutes of an ordinary growth, and four steps for a leak that doubles.
STEP = 1.25
#: A node with less than so many reserves above its reserve is no longer calm (guard/standing).
TIGHT_RESERVES = 4


def raised_limit(limit_bytes: int, largest_bytes: int, available_bytes: int, reserve_bytes: int) -> int | None:
    """The limit that it gets, in whole MiB or the largest; None where it has that, or the node has no room."""
    wanted = min(largest_bytes, -(-int(limit_bytes * STEP) // MIB) * MIB)
    room = available_bytes - (1 + TIGHT_RESERVES) * reserve_bytes
    return wanted if limit_bytes < wanted <= limit_bytes + room else None
