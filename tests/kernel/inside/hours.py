"""Hours of churn: containers come and go, one of them grows each time. `python3 -m inside.hours 6 0`: hours, seed."""

from __future__ import annotations

import time
from pathlib import Path
from random import Random
from typing import Any

from guest import cgroups, node
from guest.cgroups import Names

from inside.crowd import arguments, populate
from inside.stage import KUBEPODS, MIB, ROOT, RUN, Guard, Stage, held, populated, stage, tell, until

BESIDE, TURN_SECONDS = 50, 300.0
#: Below it no line is put up (limits.SMALLEST_GUARDED_LIMIT): there the kernel acts.
UNGUARDED_MIB, GUARDED_MIB, KUBEPODS_MIB = 64, 160, 320
TEXTFILE = RUN / "hours.prom"


def main() -> None:
    """A turn every five minutes, and what the guard holds after each."""
    hours, seed = float(arguments()[0]), arguments()[1]
    chance = Random(seed)
    with stage() as scene:
        (KUBEPODS / "memory.max").write_text(str(KUBEPODS_MIB * MIB))
        populate(scene, BESIDE)
        guard = scene.guard(extra=f'textfile = "{TEXTFILE}"\n')
        began, before = time.monotonic(), node.vmstat()["oom_kill"]
        told: dict[str, Any] = {"turns": []}
        for number in range(1, round(hours * 3600 / TURN_SECONDS) + 1):
            ended = turn(scene, number, chance)
            time.sleep(max(0.0, began + number * TURN_SECONDS - time.monotonic()))
            kills = {"kernelKills": node.vmstat()["oom_kill"] - before, "toldKills": counted(guard)}
            told["turns"].append({"seconds": time.monotonic() - began, **ended, **kills, **sample(guard)})
        told |= {"decisions": guard.said("decision"), "outcomes": guard.said("outcome"), "metrics": metrics()}
        tell({**told, "held": held(), "noise": guard.said("noise"), "exit": guard.stop(), "left": held()})
        (KUBEPODS / "memory.max").write_text("max")


def turn(scene: Stage, number: int, chance: Random) -> dict[str, Any]:
    """Some come, one of them grows, and all go; whom did it take, and was it there until the end?"""
    names = [f"turn{number}-{index}" for index in range(chance.randint(2, 12))]
    for name in names:
        scene.load(scene.container(name, limit_mib=GUARDED_MIB), "pause")
        time.sleep(chance.uniform(0.01, 5))
    limit = chance.choice((GUARDED_MIB, GUARDED_MIB, GUARDED_MIB, 0, UNGUARDED_MIB))
    hog = scene.container(f"hog{number}", limit_mib=limit)
    time.sleep(2)  # the guard studies newcomers within a second
    scene.load(hog, "hog", f"rate={chance.choice((0, 50, 200))}", "max=2000")
    until(lambda: populated(hog), 2, step=0.01)
    gone = until(lambda: not populated(hog), 30, step=0.05)
    for child in scene.children[BESIDE:]:
        child.kill()
        child.wait()
    del scene.children[BESIDE:]
    for name in (*names, f"hog{number}"):
        cgroups.remove(ROOT / Names(name).pod)
        time.sleep(chance.uniform(0.01, 2))
    scene.names.clear()
    return {"limitMib": limit, "came": len(names) + 1, "gone": gone}


def counted(guard: Guard) -> int:
    """The kernel's kills by the guard's count."""
    return sum(line["count"] for line in guard.said("kernelKill"))


def metrics() -> dict[str, float]:
    """Its counters, as Prometheus would read them."""
    lines = (line.rsplit(" ", 1) for line in Path(TEXTFILE).read_text().splitlines() if not line.startswith("#"))
    return {name: float(value) for name, value in lines}


def sample(guard: Guard) -> dict[str, int]:
    """What it holds; names of cgroups that are gone the kernel remembers (dentries), until memory is short."""
    stat = cgroups.keyed(guard.cgroup / "memory.stat")
    return {
        "rssKib": guard.rss_kib,
        "descriptors": guard.descriptors,
        "watches": guard.watches,
        "cgroupBytes": guard.cgroup_bytes,
        "kernelBytes": stat["kernel"],
        "reclaimableBytes": stat["slab_reclaimable"],
    }


if __name__ == "__main__":
    main()
