"""Playing the stories: what is missing is installed or named, the machine boots once, and each story tells its end."""

from __future__ import annotations

import subprocess

import msgspec
from tests.machine.guest.result import CellResult
from tests.machine.image import CACHE, NODE, REPOSITORY, MachineError, ensure
from tests.machine.machine import Machine, Result
from tests.machine.qemu import Clock, Record

from demo.ending import Ending, tell
from demo.progress import Progress
from demo.report import Report
from demo.stories import MEMORY_MB, STORIES, Story, job
from demo.words import headline

#: The slowest run measured, with other work on both cores, took 200 s.
TIMEOUT_SECONDS = 900.0


def prepare(progress: Progress) -> None:
    """Programs and the node image. Raises MachineError where something is missing and cannot be installed."""
    # It says itself what it installs (as root, with apt-get), or which command would.
    done = subprocess.run(("tools/setup.sh", "system"), cwd=REPOSITORY, check=False)
    if done.returncode:
        raise MachineError("The test machine cannot be set up: see above for what is missing.")
    if (CACHE / NODE.key() / "disk.img").exists():
        return
    with progress.alive("building the machine's image from Debian packages, once (about a minute)"):
        ensure(NODE)
    progress.say("image built")


def play(progress: Progress, clock: Clock, stories: tuple[Story, ...] = STORIES) -> Report:
    """Boots the machine and plays them all. Raises MachineError when it dies or hangs."""
    director = _Director(progress, stories)
    with progress.alive("the machine boots"):
        result = Machine().run(
            job(stories), clock=clock, memory_mb=MEMORY_MB, timeout_s=TIMEOUT_SECONDS, on_record=director.hear
        )
    return Report(
        kernel=str(result.boot["kernel"]),
        accelerator=result.accelerator,
        clock=clock,
        memory_bytes=total_bytes(result.boot),
        real_seconds=round(result.wall_seconds, 1),
        stories=tuple(director.endings),
        failures=_failures(result),
    )


def total_bytes(boot: Record) -> int:
    """MemTotal, from the machine's first record."""
    return int(boot["memory"]["MemTotal"])


class _Director:
    """Follows the records as they come."""

    def __init__(self, progress: Progress, stories: tuple[Story, ...]) -> None:
        self._progress = progress
        self._stories = stories
        self._played = 0
        self._total_bytes = 0
        self.endings: list[Ending] = []

    def hear(self, record: Record) -> None:
        """A record of the machine, as soon as it is there."""
        if record["kind"] == "boot":
            self._total_bytes = total_bytes(record)
            self._progress.say(f"Linux {record['kernel']} is up, with {self._total_bytes / (1 << 20):.0f} MiB")
            self._announce()
        elif record["kind"] == "cell":
            ending = tell(self._stories[self._played], msgspec.convert(record["result"], CellResult), self._total_bytes)
            self.endings.append(ending)
            self._progress.say(f"{self._played + 1}. {ending.title}: {headline(ending)}")
        if record["kind"] in {"cell", "error"}:
            self._played += 1
            self._announce()

    def _announce(self) -> None:
        if self._played < len(self._stories):
            story = self._stories[self._played]
            self._progress.doing(f"{self._played + 1}. {story.title}: memory fills, page cache first")
        else:
            self._progress.doing("the machine shuts down")


def _failures(result: Result) -> tuple[str, ...]:
    """What could not be played: the last line of each traceback."""
    return tuple(error.strip().splitlines()[-1] for error in result.errors())
