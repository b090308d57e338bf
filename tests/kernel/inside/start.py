"""From the call to a guard that is ready, step by step, beside many containers: python3 -m inside.start 10,250 3."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any

from inside.crowd import arguments, counts, populate
from inside.stage import Stage, stage, tell


def started(scene: Stage) -> dict[str, float]:
    """One start."""
    os.environ["MG_BEGAN"] = repr(time.monotonic())
    guard = scene.guard(wrapper="inside.stamped")
    [line] = guard.said("start")
    guard.stop()
    return {"containers": line["containers"], **line["steps"]}


def beside(count: int, rounds: int) -> Iterator[dict[str, Any]]:
    """The first start of all brings the files into the cache, and does not count."""
    with stage() as scene:
        populate(scene, count)
        started(scene)
        yield from (started(scene) for _ in range(rounds))


def main() -> None:
    """The counts, then how often."""
    how_many, rounds = arguments()
    tell([found for count in counts(how_many) for found in beside(count, int(rounds))])


if __name__ == "__main__":
    main()
