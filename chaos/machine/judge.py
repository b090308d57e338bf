"""What must hold after every run, whatever went wrong in it; and what a fault excuses, each time with the reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from chaos.machine.seen import Line, Seen

#: After a guard's death, until its janitor has lifted all.
LEFT_SECONDS = 1.0
#: After it came back, until it has seen what there is.
START_SECONDS = 1.0
#: Its history, free lists and the last decisions; a leak of a container's worth each time would be more.
GROWN_KIB = 4096


def broken(seen: Seen) -> list[str]:
    """Invariants that did not hold, one sentence each."""
    return [
        *_kernel(seen), *_victims(seen), *_left(seen), *_budget(seen), *_records(seen), *_size(seen), *_recovered(seen),
    ]  # fmt: skip


def excused(seen: Seen) -> list[str]:
    """Kernel OOM kills that a fault made unavoidable, and why."""
    if not seen.kernel_kills_at:
        return []
    return [why for moment in seen.kernel_kills_at if (why := excuse(seen, moment))]


def excuse(seen: Seen, moment: float) -> str | None:
    """Why the kernel had to kill at that moment; None where the guard should have come first."""
    for absence in seen.absences:
        until = absence[1] + START_SECONDS if len(absence) == 2 else float("inf")
        if absence[0] <= moment <= until:
            return "no guard ran"
    if seen.guard_killed_by_kernel:
        return "the guard's own cgroup was too small"
    if "cgroup.kill" in seen.read_only:
        return "cgroup.kill was read-only: a tree that cannot be written is only observed"
    if _budget_spent(seen):
        return "the budget was spent"
    if "limits are resized" in seen.faults and seen.containers["hog"].kernel_kills:
        return "its limit had just been changed: nobody rings for that"
    return _without_a_line(seen) if seen.draw.boundary == "container" else None


def _without_a_line(seen: Seen) -> str | None:
    """At a container's own limit there is no bell without a line."""
    masked = {"memory.high", "memory.events.local"} & {*seen.without, *seen.read_only}
    if masked:
        return f"{min(masked)} could not be used: no line"
    if "somebody writes memory.high" in seen.faults:
        return "somebody wrote over the line, which is looked after every 10 s"
    if any("No line stands" in line["reason"] for line in seen.lines("alarm")):
        return "there could be no janitor: no line"
    return None


def _kernel(seen: Seen) -> Iterator[str]:
    unexcused = [moment for moment in seen.kernel_kills_at if excuse(seen, moment) is None]
    if unexcused:
        yield f"the kernel's OOM killer took {len(unexcused)} processes, first after {unexcused[0]:.2f} s"
    if not seen.gone and not _may_survive(seen):
        yield "the hog lives on"


def _may_survive(seen: Seen) -> bool:
    """It sits where it is, and nobody is in need: or nobody may end it."""
    return bool(_budget_spent(seen) or "cgroup.kill" in seen.read_only or seen.draw.boundary == "none")


def _victims(seen: Seen) -> Iterator[str]:
    """No innocent dies by our hand; by the kernel's only where that is excused, by a peer's at its own account."""
    ours = Counter(_victim(deed) for deed in _deeds(seen))
    for name, lives in seen.innocents.items():
        if ours[name]:
            yield f"{name} was ended, and is innocent"
        elif not lives and not seen.kernel_kills_at and "earlyoom" not in seen.faults:
            yield f"{name} died, and nobody says why"


def _left(seen: Seen) -> Iterator[str]:
    """Neither lines nor freezes, nor the sysctl."""
    if seen.left:
        yield f"left behind: {', '.join(f'{path} = {value}' for path, value in seen.left.items())}"
    elif seen.left_seconds > LEFT_SECONDS:
        yield f"lifted only after {seen.left_seconds:.2f} s"
    if not seen.pages_may_move:
        yield "compact_unevictable_allowed was left at 0"
    if seen.draw.ending != "SIGKILL" and seen.exit != 0:
        yield f"the guard ended with {seen.exit}"


def _budget(seen: Seen) -> Iterator[str]:
    """One for all guards, however often another begins."""
    kills = len(_deeds(seen))
    if kills > seen.draw.kills_allowed:
        yield f"{kills} kills, with {seen.draw.kills_allowed} allowed"


def _records(seen: Seen) -> Iterator[str]:
    """What is written is what happened: each victim was ended, each that was ended is written, and has its outcome."""
    for line in seen.lines("noise"):
        yield f"the guard printed: {line['text'][-300:]}"
    yield from _counted(seen)
    if any("droppedLines" in line for journal in seen.journals for line in journal) or "log disk full" in seen.faults:
        return  # told, and counted
    told = {_victim(deed) for deed in _deeds(seen)}
    for name in ("hog", *seen.bystanders):
        end = seen.containers.get(name)
        if end is None:
            continue
        if name in told and end.populated:
            yield f"{name} was ended by the record, and lives"
        unknown = not (end.populated or end.kernel_kills or name in told)
        if unknown and name != "bomb" and not _may_have_died_untold(seen):
            yield f"{name} is gone, and no record says why"
    outcomes = Counter(line["id"] for line in seen.lines("outcome"))
    for journal in seen.journals:
        ended = any(line["kind"] == "stop" for line in journal)
        for deed in _of(journal):
            if ended and outcomes[deed["id"]] != 1:
                yield f"{outcomes[deed['id']]} outcomes of {deed['id']}"


def _counted(seen: Seen) -> Iterator[str]:
    """The kernel's kills, by a guard that was there from start to end and is heard to the end."""
    if seen.absences or len(seen.journals) > 1 or "log disk full" in seen.faults:
        return
    told, kills = sum(line["count"] for line in seen.lines("kernelKill")), len(seen.kernel_kills_at)
    if not kills - seen.again.kernel_kills <= told <= kills:  # the last ones may come after its last look
        yield f"{kills} kernel kills, and {told} are told"


def _may_have_died_untold(seen: Seen) -> bool:
    """Killed between deed and word; by a peer; or nothing ever grew."""
    return bool(seen.absences) or "earlyoom" in seen.faults or seen.draw.boundary == "none"


def _size(seen: Seen) -> Iterator[str]:
    before, after = seen.size
    if before is None or after is None:
        return
    if after.descriptors > before.descriptors:
        yield f"descriptors: {before.descriptors}, then {after.descriptors}"
    if after.rss_kib > before.rss_kib + GROWN_KIB:
        yield f"resident: {before.rss_kib} KiB, then {after.rss_kib}"


def _recovered(seen: Seen) -> Iterator[str]:
    """All is over: it guards as if nothing had been."""
    if _budget_spent(seen) or _crippled(seen):
        return
    if not seen.again.gone:
        yield "after the faults a hog at its limit was not ended"
    elif seen.again.kernel_kills:
        yield "after the faults the kernel had to end a hog at its limit"


def _crippled(seen: Seen) -> bool:
    """Files that are missing stay missing as long as the guard lives."""
    return bool({"memory.high", "memory.events.local"} & {*seen.without})


def _budget_spent(seen: Seen) -> bool:
    """Told when it happens, which a lost line may hide."""
    return bool(seen.lines("budget")) or len(_deeds(seen)) >= seen.draw.kills_allowed


def _deeds(seen: Seen) -> list[Line]:
    return [deed for journal in seen.journals for deed in _of(journal)]


def _of(journal: tuple[Line, ...]) -> Iterator[Line]:
    return (line for line in journal if line["kind"] == "decision" and line["mode"] == "Enforce")


def _victim(deed: Line) -> str:
    return str(deed["victim"]["name"])
