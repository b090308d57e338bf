"""A full pass over many containers, beside a C program that reads the same files in the same machine.

python3 -m inside.scoring 10,250
"""

from __future__ import annotations

import gc
import json
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from inside.crowd import arguments, counts, fill
from inside.stage import EVERYBODY, KUBEPODS, ROOT, stage, tell
from memguard.core.cases import Cases
from memguard.core.domain import domains
from memguard.core.history import History
from memguard.core.model import Snapshot
from memguard.core.policy import Plan, Rule
from memguard.core.select import judge
from memguard.guard.config import parse_config
from memguard.guard.scene import Scene
from memguard.guard.ward import Terms
from memguard.guard.watch import Watch, sampled
from memguard.kernel.selfguard import raise_open_files

ROUNDS = 5
#: What a ward reads when it is scored.
FILES = ("memory.current", "memory.stat", "memory.max")


class Pass:
    """The guard's own parts, put together as its loop does it, without the choice of a few."""

    def __init__(self) -> None:
        self.plan = Plan(mode="Enforce", rules=(Rule(guard_limit=True),))
        config = parse_config(EVERYBODY.encode())
        self.scene = Scene(str(ROOT), "/proc", self.plan.settings)
        self.watch = Watch(Terms(self.plan), str(ROOT), "/proc", swap=False, numa=False)
        self.history = History()
        for path in sorted(KUBEPODS.rglob("cri-containerd-*.scope")):
            name = str(path.relative_to(ROOT))
            self.watch.add(name, config.identify(name, path.stem), self.now(), time.monotonic())
        self.domain = next(domains(self.snapshot(), self.plan))

    def now(self) -> datetime:
        """Time of a snapshot."""
        return datetime.now(UTC)

    def read(self) -> None:
        """The reading alone."""
        for ward in self.watch.wards.values():
            ward.read()

    def score(self) -> None:
        """Read all and score all, factor by factor."""
        scores = list(Cases(self.history, self.snapshot(), self.plan, self.domain).scored())
        if len(scores) != len(self.watch):
            raise RuntimeError(f"{len(scores)} containers were scored")

    def judge(self) -> None:
        """Everything: read all, take it into the history, score, and choose."""
        self.history, _ = judge(self.history, self.snapshot(), self.plan)

    def snapshot(self) -> Snapshot:
        """Everybody, as of now."""
        self.read()
        return self.scene.snapshot(self.now(), sampled(self.watch.wards.values()), (), with_vmstat=False)


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


def passes(count: int) -> dict[str, object]:
    """Both, twice in turns, over all containers that there are."""
    full = Pass()
    if len(full.watch) != count:
        raise RuntimeError(f"{len(full.watch)} containers were found, not {count}")
    paths = [ROOT / path for path in full.watch.wards]
    gc.collect()
    c_first = c_program(paths)
    judged, read, scored = timed(full.judge), timed(full.read), timed(full.score)
    c = [*c_first, *c_program(paths)]
    full.watch.close()
    return {"containers": count, "cMs": c, "readMs": read, "scoreMs": scored, "judgeMs": judged}


def main() -> None:
    """The counts, each with those before it."""
    found, there = [], 0
    with stage() as scene:
        raise_open_files()
        gc.disable()
        for count in sorted(counts(arguments()[0])):
            fill(scene, there, count)
            found.append(passes(count))
            there = count
    tell(found)


if __name__ == "__main__":
    main()
