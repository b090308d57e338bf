"""A calm day: containers come and go, and a guard must not grow. `python3 -m inside.day 24`: so many hours."""

from __future__ import annotations

import time
from typing import Any

from guest import cgroups
from guest.cgroups import Names

from inside.crowd import arguments, populate
from inside.idle import wake_ups
from inside.stage import ROOT, Guard, Stage, held, stage, tell

BESIDE, LIMIT_MIB = 50, 160
#: A sample, and so many arrivals and departures, in each of these.
QUARTER_SECONDS, COMING = 900.0, 5


def main() -> None:
    """Sample after sample."""
    hours = float(arguments()[0])
    with stage() as scene:
        populate(scene, BESIDE)
        guard = scene.guard()
        began = time.monotonic()
        samples = []
        for number in range(1, round(hours * 3600 / QUARTER_SECONDS) + 1):
            quarter(scene, number)
            time.sleep(max(0.0, began + number * QUARTER_SECONDS - time.monotonic()))
            samples.append({"atSeconds": round(time.monotonic() - began), **sample(guard)})
        told = {"held": held(), "noise": guard.said("noise"), "decisions": guard.said("decision")}
        tell({"samples": samples, "containers": BESIDE, "came": COMING * len(samples), **told, "exit": guard.stop()})


def quarter(scene: Stage, number: int) -> None:
    """Containers with limits come, a minute apart, and go as they came; each has a process, and one of them no more."""
    names = [f"day{number}-{index}" for index in range(COMING)]
    children = []
    for name in names:
        children.append(scene.load(scene.container(name, limit_mib=LIMIT_MIB), "pause"))
        time.sleep(60)
    for name, child in zip(names, children, strict=True):
        child.kill()
        child.wait()
        scene.children.remove(child)
        cgroups.remove(ROOT / Names(name).pod)
        time.sleep(60)
    scene.names.clear()


def sample(guard: Guard) -> dict[str, Any]:
    """What it holds and has used so far."""
    stat = cgroups.keyed(guard.cgroup / "memory.stat")
    return {
        "rssKib": guard.rss_kib,
        "descriptors": guard.descriptors,
        "cgroupBytes": guard.cgroup_bytes,
        "anonBytes": stat["anon"],
        "kernelBytes": stat["kernel"],
        "cpuMs": guard.cpu_ms,
        "wakeUps": wake_ups(guard.cgroup),
    }


if __name__ == "__main__":
    main()
