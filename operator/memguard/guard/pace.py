"""When to look again: never later than the fastest filler could use up the headroom."""

from __future__ import annotations

from memguard.guard.config import Tuning

#: Nothing moved for this many looks (less than this part of the headroom was lost between two): the node is merely
#: full. Then each look is twice as far off...
CALM_LOOKS, CALM_PART = 50, 1024
#: ... up to here. At 13 GB/s 20 ms are 260 MB, within the reserve of every node from 4 GiB on.
CALM_CEILING_SECONDS = 0.02
#: And far from danger it is looked at for a fill of 6.5 GB/s (a thread with small pages: 2), not for 13: half of the
#: wake-ups at idle. With more than 6.5 GB of headroom it makes no difference. With a quarter of them 64 threads with
#: huge pages on four CPUs once filled a node of 1 GiB between two looks.
CALM_REACH = 2
#: A sweep samples the containers' growth each time the headroom fell by this part of itself: the nearer the
#: danger, the denser, at a cost that does not depend on how long the fall takes...
SWEEP_PART = 8
#: ... but a sweep of 250 containers takes 3-4 ms in virtual time, so not more often than this,
SWEEP_SECONDS = 0.02
#: and not for less than this.
SWEEP_BYTES = 2 << 20


def pause_seconds(headroom_bytes: int, calm_looks: int, tuning: Tuning) -> float:
    """Sleep until the next look; `calm_looks` were taken in a row without any fall."""
    reach = headroom_bytes / tuning.fastest_fill_bytes_per_second
    floor = tuning.tick_floor_seconds
    if calm_looks > CALM_LOOKS:
        reach *= CALM_REACH
        if reach < CALM_CEILING_SECONDS:
            floor = min(CALM_CEILING_SECONDS, floor * 2 ** min(10, calm_looks // CALM_LOOKS))
    return min(tuning.tick_ceiling_seconds, max(floor, reach))


def still(before_bytes: int, headroom_bytes: int) -> bool:
    """Did the headroom only move as that of an idle node does? Near the reserve every page counts."""
    return headroom_bytes >= before_bytes - max(0, before_bytes) // CALM_PART


def sweep_due(fallen_bytes: int, headroom_bytes: int, since_seconds: float) -> bool:
    """Is it time to sample the containers' growth?"""
    return since_seconds >= SWEEP_SECONDS and fallen_bytes >= max(SWEEP_BYTES, headroom_bytes // SWEEP_PART)
