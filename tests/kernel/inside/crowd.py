"""Many containers in which nothing happens."""

from __future__ import annotations

import sys
import time

from inside.stage import Stage


def counts(word: str) -> list[int]:
    """The numbers of containers that a scenario was told: "10,250"."""
    return [int(count) for count in word.split(",")]


def arguments() -> list[str]:
    """Of this scenario."""
    return sys.argv[1:]


def populate(scene: Stage, count: int) -> None:
    """So many containers with one sleeping process each."""
    for index in range(count):
        scene.load(scene.container(f"idle{index}"), "pause")
    scene.names.clear()  # one pattern for all: a configuration of 250 names is no plan


def fill(scene: Stage, start: int, count: int) -> None:
    """As many containers as there are to be, with a little memory each: their counters are not all zero."""
    for index in range(start, count):
        scene.load(scene.container(f"idle{index}"), "hog", "rate=0", f"max={index % 3}")
    time.sleep(3)
    scene.names.clear()
