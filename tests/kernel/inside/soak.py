"""A long time with containers coming and going: descriptors, memory and lines must be where they were."""

from __future__ import annotations

import contextlib
import time

from guest import cgroups
from guest.cgroups import Names

from inside.stage import ROOT, Guard, Stage, held, stage, tell

#: A sample after each of these rounds: before, caches, free lists and the history fill up (history.MOST_TRACKS).
SAMPLED, BESIDE = (55, 75), 20
#: One of so many has a process.
INHABITED = 4


def main() -> None:
    """Rounds of arrivals and departures."""
    with stage() as scene:
        guard = scene.guard()
        samples = []
        for number in range(1, max(SAMPLED) + 1):
            turn(scene)
            if number in SAMPLED:
                time.sleep(25)  # two rounds of housekeeping
                samples.append(sample(guard))
        tell({"samples": samples, "held": held(), "noise": guard.said("noise"), "exit": guard.stop()})


def turn(scene: Stage) -> None:
    """Containers with limits come, live for a moment, and go."""
    names = [f"soak{index}" for index in range(BESIDE)]
    for index, name in enumerate(names):
        container = scene.container(name, limit_mib=160)
        if index % INHABITED == 0:
            scene.load(container, "pause")
    time.sleep(1.0)
    scene.names.clear()
    for child in scene.children:
        child.kill()
        child.wait()
    scene.children.clear()
    for name in names:
        cgroups.remove(ROOT / Names(name).pod)
    time.sleep(1.0)


def sample(guard: Guard) -> dict[str, int]:
    """What it holds now, without what the kernel remembers of removed cgroups until it needs the memory."""
    with contextlib.suppress(OSError):
        (guard.cgroup / "memory.reclaim").write_text("4M")
    stat = cgroups.keyed(guard.cgroup / "memory.stat")
    return {
        "descriptors": guard.descriptors,
        "watches": guard.watches,
        "cgroupBytes": guard.cgroup_bytes,
        "rssKib": guard.rss_kib,
        **{name: stat[name] for name in ("anon", "kernel", "slab_reclaimable", "slab_unreclaimable")},
    }


if __name__ == "__main__":
    main()
