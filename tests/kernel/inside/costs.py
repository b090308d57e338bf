"""What guarding costs: CPU at idle with few and with many containers, against nohang's; memory; descriptors."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from guest import cgroups, spec
from guest.daemons import Daemon, line_words

from inside.stage import LOADS, MIB, ROOT, RUN, Guard, Stage, stage, tell

FEW, MANY = 10, 250
SECONDS, WARM_SECONDS = 60.0, 5.0


def memguard(count: int) -> dict[str, Any]:
    """memguard beside so many idle containers."""
    with stage() as scene:
        populate(scene, count)
        guard = scene.guard()
        time.sleep(WARM_SECONDS)
        before = guard.cpu_ms
        time.sleep(SECONDS)
        cpu = guard.cpu_ms - before
        found = {"cpuMs": cpu, "cgroupBytes": guard.cgroup_bytes, **processes(guard)}
        return {**found, "containers": guard.said("start")[0]["containers"], "exit": guard.stop()}


def nohang(count: int) -> dict[str, Any]:
    """nohang beside the same."""
    with stage() as scene:
        populate(scene, count)
        words = {"@RUN@": str(RUN), **line_words(100 * MIB, 1024 * MIB)}
        daemon = Daemon(spec.Guard(kind="nohang"), ROOT / "guard", RUN, words, Path(LOADS))
        daemon.prepare()
        try:
            daemon.start()
            time.sleep(WARM_SECONDS)
            before = daemon.cost()
            time.sleep(SECONDS)
            after = daemon.cost()
            cpu = (after.cpu_us - before.cpu_us) / 1000
            return {"cpuMs": cpu, "cgroupBytes": after.current_bytes, "alive": daemon.alive}
        finally:
            daemon.clear()


def populate(scene: Stage, count: int) -> None:
    """So many containers with one sleeping process each."""
    for index in range(count):
        scene.load(scene.container(f"idle{index}"), "pause")
    scene.names.clear()  # one pattern for all: a configuration of 250 names is no plan


def processes(guard: Guard) -> dict[str, int]:
    """The guard and its janitor: memory that is not locked, and descriptors."""
    unlocked, descriptors = 0, 0
    for pid in cgroups.pids(guard.cgroup):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        sizes = {key: int(rest.split()[0]) for key, _, rest in (line.partition(":") for line in lines)
                 if key in {"VmRSS", "VmLck"}}  # fmt: skip
        unlocked += max(0, sizes["VmRSS"] - sizes["VmLck"])
        descriptors += len(os.listdir(f"/proc/{pid}/fd"))
    return {"unlockedKib": unlocked, "descriptors": descriptors}


def main() -> None:
    """All of it."""
    tell({"few": memguard(FEW), "many": memguard(MANY), "nohang": nohang(MANY)})


if __name__ == "__main__":
    main()
