"""The guard's loop: hear the bell, hold the suspect, decide, act. One thread, asleep in poll(2) until something rings.

Nothing between a wake-up and a kill opens a file, writes a log, or looks at all containers.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import time
from collections.abc import Iterable

import msgspec

from memguard.core.budget import Ledger
from memguard.core.domain import domains
from memguard.core.history import History, after_victim, forget_gauge, observe
from memguard.core.ladder import choose_action, relief_is_coming
from memguard.core.model import Cgroup as CgroupReading
from memguard.core.model import Snapshot
from memguard.core.policy import Action
from memguard.core.select import Ranking, judge, rank
from memguard.core.trace import LEARNING, Event, Header, Outcome, Reading
from memguard.errors import ConfigError
from memguard.guard.bell import Bell, may_guard
from memguard.guard.clock import Clock
from memguard.guard.config import Config, load_config
from memguard.guard.course import Course
from memguard.guard.hold import Hold
from memguard.guard.janitor import Janitor, spawn_janitor
from memguard.guard.pace import pause_seconds, sweep_due
from memguard.guard.report import Report, Trigger
from memguard.guard.scene import Scene, read_boundary
from memguard.guard.stability import Stability
from memguard.guard.ward import Ward
from memguard.guard.watch import Watch, containers, growers, shortlist
from memguard.kernel.cgroup import Cgroup
from memguard.kernel.paths import parse_container_path
from memguard.kernel.psi import Trigger as PsiTrigger
from memguard.kernel.psi import arm_trigger
from memguard.kernel.record import Records
from memguard.kernel.tree import Change, Tree

#: A new judgement when this part of the reserve is gone since the last one, ...
JUDGE_PART = 64
#: ... or after this long while the alarm lasts.
JUDGE_SECONDS = 0.05
#: The reserve is reached for the guard when it will be before it could act after its next look: tick and decision.
AHEAD_SECONDS = 0.004
#: While a victim is on its way out.
COURSE_SECONDS = 0.003
#: Between two ward studies at idle: O(1) whatever the number of containers.
STUDY_SECONDS = 0.5
#: Growth is judged on a sweep that is not older than this.
FRESH_SECONDS = 0.1
HOUSEKEEPING_SECONDS = 10.0
#: PSI `some` this long within the window wakes the guard (braking.md: 50-100 ms per 500 ms).
PSI_THRESHOLD_SECONDS, PSI_WINDOW_SECONDS = 0.075, 0.5


class Guard:
    """One machine's guard. `config` may be replaced while it runs (`follow`)."""

    def __init__(self, config: Config, records: Records, report: Report, clock: Clock, *, wakeup_fd: int) -> None:
        self.config, self.records, self.report, self.clock = config, records, report, clock
        self.plan = config.plan
        self.scene = Scene(config.cgroup_root, config.proc_root, config.settings)
        self.watch = Watch(
            self.plan, config.cgroup_root, config.proc_root, swap=self.scene.has_swap, numa=self.scene.has_numa
        )
        self.history, self.ledger = History(), Ledger()
        self.hold = Hold(records)
        self.bells: dict[str, Bell] = {}
        self.courses: dict[str, Course] = {}
        self.wakeup_fd = wakeup_fd
        self.janitor: Janitor | None = None
        self._stopping, self._reload_path = False, ""
        self._poller = select.poll()
        self._poller.register(wakeup_fd, select.POLLIN)
        self._rung: dict[int, Bell] = {}
        self._psi = self._arm_psi()
        self._tree = Tree(config.cgroup_root, config.extra_directories)
        self._poller.register(self._tree.fileno(), select.POLLIN)
        vmstat = self.scene.vmstat()
        self._oom_kills_before = (vmstat.oom_kill if vmstat else None) or 0
        self._stability = Stability(config.critical, config.proc_root)
        self._headroom = self._swept_headroom = self._judged_headroom = self.scene.headroom()
        self._calm_looks = 0
        self._swept_at = self._judged_at = self._studied_at = self._kept_house_at = 0.0
        self._discover(self._tree.start())
        self.watch.sweep()
        report.trace(Header(at=clock.now(), version=report.version, plan=self.plan))

    # --- the loop

    def run(self) -> None:
        """Until told to stop; then nothing of ours is left behind."""
        try:
            while not self._stopping:
                self.turn()
        finally:
            self.stand_down()

    def stop(self) -> None:
        """End after this turn (a signal handler calls it)."""
        self._stopping = True

    def reload(self, path: str) -> None:
        """Read the configuration again after this turn (a signal handler calls it)."""
        self._reload_path = path

    def turn(self) -> None:
        """Sleep until something is due or rings, and see to it."""
        ready = self._poller.poll(self._pause_seconds() * 1000)
        now = self.clock.monotonic()
        for fd, _ in ready:
            self._heard(fd, now)
        if self.courses:
            self._advance_courses(now)
        for bell in [bell for bell in self.bells.values() if bell.due <= now]:
            if bell.look(now):
                self._judge_limit(bell, now)
            self._listen(bell)
        self._look_at_node(now)
        if self._headroom > 0 and not self.courses:
            self._idle(now)

    def _pause_seconds(self) -> float:
        pause = pause_seconds(max(0, self._headroom), self._calm_looks, self.config.tuning)
        if self.courses:
            pause = min(pause, COURSE_SECONDS)
        due = min((bell.due for bell in self.bells.values()), default=float("inf"))
        return max(0.0, min(pause, due - self.clock.monotonic()))

    def _heard(self, fd: int, now: float) -> None:
        bell = self._rung.get(fd)
        if bell is not None:
            self._ring(bell, now)
        elif fd == self._tree.fileno():
            self._discover(self._tree.changes())
        elif fd == self.wakeup_fd:
            os.read(fd, 64)
            self._obey()
        elif self.janitor is not None and fd == self.janitor.fd:
            self._replace_janitor(self.janitor)
        elif self._psi is not None and fd == self._psi.fd:
            self._judge_node("psi", now)

    # --- the node

    def _look_at_node(self, now: float) -> None:
        headroom = self.scene.headroom()
        self._calm_looks = self._calm_looks + 1 if headroom >= self._headroom else 0
        self._headroom = headroom
        self._swept_headroom = max(self._swept_headroom, headroom)
        self._judged_headroom = max(self._judged_headroom, headroom)
        fallen, passed = self._swept_headroom - headroom, now - self._swept_at
        if headroom <= max(0.0, fallen / max(passed, AHEAD_SECONDS) * AHEAD_SECONDS):
            if self._judgement_due(headroom, now):
                self._judge_node("tick", now)
        elif sweep_due(fallen, headroom, passed):
            self._sample(now)

    def _judgement_due(self, headroom: int, now: float) -> bool:
        if relief_is_coming(self._pending(now), -headroom, self.scene.reserve_bytes):
            return False
        fallen = self._judged_headroom - headroom
        return fallen >= self.scene.reserve_bytes // JUDGE_PART or now - self._judged_at >= JUDGE_SECONDS

    def _pending(self, now: float) -> int:
        return sum(course.pending_bytes(now) for course in self.courses.values())

    def _sample(self, now: float) -> None:
        """Sweep, and take what moved into the history."""
        moved = self.watch.sweep()
        self._swept_at, self._swept_headroom = now, self._headroom
        snapshot = self.scene.snapshot(self.clock.now(), containers(w for w in moved if w.read()), (), reclaim=False)
        self._learn(snapshot)

    def _learn(self, snapshot: Snapshot) -> None:
        """Into the history, without a decision; the trace says so."""
        self.history = observe(self.history, snapshot, tuple(domains(snapshot, self.plan)))
        self.report.trace(Reading(snapshot=snapshot, domain=LEARNING))

    def _judge_node(self, source: str, now: float) -> None:
        """Hold the suspects, rank, and act on the one that is chosen."""
        trigger = Trigger(source, self.clock.monotonic)
        self._judged_at, self._judged_headroom = now, self._headroom
        if now - self._swept_at > FRESH_SECONDS:
            self._sample(now)
        front = self.watch.glance_at_front()
        try:
            if self.config.tuning.hold and source == "tick":
                self.hold.take(growers(front))
                trigger.mark("held")
            ranking = self._decide(shortlist(front), (), trigger, reclaim=source == "psi")
            if ranking.best is None and ranking.pressure.calls_for_action:
                self._decide(front, (), trigger)
        finally:
            self.hold.release()

    # --- limits

    def _ring(self, bell: Bell, now: float) -> None:
        if bell.ring(now):
            if bell.due <= now:
                self.history = forget_gauge(self.history, bell.domain)
                self.report.trace(Event(at=self.clock.now(), kind="line", subject=bell.domain))
            self._judge_limit(bell, now)
        self._listen(bell)

    def _judge_limit(self, bell: Bell, now: float) -> None:
        """A container's or pod's own limit: only those inside it are asked."""
        trigger = Trigger("line", self.clock.monotonic)
        inside = self.watch.inside(bell.cgroup.path)
        reading = None if bell.domain.startswith("container:") else read_boundary(bell.cgroup, "pod")
        self._decide(inside, (reading,) if reading else (), trigger, within=bell.domain)
        if any(ward.id in self.courses for ward in inside):
            bell.rest(now)

    def _listen(self, bell: Bell) -> None:
        """In the poll set only while armed: at the limit the file rings 15 times a second even without a line."""
        fd = bell.fileno()
        if bell.state in ("armed", "probation") and fd >= 0:
            if fd not in self._rung:
                self._poller.register(fd, select.POLLPRI)
                self._rung[fd] = bell
        else:
            self._deafen(bell)

    def _deafen(self, bell: Bell) -> None:
        for fd in [fd for fd, other in self._rung.items() if other is bell]:
            self._poller.unregister(fd)
            del self._rung[fd]

    # --- deciding and acting

    def _decide(
        self,
        wards: list[Ward],
        pods: tuple[CgroupReading, ...],
        trigger: Trigger,
        *,
        within: str | None = None,
        reclaim: bool = False,
    ) -> Ranking:
        """Read these wards, judge them, and act on the one that is chosen."""
        present = {ward.id: ward for ward in wards if ward.id not in self.courses and ward.read()}
        snapshot = self.scene.snapshot(self.clock.now(), containers(present.values()), pods, reclaim=reclaim)
        trigger.mark("read")
        self.history, ranking = judge(self.history, snapshot, self.plan, self._refusals(present.values()), within)
        trigger.mark("ranked")
        self.report.trace(Reading(snapshot=snapshot, domain=within))
        victim = ranking.victim
        if victim is None:
            self.report.nobody(ranking)
            return ranking
        ward = present[victim.container.id]
        action = choose_action(ranking, victim, ward.rule)
        if ward.forbidden is None:
            self._act(ranking, ward, action, trigger)
        else:
            self.report.would(ranking, action, ward.forbidden, trigger)
        return ranking

    def _refusals(self, wards: Iterable[Ward]) -> dict[str, str]:
        if not self.ledger.kills:
            return {}
        now = self.clock.monotonic()
        asked = ((ward.id, self.ledger.refusal(ward.container, self.plan.budget, now)) for ward in wards)
        return {key: reason for key, reason in asked if reason is not None}

    def _act(self, ranking: Ranking, ward: Ward, action: Action, trigger: Trigger) -> None:
        victim = ranking.candidates[0]
        now = self.clock.monotonic()
        course = Course(ward, victim.freed_bytes, now)
        course.action = "terminate" if action == "terminate" and self._terminated(course) else "kill"
        if course.action == "kill" and not course.kill():
            self.report.refused(ranking, course)
            return
        trigger.mark("acted")
        self.hold.release()
        self.ledger = self.ledger.spend(ward.container, self.plan.budget, now)
        self.courses[ward.id] = course
        at = ranking.taken_at.timestamp()
        self.history = after_victim(self.history, at, foreign=ranking.foreign_growth)
        self._poller.register(course.fd, select.POLLPRI)
        course.decision = self.report.decided(self._with_the_rest(ranking), action, course.action, trigger)

    def _with_the_rest(self, ranking: Ranking) -> Ranking:
        """For the record, after the deed: how those of the front stood that were not on the shortlist."""
        known = {candidate.container.id for candidate in ranking.candidates}
        others = containers(ward for ward in self.watch.front if ward.id not in known)
        snapshot = self.scene.snapshot(ranking.taken_at, others, (), reclaim=False)
        rest = rank(self.history, snapshot, self.plan, ranking.domain, ranking.pressure)
        return msgspec.structs.replace(ranking, candidates=ranking.candidates + rest.candidates)

    def _terminated(self, course: Course) -> bool:
        """Thaw it first: who stands still cannot hear the signal."""
        self.hold.release()
        rule = course.ward.rule
        return course.terminate(signal.Signals[rule.stop_signal], rule.grace_seconds, self.config.proc_root)

    def _advance_courses(self, now: float) -> None:
        for key, course in list(self.courses.items()):
            if course.overdue(now) or (course.stage == "terminating" and self._margin_is_short(course)):
                course.kill()
            if course.advance(now):
                del self.courses[key]
                self._poller.unregister(course.fd)
                self.report.finished(course, self.scene.headroom())
                for name in self._stability.lost():
                    self.report.say("alarm", reason=f"the critical process {name} is gone", decision=course.decision)
                self.report.trace(
                    Outcome(
                        at=self.clock.now(),
                        victim=key,
                        action=course.action,
                        freed_bytes=course.freed_bytes,
                        seconds=course.seconds,
                        complete=course.stage == "ended",
                    )
                )

    def _margin_is_short(self, course: Course) -> bool:
        """Half of what was left when the stop signal was sent is used up: no more waiting."""
        bell = self.bells.get(course.ward.cgroup.path)
        if bell is None:
            return self._headroom < -self.scene.reserve_bytes // 2
        used = bell.cgroup.unreclaimable()
        return used is not None and used > (bell.line_bytes + bell.limit_bytes) // 2

    # --- who is there

    def _discover(self, changes: Iterable[Change]) -> None:
        for change in changes:
            if change.kind == "removed":
                self._forget(change.path)
            elif change.container is not None or self.config.watches(change.path):
                self._welcome(change.path)

    def _welcome(self, path: str) -> None:
        found = parse_container_path(path)
        identity = self.config.identify(path, found.container_id if found else path)
        ward = self.watch.add(path, identity, self.clock.now(), self.clock.monotonic())
        if ward is not None and self.config.tuning.lines:
            self._hang_bell(ward, ward.cgroup, f"container:{ward.id}")
            if found is not None and found.pod_path and found.pod_path not in self.bells:
                self._hang_bell(ward, Cgroup(found.pod_path, self.config.cgroup_root), f"pod:{found.pod_path}")

    def _hang_bell(self, ward: Ward, cgroup: Cgroup, domain: str) -> None:
        limit = cgroup.max()
        if not may_guard(ward, limit) or limit is None:
            return
        bell = Bell(cgroup, domain, limit, self.records, settings=self.plan.settings, tuning=self.config.tuning)
        outcome = bell.arm()
        if outcome.ok:
            self.bells[cgroup.path] = bell
            self._listen(bell)
        else:
            self.report.unarmed(domain, outcome)

    def _forget(self, path: str) -> None:
        bell = self.bells.pop(path, None)
        if bell is not None:
            self._deafen(bell)
            bell.lift()
        if not any(course.ward.cgroup.path == path for course in self.courses.values()):
            self.watch.remove(path)

    # --- quiet times

    def _idle(self, now: float) -> None:
        if now - self._studied_at >= STUDY_SECONDS:
            self._studied_at = now
            ward = self.watch.study_next(self.clock.now(), now)
            self._sample_one(ward)
        if now - self._kept_house_at >= HOUSEKEEPING_SECONDS:
            self._kept_house_at = now
            self._keep_house()
        self.report.flush()

    def _sample_one(self, ward: Ward | None) -> None:
        snapshot = self.scene.snapshot(self.clock.now(), containers([ward] if ward else []), (), reclaim=False)
        self._learn(snapshot)

    def _keep_house(self) -> None:
        for bell in self.bells.values():
            outcome = bell.check() if bell.state == "armed" else None
            if outcome is not None and outcome.verdict != "unchanged":
                self.report.line_changed(bell.domain, outcome)
            self._listen(bell)
        self._publish()
        gc.collect()

    def _publish(self) -> None:
        if self.config.textfile is None:
            return
        vmstat = self.scene.vmstat()
        states = [bell.state for bell in self.bells.values()]
        gauges = {
            "memguard_node_headroom_bytes": self._headroom,
            "memguard_containers": len(self.watch),
            "memguard_unmapped_containers": sum(not ward.container.mapped for ward in self.watch.wards.values()),
            "memguard_kernel_oom_kills_total": ((vmstat.oom_kill if vmstat else None) or 0) - self._oom_kills_before,
            "memguard_journal_dropped_lines_total": self.report.dropped_lines,
            "memguard_guard_cpu_seconds_total": time.process_time(),
            "memguard_last_look_timestamp_seconds": round(self.clock.now().timestamp(), 3),
        }
        self.report.publish(self.config.textfile, gauges, {state: states.count(state) for state in set(states)})

    def _arm_psi(self) -> PsiTrigger | None:
        if not self.config.tuning.psi:
            return None
        trigger = arm_trigger(
            f"{self.config.proc_root}/pressure/memory",
            threshold_seconds=PSI_THRESHOLD_SECONDS,
            window_seconds=PSI_WINDOW_SECONDS,
        )
        if isinstance(trigger, str):
            self.report.say("unavailable", what="PSI trigger", reason=trigger)
            return None
        self._poller.register(trigger.fd, select.POLLPRI)
        return trigger

    def employ(self, janitor: Janitor) -> None:
        """Watch over the janitor: without one no line may stand."""
        self.janitor = janitor
        self._poller.register(janitor.fd, select.POLLIN)

    def _replace_janitor(self, dead: Janitor) -> None:
        self._poller.unregister(dead.fd)
        dead.bury()
        self.report.say("alarm", reason="the janitor died; a new one takes its place")
        janitor = spawn_janitor()
        janitor.brief(self.config.cgroup_root, self.config.run_directory)
        self.employ(janitor)

    def _obey(self) -> None:
        if not self._reload_path:
            return
        path, self._reload_path = self._reload_path, ""
        try:
            self.follow(load_config(path))
        except ConfigError as error:
            self.report.say("reload", ok=False, reason=f"{error} The last good configuration stays in force.")
        else:
            self.report.say("reload", ok=True, mode=self.config.mode)

    def follow(self, config: Config) -> None:
        """A new configuration: bells and rules follow it; what is under way goes on."""
        self.config, self.plan = config, config.plan
        self.watch.follow(self.plan)
        for path in list(self.bells):
            bell = self.bells.pop(path)
            self._deafen(bell)
            bell.lift()
        for path, ward in list(self.watch.wards.items()):
            identity = config.identify(path, ward.id)
            ward.assume(identity, self.plan)
            if config.tuning.lines:
                self._hang_bell(ward, ward.cgroup, f"container:{ward.id}")
        self.report.trace(Header(at=self.clock.now(), version=self.report.version, plan=self.plan))

    def stand_down(self) -> None:
        """Thaw and lift everything; what is being killed is killed anyway."""
        self.hold.release()
        for bell in self.bells.values():
            bell.lift()
        self.report.flush()
