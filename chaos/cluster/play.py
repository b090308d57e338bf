"""Part "cluster" of `python -m chaos`: runs one after the other in a lab of their own, of one node."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import msgspec
from chaos.cluster.draw import PART, Draw, drawn
from chaos.cluster.judge import judge
from chaos.cluster.pods import NODE
from chaos.cluster.seen import Seen
from chaos.cluster.stage import Stage
from chaos.runs import Run, commit, keep_seen
from e2e.images import build_images
from e2e.lab.cache import CACHE
from e2e.lab.errors import LabError
from e2e.lab.lab import Lab

#: Where it is, unless MEMGUARD_LAB names another place.
DIRECTORY = CACHE / "chaos"


def play(seeds: Iterable[int], say: Callable[[str], None]) -> Iterator[Run]:
    """Each seed's run. What could not even begin is said and left for the next time; then memguard comes anew.

    A lab that runs already is left running.
    """
    lab = Lab(Path(os.environ.get("MEMGUARD_LAB", DIRECTORY)), nodes=(NODE,), detached=True)
    stays, stage = lab.is_up(), None
    try:
        for seed in seeds:
            stage = stage or _entered(lab)
            draw = drawn(seed)
            say(f"{PART} seed {seed}: {_told(draw)}")
            try:
                seen = stage.play(draw)
                keep_seen(PART, seed, msgspec.json.encode(seen))
                yield run_of(seen)
            except (LabError, AssertionError) as error:
                say(f"{PART} seed {seed}: lost: {error}")
                stage = None
    finally:
        if not stays:
            lab.down()


def run_of(seen: Seen) -> Run:
    """As it is kept."""
    verdict = judge(seen)
    figures = {**seen.figures, "guard dead, left s": max(seen.left_seconds, default=-1.0)}
    return Run(
        part=PART,
        seed=seen.draw.seed,
        commit=commit(),
        faults=(f"leak: {seen.draw.leak}", *(fault.name for fault in seen.draw.faults)),
        broken=verdict.broken,
        excused=verdict.excused,
        figures={name: value for name, value in figures.items() if value >= 0},
    )


def _entered(lab: Lab) -> Stage:
    lab.up(tuple(build_images().values()))
    stage = Stage(lab)
    stage.enter()
    return stage


def _told(draw: Draw) -> str:
    faults = ", ".join(f"{fault.name} at {fault.at:+.1f} s for {fault.seconds:.1f} s" for fault in draw.faults)
    return f"leak {draw.leak} of {draw.rate_mib_s} MiB/s; {faults}"
