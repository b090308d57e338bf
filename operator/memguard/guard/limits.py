"""All lines of the machine: hung where acting is allowed, listened to while armed, taken away when it no longer is."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from memguard.core.ladder import relief_is_coming
from memguard.core.policy import SMALLEST_GUARDED_LIMIT
from memguard.errors import KernelFileError, MemguardError
from memguard.guard.bell import LOOK_SECONDS, NEVER, PROBATION_WITH_SWAP_SECONDS, Bell
from memguard.guard.clock import Clock
from memguard.guard.config import Tuning
from memguard.guard.course import Course
from memguard.guard.court import Court
from memguard.guard.ears import MESSAGE, Ears
from memguard.guard.heir import Heir
from memguard.guard.report import Report
from memguard.guard.trigger import Trigger
from memguard.guard.ward import SANDBOX_BYTES, Ward
from memguard.guard.watch import Watch
from memguard.kernel.cgroup import Cgroup
from memguard.kernel.files import UNLIMITED
from memguard.kernel.outcome import Outcome
from memguard.kernel.reading import boundary
from memguard.kernel.record import Records
from memguard.kernel.touches import Touches

#: After others' writes were heard so long for each that was touched, and at most so long, until they are heard again:
#: whoever may write its own memory.high could keep us busy with it. Meanwhile a fill of 200 MiB/s takes 10 of the 16
#: MiB of the smallest margin.
TOUCH_SECONDS, MOST_TOUCH_SECONDS = 0.05, 1.0
NOT_ALONE = Outcome("refused", "the line would brake somebody else in the pod, who may not be touched")


class Limits:
    """The bells by cgroup path; at most one under each container's and each pod's limit."""

    def __init__(
        self,
        tuning: Tuning,
        watch: Watch,
        court: Court,
        heir: Heir,
        records: Records,
        *,
        ears: Ears,
        report: Report,
        clock: Clock,
    ) -> None:
        self.tuning = tuning
        self.bells: dict[str, Bell] = {}
        self._watch, self._court, self._heir, self._records = watch, court, heir, records
        self._ears, self._report, self._clock = ears, report, clock
        self._next_due: float | None = None  # unknown since a bell changed
        self._listening: dict[str, int] = {}
        self._unarmed: dict[str, Outcome] = {}
        self._past_brake_seconds = 0.0
        self._touches = Touches(watch.cgroup_root)
        self._touches_due = NEVER
        self._hear_touches()

    @property
    def brake_seconds(self) -> float:
        """How long containers were slowed at their own limit, in all."""
        now = self._clock.monotonic()
        return self._past_brake_seconds + sum(bell.held_seconds(now) for bell in self.bells.values())

    @property
    def states(self) -> dict[str, int]:
        """How many lines are in which state."""
        states = [bell.state for bell in self.bells.values()]
        return {state: states.count(state) for state in sorted(set(states))}

    def hang(self, ward: Ward) -> None:
        """Put lines under the container's limit and its pod's, where both the rule and the limits allow it."""
        pod_path = ward.pod_path
        if ward.cgroup.path not in self.bells:
            self._hang(ward, ward.cgroup, f"container:{ward.id}")
        if pod_path in self.bells and _spared(self._watch.inside(pod_path)):
            self.forget(pod_path)
        if pod_path and pod_path not in self.bells:
            pod = Cgroup(pod_path, self._watch.cgroup_root)
            pod.file("memory.max").keep = True  # read at each look
            try:
                self._hang(ward, pod, f"pod:{pod_path}")
            finally:
                if pod_path not in self.bells:
                    pod.close()

    def forget(self, path: str) -> None:
        """A cgroup is gone, or no longer ours to guard."""
        self._next_due = None
        self._unarmed.pop(path, None)
        bell = self.bells.get(path)
        if bell is None:
            return
        self._deafen(path)
        self._touches.ignore(path)
        if bell.lift().verdict == "refused":
            return  # nobody else knows of the line: it is tried again with each check
        del self.bells[path]
        self._past_brake_seconds += bell.held_seconds(self._clock.monotonic())
        if bell.domain.startswith("pod:"):
            bell.cgroup.close()  # a container's belongs to its ward

    def forget_all(self, *, but_brakes: bool = False) -> None:
        """Nothing of ours is left standing; `but_brakes` leaves what holds somebody during a stop signal's grace."""
        for path, bell in list(self.bells.items()):
            if not (but_brakes and bell.state == "braking"):
                self.forget(path)

    @property
    def next_due(self) -> float:
        """When a bell wants to be looked at (monotonic seconds). At idle nothing looks at all bells to know it."""
        if self._next_due is None:
            self._next_due = min((bell.due for bell in self.bells.values()), default=NEVER)
        return min(self._next_due, self._touches_due)

    def look(self, now: float) -> None:
        """Look at those whose time has come."""
        if now < self.next_due:
            return
        if now >= self._touches_due:
            self._hear_touches()
        self._next_due = None
        for bell in [bell for bell in self.bells.values() if bell.due <= now]:
            bell.due = now + LOOK_SECONDS  # whatever goes wrong with it, it is not due again at once
            try:
                if not self._outdated(bell):
                    if bell.look(now):
                        self._judge(bell, now)
                    self._listen(bell)
            except (MemguardError, OSError) as error:
                self._report.trouble(str(error))

    def renew(self, ward: Ward) -> None:
        """A ward was studied: its limit may have come or changed since its line was hung."""
        bell = self.bells.get(ward.cgroup.path)
        if bell is not None:
            self._outdated(bell)
        elif self._wanted(ward):
            self.hang(ward)

    def check(self, wards: Iterable[Ward]) -> None:
        """Now and then: may each line still stand? Do these want one, and are theirs as they were?

        The others' are, or somebody would have been heard to write there.
        """
        self._next_due = None
        self._hear_touches()
        if not self._heir.present:
            self.forget_all()
        wards = list(wards)
        theirs = {path for ward in wards for path in (ward.cgroup.path, ward.pod_path)}
        read = [path for path in self.bells if path in theirs or path not in self._touches]
        for path, bell in list(self.bells.items()):
            if bell.state == "braking":
                if _spared(self._watch.inside(path)):
                    bell.rest(self._clock.monotonic())
            elif not self._may_stand(path):
                self.forget(path)
        for path in read:
            self._look_after(path)
        for ward in wards:
            if self._wanted(ward):
                self.hang(ward)

    def _hear_touches(self) -> None:
        """From now on, if there is inotify by now."""
        self._touches_due = NEVER
        self._ears.listen(self._touches.fileno(), self._touched, MESSAGE)

    def _touched(self, now: float) -> None:
        """Somebody else wrote a limit or a line."""
        self._ears.deafen(self._touches.fileno())
        self._next_due, touched = None, self._touches.heard()
        self._touches_due = now + min(MOST_TOUCH_SECONDS, TOUCH_SECONDS * max(1, len(touched)))
        for path in sorted(touched):
            self._look_after(path)

    def _look_after(self, path: str) -> None:
        """Is the line that stands there still under the limit, and still ours?"""
        bell = self.bells.get(path)
        if bell is None:
            return
        self._touches.attend(path)
        try:
            if bell.state == "braking" or not self._outdated(bell):
                self._check(bell)
        except (MemguardError, OSError) as error:
            self._touches.ignore(path)  # it is read with each housekeeping, until it can be
            self._report.trouble(str(error))

    def check_brakes(self) -> None:
        """Does each brake still stand? During a grace this cannot wait for the housekeeping."""
        for bell in [bell for bell in self.bells.values() if bell.state == "braking"]:
            self._check(bell)

    def _check(self, bell: Bell) -> None:
        outcome = bell.check(self._clock.monotonic())
        if outcome.verdict != "unchanged":
            self._report.line_changed(bell.domain, outcome)
        self._listen(bell)
        if bell.state == "off":
            self.forget(bell.cgroup.path)  # it is hung again when there is room for it

    def release_brakes(self, course: Course, now: float) -> None:
        """A stop signal had its time, or its effect."""
        self._next_due = None
        for bell in self.bells.values():
            if bell.state == "braking" and f"{course.ward.cgroup.path}/".startswith(f"{bell.cgroup.path}/"):
                bell.rest(now)

    def margin_is_short(self, course: Course) -> bool:
        """Is half of a margin used up while a stop signal has its time? Then there is no more waiting."""
        inside = (bell for path, bell in self.bells.items() if course.ward in self._watch.inside(path))
        return any((bell.cgroup.unreclaimable() or 0) > bell.short_bytes for bell in inside)

    def _outdated(self, bell: Bell) -> bool:
        """Was the limit changed under the line (in-place resize)? Then the line comes down, and is hung anew."""
        path = bell.cgroup.path
        if _limit(bell.cgroup) == bell.limit_bytes:
            return False
        self.forget(path)
        for ward in self._watch.inside(path):
            self.hang(ward)
        return True

    def _wanted(self, ward: Ward) -> bool:
        if not (self.tuning.lines and self._heir.present):
            return False
        rule = ward.rule
        return rule.guard_limit and rule.allows("brake") and self._court.may_act(ward)

    def _may_stand(self, path: str) -> bool:
        """Is a line wanted there, with nobody in its way?"""
        inside = self._watch.inside(path)
        return any(map(self._wanted, inside)) and not _spared(inside)

    def _hang(self, ward: Ward, cgroup: Cgroup, domain: str) -> None:
        self._next_due = None
        path = cgroup.path
        if _guardable_limit(cgroup) is None or not self._wanted(ward):
            return
        if _spared(self._watch.inside(path)):
            self._cannot_arm(cgroup, domain, NOT_ALONE)
            return
        self._touches.attend(path)  # from now on nothing is written unheard
        try:
            bell = self._bell(cgroup, domain)
            if bell is not None:
                self.bells[path] = bell
                self._listen(bell)
        finally:
            if path not in self.bells:
                self._touches.ignore(path)

    def _bell(self, cgroup: Cgroup, domain: str) -> Bell | None:
        """One for this limit, armed or about to be; None where none can be."""
        limit = _guardable_limit(cgroup)
        if limit is None:
            return None
        bell = Bell(
            cgroup,
            domain,
            limit,
            self._records,
            settings=self._watch.terms.plan.settings,
            tuning=self.tuning,
            may_stand=partial(self._may_stand, cgroup.path),
        )
        if self._watch.swap:
            bell.probation_seconds = PROBATION_WITH_SWAP_SECONDS
        if (cgroup.current() or 0) >= bell.line_bytes:
            # Full of cache: a line at the limit itself would never ring. It comes when there is room under it.
            bell.rest(self._clock.monotonic())
        elif not (outcome := bell.arm()).ok:
            self._cannot_arm(cgroup, domain, outcome)
            return None
        return bell

    def _cannot_arm(self, cgroup: Cgroup, domain: str, outcome: Outcome) -> None:
        if self._unarmed.get(cgroup.path) != outcome:
            self._unarmed[cgroup.path] = outcome
            self._report.unarmed(domain, outcome)

    def _rung(self, bell: Bell, now: float) -> None:
        self._next_due = None
        if self.bells.get(bell.cgroup.path) is not bell or self._outdated(bell):
            return
        first = bell.state == "armed"
        if bell.ring(now):
            if first:
                self._report.stepped("brake")
                self._court.new_episode(bell.domain)
            self._judge(bell, now)
        self._listen(bell)

    def _judge(self, bell: Bell, now: float) -> None:
        """A container's or pod's own limit: only those inside it are asked, unless what they give back will do."""
        inside = self._watch.inside(bell.cgroup.path)
        pending = self._court.pending_bytes(now, inside)
        deficit = (bell.cgroup.unreclaimable() or 0) - bell.line_bytes if pending else 0
        if not relief_is_coming(pending, deficit, bell.limit_bytes - bell.line_bytes):
            pod = None if bell.domain.startswith("container:") else boundary(bell.cgroup)
            trigger, enough = Trigger("line", self._clock.monotonic), 0 < deficit <= pending
            pods = (pod,) if pod else ()
            self._court.decide(inside, trigger, pods=pods, within=bell.domain, guilty_only=enough)
        stages = [self._court.courses[ward.id].stage for ward in inside if ward.id in self._court.courses]
        if "terminating" in stages and not _spared(inside):
            bell.brake(now)
        elif stages:
            bell.rest(now)

    def _listen(self, bell: Bell) -> None:
        """In the poll set only while armed: at the limit the file rings 15 times a second even without a line."""
        path = bell.cgroup.path
        if bell.state not in ("armed", "probation"):
            self._deafen(path)
        elif path not in self._listening:
            self._listening[path] = bell.fileno()
            self._ears.listen(bell.fileno(), lambda now: self._rung(bell, now))

    def _deafen(self, path: str) -> None:
        self._ears.deafen(self._listening.pop(path, -1))


def _spared(inside: Iterable[Ward]) -> bool:
    """Is somebody there who may never be touched, not even by a brake?"""
    return any(ward.forbidden is not None and ward.current_bytes > SANDBOX_BYTES for ward in inside)


def _guardable_limit(cgroup: Cgroup) -> int | None:
    """memory.max; None where there is none, or one too small for a line."""
    limit = _limit(cgroup)
    return limit if limit is not None and SMALLEST_GUARDED_LIMIT <= limit < UNLIMITED else None


def _limit(cgroup: Cgroup) -> int | None:
    """memory.max; None where it is gone or cannot be read (the next study of its ward says so)."""
    try:
        return cgroup.max()
    except KernelFileError:
        return None
