"""What must be true of a guard at every moment, judged by what it does to the machine and not by what it says."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final, NamedTuple

from tests.kernel_files.trees import MIB

from memguard.core.ladder import KILL_SECONDS
from memguard.guard.bell import LOOK_SECONDS, PROBATION_LOOKS, PROBATION_SECONDS
from memguard.guard.course import GIVE_UP_SECONDS, PENDING_SECONDS, Course
from memguard.guard.loop import HOUSEKEEPING_SECONDS, Guard
from memguard.guard.ward import SANDBOX_BYTES

if TYPE_CHECKING:
    from tests.guard.ladder.machine import Machine

#: More turns than this within a second of the machine's time are a loop that goes round without sleeping.
MOST_TURNS: Final = 1500
#: What the guard's looks may be late by.
LATE_SECONDS: Final = 0.05
#: How far its readings may be from the truth: what grows in a millisecond, and what it keeps apart.
BLUR_BYTES: Final = 2 * MIB


class ViolationError(AssertionError):
    """The guard did what it must never do, or did not do what it always must."""


class Seen(NamedTuple):
    """A course as it stood at a look."""

    name: str
    stage: str
    domain: str
    course: Course


class Referee:
    """Sees each write and each signal as it happens, and looks at everything after each turn."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.guard: Guard
        #: (what, from, to): the steps of lines and victims that were taken
        self.steps: set[tuple[str, str, str]] = set()
        #: when a line last could not be lifted
        self._refused: dict[str, float] = {}
        self._frozen: set[str] = set()
        #: cgroups on which a line of the guard's stands, unless somebody else took it away
        self._lined: set[str] = set()
        #: when the guard killed each cgroup
        self._struck: dict[str, float] = {}
        self._kills = 0
        self._courses: dict[str, Seen] = {}
        self._bells: dict[str, str] = {}
        self._since: dict[str, float] = {}
        self._turns: list[float] = []

    # --- as it happens

    def wrote(self, path: str, data: bytes) -> None:
        """The guard wrote a file of the tree."""
        directory, _, file = path.rpartition("/")
        root = str(self.machine.world.cgroup_root)
        if not directory.startswith(root):
            return
        at, text = directory[len(root) + 1 :], data.decode().strip()
        if file == "cgroup.kill":
            self._may_be_touched(at, "killed")
            self._struck[at] = self.machine.world.time
        elif (file, text) == ("cgroup.freeze", "1"):
            self._may_be_touched(at, "frozen")
            self._frozen.add(at)
        elif file == "cgroup.freeze":
            self._frozen.discard(at)
        elif file == "memory.high" and text == "max":
            self._lined.discard(at)
        elif file == "memory.high":
            self._may_be_touched(at, "braked")
            self._lined.add(at)

    def signalled(self, name: str, number: int) -> None:
        """The guard sent a signal."""
        if number == signal.SIGTERM:
            self._may_be_touched(self.machine.there(name).path, "asked to end")
            if self.machine.there(name).content("cgroup.freeze") == "1":
                raise ViolationError(f"{name} was asked to end while it could not hear it")

    def watching(self, field: str, what: str) -> Callable[[object, str, object], None]:
        """Sets a field, and takes note of the step; at its making it takes none."""

        def put(one: object, name: str, value: object) -> None:
            if name == field and field in vars(one) and vars(one)[field] != value:
                self.steps.add((what, str(vars(one)[field]), str(value)))
            object.__setattr__(one, name, value)

        return put

    def trouble(self, reason: str) -> None:
        """The guard met with what it does not expect."""
        if not self.machine.refusing:
            raise ViolationError(f"trouble that no fault explains: {reason}")

    def _may_be_touched(self, at: str, what: str) -> None:
        """Who holds next to nothing in a pod allocates nothing either, and is nobody's concern."""
        for name in self._inside(at):
            load = self.machine.there(name)
            if name in self._excluded() and (load.path == at or load.current > SANDBOX_BYTES):
                raise ViolationError(f"{name} was {what}, and may not be touched")

    def _excluded(self) -> frozenset[str]:
        machine = self.machine
        return frozenset(machine.loads) if machine.observing else machine.spared

    def _inside(self, at: str) -> Iterator[str]:
        for name, load in self.machine.loads.items():
            if load is not None and f"{load.path}/".startswith(f"{at}/"):
                yield name

    # --- after each turn

    def look(self) -> None:
        """All that must be true while the guard sleeps."""
        now = self.machine.world.time
        self._turns = [at for at in self._turns if now - at < 1.0] + [now]
        if len(self._turns) > MOST_TURNS:
            raise ViolationError(f"{len(self._turns)} turns within a second")
        self._nobody_stands_still()
        self._lines(now)
        self._victims(now)

    def _nobody_stands_still(self) -> None:
        if left := [name for at in self._frozen for name in self._inside(at)]:
            raise ViolationError(f"{left} are left frozen")

    def _lines(self, now: float) -> None:
        """Each line that stands is somebody's business, and none stands where it may not."""
        bells = {path: bell.state for path, bell in self.guard.limits.bells.items()}
        for path in filter(self._has_line, self._lined):
            if self._refuses(path):
                continue
            if bells.get(path) not in ("armed", "probation", "braking"):
                raise ViolationError(f"a line stands on {path}, whose bell is {bells.get(path)}")
            self._may_be_touched(path, "left under a line")
        self._note("line", self._bells, bells, now)
        for path, state in bells.items():
            lasted = now - self._since[f"line {path}"]
            if state == "probation" and lasted > PROBATION_SECONDS + PROBATION_LOOKS * LOOK_SECONDS + LATE_SECONDS:
                raise ViolationError(f"{path} is on probation for {lasted:.2f} s")
            if state == "braking" and not any(seen.stage == "terminating" for seen in self._inside_of(path)):
                raise ViolationError(f"{path} is braked, and nobody in it is asked to end")
        self._bells = bells

    def _has_line(self, path: str) -> bool:
        """Does it stand: is the cgroup there, and nobody else's value in its place?"""
        file = self.machine.world.cgroup_root / path / "memory.high"
        return file.exists() and self.machine.world.written.get(file) != file.read_text()

    def _refuses(self, path: str) -> bool:
        """Could a line that stands there not be lifted, or not for so long that it had to be tried again?"""
        refuses = any(file == "memory.high" for name, file in self.machine.refusing if name in self._inside(path))
        if refuses:
            self._refused[path] = self.machine.world.time
        return refuses or self.machine.world.time - self._refused.get(path, 0.0) < HOUSEKEEPING_SECONDS + LATE_SECONDS

    def _inside_of(self, path: str) -> list[Seen]:
        found = self.guard.court.courses.values()
        return [self._seen(course) for course in found if f"{course.ward.cgroup.path}/".startswith(f"{path}/")]

    def _seen(self, course: Course) -> Seen:
        path = course.ward.cgroup.path
        return Seen(self.machine.name_of(path) or path, course.stage, course.domain.key, course)

    def _victims(self, now: float) -> None:
        """Nobody is ended beside another who is enough, and every end comes to an end."""
        courses = {key: self._seen(course) for key, course in self.guard.court.courses.items()}
        self._note("victim", *({k: s.stage for k, s in these.items()} for these in (self._courses, courses)), now)
        for key, seen in courses.items():
            if key not in self._courses:
                self._kills += 1
                if self._kills > self.machine.most_kills:
                    raise ViolationError(f"the budget of {self.machine.most_kills} is overdrawn by {seen.name}")
                self._needed(seen, [other for other in self._courses.values() if other.course is not seen.course])
                self._courses[key] = seen
            lasted = now - self._since[f"victim {key}"]
            if seen.stage == "killing" and lasted > GIVE_UP_SECONDS + LATE_SECONDS:
                raise ViolationError(f"{seen.name} is being killed for {lasted:.1f} s")
            if (
                seen.stage == "terminating"
                and lasted
                > self.guard.watch.terms.plan.rule_for(seen.course.ward.container).grace_seconds + LATE_SECONDS
            ):
                raise ViolationError(f"{seen.name} has had {lasted:.2f} s to end by itself")
        self._courses = courses

    def _needed(self, new: Seen, others: list[Seen]) -> None:
        """Was another one needed, with what those under way still give back?"""
        machine, domain = self.machine, new.course.domain
        if new.name in machine.ordered:
            return
        inside = [other for other in others if domain.kind == "node" or self._within(other, domain.key)]
        pending = sum(self._pending(other) for other in inside)
        if pending <= BLUR_BYTES:
            return
        deficit = domain.reserve_bytes - domain.available_bytes
        if deficit + BLUR_BYTES < min(pending, domain.reserve_bytes // 2):
            raise ViolationError(
                f"{new.name} is ended in {domain.key} beside {[other.name for other in inside]}, who are enough"
            )
        load = machine.loads.get(new.name)
        if deficit + BLUR_BYTES < pending and load is not None and not load.rate:
            raise ViolationError(f"{new.name} is ended in {domain.key} beside the culprit, and does not grow")

    def _within(self, other: Seen, domain: str) -> bool:
        kind, _, where = domain.partition(":")
        path = other.course.ward.cgroup.path
        return path.startswith(f"{where}/") if kind == "pod" else other.course.ward.id == where

    def _pending(self, other: Seen) -> float:
        """What it still gives back, for as long as that may be hoped for."""
        load = self.machine.loads.get(other.name)
        if load is None:
            return 0
        if other.stage == "terminating":  # who is spared meanwhile need not end any more
            return 0 if other.name in self._excluded() else load.anon
        struck = self._struck.get(load.path)
        if struck is None:  # it cannot be killed: nothing comes of it
            return 0
        age = self.machine.world.time - struck
        return load.anon * max(0.0, 1 - max(0.0, age - KILL_SECONDS) / PENDING_SECONDS)

    def _note(self, what: str, before: dict[str, str], after: dict[str, str], now: float) -> None:
        for key in before.keys() | after.keys():
            old, new = before.get(key, "none"), after.get(key, "none")
            if old != new:
                self._since[f"{what} {key}"] = now

    # --- at the end

    @property
    def is_at_rest(self) -> bool:
        """Is nobody braked or followed, and no line left that could not be lifted?"""
        states = {path: state for path, state in self._bells.items() if state in ("armed", "resting")}
        lines = set(filter(self._has_line, self._lined))
        return not self._courses and states == self._bells and lines <= {p for p, s in states.items() if s == "armed"}

    def at_rest(self) -> None:
        """Nothing happens any more: nobody is held, braked or followed, and each victim has one outcome."""
        if not self.is_at_rest:
            states = set(self._bells.values())
            followed = [seen.name for seen in self._courses.values()]
            raise ViolationError(f"not at rest: bells {states}, lines {self._lined}, followed {followed}")
        done = [line["id"] for line in self.machine.duty.decisions() if line["mode"] == "Enforce"]
        if sorted(done) != sorted(line["id"] for line in self.machine.duty.lines("outcome")):
            raise ViolationError("not each victim has one outcome")

    def farewell(self) -> None:
        """The guard is gone: so is all that was its."""
        if left := self.machine.duty.records.holds():
            raise ViolationError(f"left behind: {left}")
        if left := [path for path in self._lined if self._has_line(path)]:
            raise ViolationError(f"lines are left behind on {left}")
        self._nobody_stands_still()


REST_SECONDS: Final = GIVE_UP_SECONDS + 2 * HOUSEKEEPING_SECONDS
