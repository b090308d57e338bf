"""All that may happen to the machine."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple

from tests.guard.ladder.machine import BASE, FAST, LIVES, NAMES, SLOW, Machine
from tests.kernel_files.trees import MIB

#: As long as nothing changes: longer than everything that the guard waits for but its housekeeping, and long enough
#: for that, too.
WAIT_SECONDS: Final = 12.0


class Event(NamedTuple):
    """`may` it happen now, and what it does."""

    may: Callable[[Machine], bool]
    happen: Callable[[Machine], None]


def _alive(name: str, machine: Machine) -> bool:
    load = machine.loads[name]
    return load is not None and load.alive


def _there(name: str, machine: Machine) -> bool:
    return machine.loads[name] is not None


def _near(name: str, rate: float, machine: Machine) -> None:
    machine.hold(name, machine.line_bytes(name), rate)


def _small(name: str, machine: Machine) -> None:
    machine.there(name).cache = 0
    machine.hold(name, BASE[name], 0)


def _dying(name: str, machine: Machine) -> bool:
    load = machine.loads[name]
    return load is not None and not load.alive and load.anon > 0


def _stuck(name: str, machine: Machine) -> None:
    load = machine.there(name)
    load.dies = not load.dies


def _emptied(name: str, machine: Machine) -> None:
    machine.there(name).empty()
    machine.show()


def _cached(name: str, machine: Machine) -> None:
    """It reads files until its limit is full."""
    load = machine.there(name)
    room = (load.limit or machine.pod.limit) - load.anon
    load.cache = max(0, room - MIB)
    load.show()
    load.ring(4 * MIB)
    machine.show()


def _spare(name: str, machine: Machine) -> None:
    machine.spared ^= {name}
    machine.tell()


def _observe(machine: Machine) -> None:
    machine.observing = not machine.observing
    machine.tell()


def _spend(machine: Machine) -> None:
    machine.most_kills = 0 if machine.most_kills else 10
    machine.tell()


def _heir(machine: Machine) -> None:
    """Whoever would undo our lines is gone, and nobody can take its place; or somebody can again."""
    heir = machine.duty.guard.heir
    machine.heirless = not machine.heirless
    if machine.heirless:
        heir._become(present=False, why="it is gone")
    else:
        heir.check()


def _high(name: str, text: str, machine: Machine) -> None:
    """Somebody else writes memory.high."""
    machine.there(name).write("memory.high", text)


def changes(machine: Machine) -> None:
    """The time passes until something is another."""
    before = state(machine)
    machine.run(WAIT_SECONDS, until=lambda: state(machine) != before)


def _events() -> dict[str, Event]:
    found = {"wait": Event(lambda _: True, changes)}
    for name in NAMES:
        alive, there = partial(_alive, name), partial(_there, name)
        found |= {
            f"{name} leaks": Event(alive, partial(_near, name, SLOW)),
            f"{name} bursts": Event(alive, partial(_near, name, FAST)),
            f"{name} stops": Event(alive, lambda m, name=name: m.hold(name, m.there(name).anon, 0)),
            f"{name} shrinks": Event(alive, partial(_small, name)),
            f"{name} sticks": Event(there, partial(_stuck, name)),
            f"{name} is freed": Event(partial(_dying, name), partial(_emptied, name)),
            f"{name} is spared": Event(lambda _: True, partial(_spare, name)),
            f"{name} vanishes": Event(there, lambda m, name=name: m.vanish(name)),
            f"{name} comes": Event(
                lambda m, name=name: m.loads[name] is None and m.lives[name] < LIVES,
                lambda m, name=name: m.appear(name),
            ),
            f"{name} is ordered to end": Event(alive, lambda m, name=name: m.order(name)),
            f"{name} cannot be killed": Event(there, lambda m, name=name: m.refuse(name, "cgroup.kill")),
        }
    for name in ("hog", "side"):
        found[f"{name} reads files"] = Event(partial(_alive, name), partial(_cached, name))
    return found | {
        "hog heeds": Event(partial(_there, "hog"), lambda m: m.heeding.__ixor__({"hog"}) and None),
        "hog's line is reset": Event(partial(_there, "hog"), partial(_high, "hog", "max\n")),
        "hog's line is another's": Event(partial(_there, "hog"), partial(_high, "hog", f"{200 * MIB}\n")),
        "hog cannot be braked": Event(partial(_there, "hog"), lambda m: m.refuse("hog", "memory.high")),
        "hog cannot be held": Event(partial(_there, "hog"), lambda m: m.refuse("hog", "cgroup.freeze")),
        "only observe": Event(lambda _: True, _observe),
        "no budget": Event(lambda _: True, _spend),
        "no heir": Event(lambda _: True, _heir),
    }


EVENTS: Final = _events()

#: What makes a crisis in the pod, and what may come between: without faults.
CRISIS: Final = (
    "wait", "hog leaks", "side leaks", "hog bursts", "side bursts", "hog stops", "hog sticks", "side sticks",
    "hog is spared", "side is spared", "only observe", "hog heeds", "side is ordered to end", "hog vanishes",
)  # fmt: skip

State = tuple[object, ...]


def state(machine: Machine) -> State:
    """What tells one moment from another: that of each container, each line, and the node."""
    guard, world = machine.duty.guard, machine.world
    courses = {course.ward.cgroup.path: course.stage for course in guard.court.courses.values()}
    bells = tuple(sorted((bell.domain.partition(":")[0], bell.state) for bell in guard.limits.bells.values()))
    reserve = guard.scene.reserve_bytes
    return (
        tuple(_of(machine, name, courses) for name in NAMES),
        bells,
        max(-2, min(4, (world.available - reserve) * 2 // reserve)),
        machine.spared, machine.observing, machine.most_kills, machine.heirless,
        frozenset(machine.refusing), frozenset(machine.heeding),
    )  # fmt: skip


def _of(machine: Machine, name: str, courses: dict[str, str]) -> State:
    load = machine.loads[name]
    if load is None:
        return (machine.lives[name] < LIVES,)
    high = load.content("memory.high")
    held = min(4, (load.anon - BASE[name]) // (64 * MIB)) if load.limit is None else _place(load.anon, load.limit)
    stage = courses.get(load.path)
    return (load.alive, load.dies, load.killed_by, load.rate, held, load.cache > 0, high != "max", stage)


def _place(used: int, limit: int) -> int:
    """Where it stands under its limit: below the line, in the first or the second half of its margin."""
    return sum(used >= limit - margin for margin in (24 * MIB, 16 * MIB, 8 * MIB))
