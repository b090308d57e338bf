"""What a cell must show: pure functions from a result to the list of what went wrong. Empty is good."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from bench.kernel.cells import Spot
from bench.kernel.journal import Journal, read_journal
from tests.machine.guest.result import CellResult


def failures(spot: Spot, result: CellResult) -> list[str]:
    """Everything that went wrong in one cell of the matrix, whoever guarded it."""
    journal = read_journal(result.guard.log)
    match spot:
        case Spot(domain="system"):
            outcome = [*foreign(result, journal)]
        case Spot(shape="tmpfs"):
            outcome = [*lasting(result, journal)]
        case _:
            outcome = [*right_victim(result)]
    return [*outcome, *clean_guard(result, journal)]


def right_victim(result: CellResult) -> Iterator[str]:
    """The culprits died, whole, before the kernel did it; nobody else was touched."""
    yield from before_the_kernel(result)
    yield from nobody_else(result)
    culprits = {container.name for container in result.containers if container.culprit}
    if survivors := sorted(culprits - set(result.culprits_died)):
        yield f"still alive: {', '.join(survivors)}"
    if result.culprits_died and not result.culprits_whole:
        yield "a culprit did not die whole"


def foreign(result: CellResult, journal: Journal) -> Iterator[str]:
    """The hog is no container: one kill at most can be asked of who kills containers, and an alarm of who has any."""
    if result.guard.kind == "memguard" and not journal.of("alarm"):
        yield "no alarm about growth outside of the pods"
    paid = [c.name for c in result.containers if c.touched and not c.culprit and not c.oom_kills]
    if len(paid) > 1:
        yield f"{len(paid)} kills for somebody else's growth: {', '.join(paid)}"


def lasting(result: CellResult, journal: Journal) -> Iterator[str]:
    """Its death frees nothing: nobody else dies of it, and nobody twice."""
    yield from before_the_kernel(result)
    yield from nobody_else(result)
    yield from (f"{name} was killed {times} times" for name, times in Counter(journal.victims).items() if times > 1)


def survived(result: CellResult) -> Iterator[str]:
    """Benign growth: nobody died at all."""
    yield from before_the_kernel(result)
    yield from nobody_else(result)
    if victims := read_journal(result.guard.log).victims:
        yield f"killed: {', '.join(victims)}"


def before_the_kernel(result: CellResult) -> Iterator[str]:
    """The kernel's OOM killer had nothing to do."""
    if result.kernel_oom_kills:
        yield f"the kernel's OOM killer took {result.kernel_oom_kills} processes"


def nobody_else(result: CellResult) -> Iterator[str]:
    """No innocent container lost a process."""
    if result.innocents_touched or result.idle_touched:
        names = [*result.innocents_touched, *(["idle ones"] if result.idle_touched else [])]
        yield f"touched: {', '.join(names)}"


def clean_guard(result: CellResult, journal: Journal) -> Iterator[str]:
    """It was ready, ran from start to end, and left nothing behind; memguard faulted nothing in from disk, either."""
    yield from (f"left behind: {path} = {value}" for path, value in result.leftovers.items())
    guard = result.guard
    if guard.kind == "none":
        return
    if guard.ready_seconds is None:
        yield "the guard never said that it was ready"
    if guard.died_early:
        yield f"the guard ended early, with {guard.exit_code}"
    if guard.kind != "memguard":
        return
    if not guard.died_early and (guard.exit_code != 0 or guard.stop_seconds is None):
        yield f"the guard ended with {guard.exit_code}"
    if guard.major_faults:
        yield f"{guard.major_faults} major faults of the guard"
    if journal.noise:
        yield f"the guard printed: {' | '.join(journal.noise)[-400:]}"
