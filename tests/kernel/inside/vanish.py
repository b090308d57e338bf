"""Containers come and go as fast as they can while the guard reads, arms and kills: nothing of that may end it."""

from __future__ import annotations

import contextlib
import threading
import time
from pathlib import Path

from guest import cgroups
from guest.cgroups import Names

from inside.stage import ROOT, Stage, populated, stage, tell, until

SECONDS_QUIET, BESIDE = 1.0, 12


class Traffic(threading.Thread):
    """Makes and removes whole pods in a loop, with a limit (so that a line is put up) and a short-lived process."""

    def __init__(self, scene: Stage) -> None:
        super().__init__(daemon=True)
        self.scene, self.rounds, self.over = scene, 0, False
        self.problem = ""

    def run(self) -> None:
        """Until told to stop."""
        try:
            while not self.over:
                for index in range(BESIDE):
                    self._come(f"passing{index}")
                for index in range(BESIDE):
                    self._go(f"passing{index}")
                self.rounds += 1
        except OSError as error:
            self.problem = repr(error)

    def _come(self, name: str) -> None:
        pod = cgroups.make(ROOT, Names(name).pod)
        cgroups.enable(pod, cgroups.CONTROLLERS)
        path = ROOT / Names(name).container()
        path.mkdir(exist_ok=True)
        (path / "memory.max").write_text(str(160 << 20))

    def _go(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            (ROOT / Names(name).container()).rmdir()
            (ROOT / Names(name).pod).rmdir()


def main() -> None:
    """Traffic beside an incident at the node and one at a limit."""
    with stage() as scene:
        hog = scene.container("hog")
        small = scene.container("small", limit_mib=160)
        names = [*scene.names]
        scene.names += [f"passing{index}" for index in range(BESIDE)]
        guard = scene.guard(reserve_mib=400)
        descriptors = guard.descriptors
        traffic = Traffic(scene)
        traffic.start()
        time.sleep(SECONDS_QUIET)
        victims = [grow(scene, path) for path in (small, hog)]
        time.sleep(SECONDS_QUIET)
        traffic.over = True
        traffic.join()
        until(lambda: guard.descriptors <= descriptors + 5, 3, step=0.1)
        tell(
            {
                "rounds": traffic.rounds,
                "problem": traffic.problem,
                "gone": victims,
                "alive": guard.child.poll() is None,
                "victims": [line["victim"]["name"] for line in guard.said("decision", mode="Enforce")],
                "wanted": list(reversed(names)),
                "descriptors": [descriptors, guard.descriptors],
                "noise": guard.said("noise"),
                "exit": guard.stop(),
            }
        )


def grow(scene: Stage, cgroup: Path) -> bool:
    """A hog there, until it is gone."""
    scene.load(cgroup, "hog", "rate=0", "max=2000")
    until(lambda: populated(cgroup), 2)
    return until(lambda: not populated(cgroup), 20, step=0.01)


if __name__ == "__main__":
    main()
