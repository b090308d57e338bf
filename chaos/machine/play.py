"""The runs of some seeds, a few in each boot of the virtual machine."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator

import msgspec
from chaos.machine.judge import broken, excused
from chaos.machine.seen import Seen, decode
from chaos.records import records
from chaos.runs import Run, commit, keep_seen
from tests.kernel.boots import Boot
from tests.machine.guest.result import CommandResult
from tests.machine.machine import MachineError

PART = "machine"
#: A boot takes seconds, a run 10 to 60; with a machine that hangs the rest of its seeds is lost.
SEEDS_A_BOOT = 20
BOOT_SECONDS = 3600.0


def play(seeds: list[int], say: Callable[[str], None]) -> Iterator[Run]:
    """Each seed once, told as soon as it was played."""
    for at in range(0, len(seeds), SEEDS_A_BOOT):
        try:
            for record in records(boot(seeds[at : at + SEEDS_A_BOOT])):
                if record["kind"] == "command":
                    yield run(msgspec.convert(record["result"], CommandResult))
        except MachineError as error:
            say(str(error))


def boot(seeds: Iterable[int]) -> Boot:
    """One machine for these seeds."""
    return Boot(scenarios=tuple(f"chaos {PART} {seed}" for seed in seeds), seconds=BOOT_SECONDS)


def run(told: CommandResult) -> Run:
    """What the guest told of one seed, judged; the whole of it is kept beside the runs."""
    seed = int(told.name.split()[-1])
    if told.exit_code != 0:
        return Run(part=PART, seed=seed, commit=commit(), broken=(f"could not be played: {told.stderr[-2000:]}",))
    keep_seen(PART, seed, told.stdout.encode())
    seen = decode(json.loads(told.stdout))
    return Run(
        part=PART,
        seed=seed,
        commit=commit(),
        faults=tuple(timed.fault for timed in seen.draw.faults),
        broken=tuple(broken(seen)),
        excused=tuple(dict.fromkeys(excused(seen))),
        figures=figures(seen),
    )


def figures(seen: Seen) -> dict[str, float]:
    """What is worth comparing."""
    found = {"kernelKills": float(len(seen.kernel_kills_at)), "leftSeconds": round(seen.left_seconds, 4)}
    if seen.size[1] is not None:
        found["rssMib"] = round(seen.size[1].rss_kib / 1024, 1)
    seconds = [line["seconds"] for line in seen.lines("outcome") if line["complete"]]
    if seconds:
        found["endedSeconds"] = max(seconds)
    return found
