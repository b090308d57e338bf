"""A full scoring pass over 250 containers, beside a C program that reads the same files in the same machine."""

from __future__ import annotations

import gc
import json
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from inside.costs import MANY
from inside.stage import EVERYBODY, KUBEPODS, ROOT, Stage, stage, tell, until
from memguard.core.history import History
from memguard.core.policy import Plan, Rule
from memguard.core.select import judge
from memguard.guard.config import parse_config
from memguard.guard.scene import Scene
from memguard.guard.watch import Watch, containers
from memguard.kernel.selfguard import raise_open_files

ROUNDS = 5
#: What a ward reads when it is scored.
FILES = ("memory.current", "memory.stat")


class Pass:
    """The guard's own parts, put together as its loop does it, without the choice of a few."""

    def __init__(self) -> None:
        self.plan = Plan(mode="Enforce", rules=(Rule(guard_limit=True),))
        config = parse_config(EVERYBODY.encode())
        self.scene = Scene(str(ROOT), "/proc", self.plan.settings)
        self.watch = Watch(self.plan, str(ROOT), "/proc", swap=False, numa=False)
        self.history = History()
        for path in sorted(KUBEPODS.rglob("cri-containerd-*.scope")):
            name = str(path.relative_to(ROOT))
            self.watch.add(name, config.identify(name, path.stem), self.now(), time.monotonic())

    def now(self) -> datetime:
        """Time of a snapshot."""
        return datetime.now(UTC)

    def read(self) -> None:
        """The reading alone."""
        for ward in self.watch.wards.values():
            ward.read()

    def score(self) -> None:
        """Everything: read all, take it into the history, score and order all."""
        self.read()
        snapshot = self.scene.snapshot(self.now(), containers(self.watch.wards.values()), (), reclaim=False)
        self.history, ranking = judge(self.history, snapshot, self.plan)
        if len(ranking.candidates) != MANY:
            raise RuntimeError(f"{len(ranking.candidates)} containers were scored")


def timed(work: Callable[[], None]) -> list[float]:
    """Milliseconds of each round, as in the guard: without the collector."""
    found = []
    for _ in range(ROUNDS):
        began = time.monotonic()
        work()
        found.append((time.monotonic() - began) * 1000)
    return found


def c_program(paths: list[Path]) -> list[float]:
    """The same of the C program."""
    done = subprocess.run(
        ("./scan", str(ROUNDS), ",".join(FILES)), input="\n".join(map(str, paths)), capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    return list(json.loads(done.stdout))


def fill(scene: Stage) -> None:
    """So many containers with a little memory each: their counters are not all zero."""
    for index in range(MANY):
        scene.load(scene.container(f"idle{index}"), "hog", "rate=0", f"max={index % 3}")
    until(lambda: False, 3)


def main() -> None:
    """Both, twice in turns."""
    with stage() as scene:
        raise_open_files()
        fill(scene)
        full = Pass()
        gc.collect()
        gc.disable()
        paths = [ROOT / path for path in full.watch.wards]
        c_first = c_program(paths)
        read, score = timed(full.read), timed(full.score)
        tell({"cMs": [*c_first, *c_program(paths)], "readMs": read, "scoreMs": score, "containers": len(paths)})


if __name__ == "__main__":
    main()
