"""The guard's loop: one thread, asleep in poll(2) until something rings or is due.

The nouns are elsewhere: lookout (node and kubepods), limits (lines under containers and pods), court (decide and act),
discovery and watch (who is there). Here is only the order in which they get their turn.
"""

from __future__ import annotations

import gc
import os
import time

from memguard.core.link import Capability
from memguard.core.policy import Plan, Settings
from memguard.core.trace import Header
from memguard.errors import ConfigError, MemguardError
from memguard.guard.bell import NEVER
from memguard.guard.clock import Clock
from memguard.guard.config import Config, load_config
from memguard.guard.course import Course
from memguard.guard.court import Court, check_stability
from memguard.guard.dialogue import Address, Dialogue
from memguard.guard.discovery import Discovery
from memguard.guard.ears import MESSAGE, Ears
from memguard.guard.fitness import Fitness, capabilities
from memguard.guard.heir import Heir
from memguard.guard.hold import Hold
from memguard.guard.kills import KernelKills
from memguard.guard.limits import Limits
from memguard.guard.lookout import Lookout
from memguard.guard.outbox import Outbox
from memguard.guard.report import Report
from memguard.guard.roster import Roster
from memguard.guard.scene import Scene
from memguard.guard.spending import Spending
from memguard.guard.stability import Stability
from memguard.guard.supervisor import Post
from memguard.guard.ward import Terms, Ward
from memguard.guard.watch import Watch, sampled
from memguard.kernel.compaction import allow_moves
from memguard.kernel.psi import arm_trigger
from memguard.kernel.record import Records
from memguard.kernel.selfguard import Applied, keep_pages_in_place

#: Between two looks while a victim is on its way out.
COURSE_SECONDS = 0.003
#: Between two ward studies (about 1 ms in virtual time): O(1) whatever the number of containers. Far from danger only
#: those that came lately are studied soon again.
STUDY_SECONDS, FAR_STUDY_SECONDS = 0.5, 20.0
#: Far from danger is where this many reserves are left.
FAR_RESERVES = 4
HOUSEKEEPING_SECONDS = 10.0
#: PSI `some` this long within the window wakes the guard (braking.md: 50-100 ms per 500 ms).
PSI_THRESHOLD_SECONDS, PSI_WINDOW_SECONDS = 0.075, 0.5


class Guard:
    """One machine's guard. `config` may be replaced while it runs (`follow`).

    With an `address` its plan and the containers' names come from an agent; until they do it only observes.
    """

    def __init__(
        self, config: Config, records: Records, report: Report, clock: Clock, *, wakeup_fd: int,
        address: Address | None = None,
    ) -> None:  # fmt: skip
        self.config, self.report, self.clock = config, report, clock
        plan = Plan() if address else config.plan
        #: what was done for the guard's own survival; the second changes with the plan
        self.measures: tuple[Applied, ...] = ()
        self.kept_in_place: tuple[Applied, ...] = ()
        self._no_psi = ""
        self.turns, self.awake_seconds = 0, 0.0
        self.ears = Ears()
        self.scene = Scene(config.cgroup_root, config.proc_root, plan.settings)
        self.kills = KernelKills(self.scene.vmstat)
        roster = Roster() if address else None
        self.fitness = Fitness(config.cgroup_root, roster, clock)
        self.watch = Watch(
            Terms(plan, self.fitness.why_not()),
            config.cgroup_root,
            config.proc_root,
            swap=self.scene.has_swap,
            numa=self.scene.has_numa,
            trouble=report.trouble,
        )
        self._records, self.hold = records, Hold(records)
        spending = Spending(records.directory, clock.monotonic())
        self.court = Court(self.scene, self.watch, self.hold, spending, ears=self.ears, report=report, clock=clock)
        self.heir = Heir(
            Post(config.run_directory) if address else None,
            (config.cgroup_root, records.directory),
            ears=self.ears, report=report, changed=self._hang_all,
        )  # fmt: skip
        self.limits = Limits(
            config.tuning, self.watch, self.court, self.heir, records, ears=self.ears, report=report, clock=clock
        )
        self._stability = Stability(config.critical, config.proc_root)
        self.dialogue: Dialogue | None = None
        if address and roster:
            report.outbox = Outbox(records.directory, clock.today)
            self.dialogue = Dialogue(self, address, roster, report.outbox)
        self._roster = roster
        self.discovery = Discovery(
            config, (roster or config).identify, self.watch, self.court, self.limits,
            clock=clock, trouble=report.trouble,
        )  # fmt: skip
        self.lookout = Lookout(
            self.scene, self.watch, self.court, self.hold,
            tuning=config.tuning, ears=self.ears, report=report, clock=clock,
        )  # fmt: skip
        self._parts = (self._follow_courses, self.limits.look, self.lookout.look, self._idle)
        self._wakeup_fd = wakeup_fd
        self._stopping, self._reload_path = False, ""
        self._studied_at = self._kept_house_at = 0.0
        self.ears.listen(wakeup_fd, self._obey, MESSAGE)
        self._listen_to_the_tree()
        self._arm_psi()
        report.trace(Header(at=clock.now(), version=report.version, plan=plan))

    @property
    def plan(self) -> Plan:
        """The plan in force."""
        return self.watch.terms.plan

    def run(self) -> None:
        """Until told to stop; then nothing of ours is left behind."""
        try:
            while not self._stopping:
                self.turn()
        finally:
            self.hold.release()
            self.limits.forget_all()
            self._let_pages_move()
            self.report.flush()
            if self.dialogue is not None:
                self.dialogue.close()

    def turn(self) -> None:
        """Sleep until something is due or rings, and see to it."""
        ready = self.ears.sleep(self._pause_seconds())
        now = self.clock.monotonic()
        for part in (*ready, *self._parts):
            try:
                part(now)
            except (MemguardError, OSError) as error:  # one container's trouble must never end the guard
                self.report.trouble(str(error))
        self.turns += 1
        self.awake_seconds += self.clock.monotonic() - now

    def stop(self) -> None:
        """End after this turn (a signal handler calls it)."""
        self._stopping = True

    def reload(self, path: str) -> None:
        """Read the configuration again after this turn (a signal handler calls it)."""
        self._reload_path = path

    def follow(self, config: Config) -> None:
        """A new configuration: rules and lines follow it; what is under way goes on."""
        if config.tuning != self.config.tuning:
            self.limits.forget_all(but_brakes=True)
        self.config = config
        self.limits.tuning = self.lookout.tuning = config.tuning
        self.discovery.follow(config, (self._roster or config).identify)
        self.adopt(self.plan if self.dialogue else config.plan)

    def adopt(self, plan: Plan) -> None:
        """A new plan: from now on nothing is done that it does not allow."""
        self._adopt(Terms(plan, self.fitness.why_not(self.watch.wards.values())))

    def _adopt(self, terms: Terms) -> None:
        before, plan = self.plan.settings, terms.plan
        self.scene.settings = plan.settings
        self.scene.refresh()
        self.discovery.adopt(terms)
        if _margin(before) != _margin(plan.settings):
            self.limits.forget_all(but_brakes=True)
        self._hang_all()
        self.report.trace(Header(at=self.clock.now(), version=self.report.version, plan=plan))
        self.keep_in_place()
        for measure in self.kept_in_place:
            if not measure.ok:
                self.report.trouble(f"{measure.measure}: {measure.detail}")

    def ward_of(self, container_id: str) -> Ward | None:
        """The container with this id."""
        return next((ward for ward in self.watch.wards.values() if ward.id == container_id), None)

    def capabilities(self) -> tuple[Capability, ...]:
        """What this guard can do here."""
        measures = (*self.measures, *self.kept_in_place)
        return capabilities(self.config.cgroup_root, measures, psi=self._no_psi, supervised=self.heir.present)

    def keep_in_place(self) -> None:
        """From now on compaction must not move the guard's pages, if it may act at all and is to be quick."""
        if self.plan.acts and self.config.tuning.pages_stay:
            self.kept_in_place = (keep_pages_in_place(self.config.sysctls, self._records.directory),)
        else:
            self._let_pages_move()
            self.kept_in_place = ()

    def _let_pages_move(self) -> None:
        """Compaction may move our pages again, if it was we who forbade it."""
        if problem := allow_moves(self._records.directory):
            self.report.trouble(problem)

    def _pause_seconds(self) -> float:
        pause, due = self.lookout.pause_seconds, self.limits.next_due
        if due < NEVER:
            pause = max(0.0, min(pause, due - self.clock.monotonic()))
        return min(pause, COURSE_SECONDS) if self.court.courses else pause

    def _follow_courses(self, now: float) -> None:
        if not self.court.courses:
            return
        self.limits.check_brakes()
        for course in self.court.courses.values():
            if course.stage != "terminating":
                continue
            if course.ward.forbidden is not None:  # since its signal: an emergency stop, another policy
                self.report.say("abandoned", victim=course.ward.container.title, reason=course.ward.forbidden)
                course.abandon(now)
            elif course.overdue(now) or self._time_is_short(course):
                self.limits.release_brakes(course, now)
                course.kill(now)
                self.report.stepped("kill")
        for course in self.court.advance(now):
            self.limits.release_brakes(course, now)
            check_stability(self._stability, course, self.report)
            if not course.ward.cgroup.alive():
                self.discovery.renew(course.ward.cgroup.path)

    def _time_is_short(self, course: Course) -> bool:
        """Half of the margin or of the reserve is gone: no more waiting for a stop signal to have its effect."""
        return self.limits.margin_is_short(course) or self.lookout.headroom < -self.scene.reserve_bytes // 2

    # --- quiet times

    def _idle(self, now: float) -> None:
        if not self.lookout.at_rest(now):
            self.report.relieve()
            return
        if now - self._studied_at >= self._study_pause:
            self._studied_at = now
            ward = self.watch.study_next(self.clock.now(), now)
            if ward is not None:
                self.limits.renew(ward)  # a runtime sets memory.max after it made the directory
            seen = sampled([ward] if ward else [])
            self.court.learn(self.scene.snapshot(self.clock.now(), seen, (), with_vmstat=True))
        if now - self._kept_house_at >= HOUSEKEEPING_SECONDS:
            self._kept_house_at = now
            self._keep_house()
        if self.dialogue is not None:
            self.dialogue.speak(now)
        self.report.flush()

    def _keep_house(self) -> None:
        self.scene.refresh()
        self.watch.swap = self.scene.has_swap
        self.heir.check()
        self.limits.check(self.discovery.turn_of_some())
        self._listen_to_the_tree()
        self._stability.lost()  # what ended in quiet times is no victim's doing
        for kill in self.kills.look(self.watch.wards.values()):
            self.report.kernel_killed(kill)
        self._check_fitness()
        self._publish()
        if not self.court.courses:
            gc.collect()

    @property
    def _study_pause(self) -> float:
        far = self.lookout.headroom > FAR_RESERVES * self.scene.reserve_bytes
        return FAR_STUDY_SECONDS if far and not self.watch.has_fresh else STUDY_SECONDS

    def _publish(self) -> None:
        if self.config.textfile is None:
            return
        gauges = {
            "memguard_node_headroom_bytes": self.lookout.headroom,
            "memguard_containers": len(self.watch),
            "memguard_unmapped_containers": sum(map(self.fitness.is_unmapped, self.watch.wards.values())),
            "memguard_kernel_oom_kills_total": self.kills.total,
            "memguard_journal_dropped_lines_total": self.report.dropped_lines,
            "memguard_guard_cpu_seconds_total": time.process_time(),
            "memguard_last_look_timestamp_seconds": round(self.clock.now().timestamp(), 3),
        }
        self.report.publish(self.config.textfile, gauges, self.limits.states)

    def _check_fitness(self) -> None:
        """A node that is not understood is only observed, until it is."""
        unfit = self.fitness.why_not(self.watch.wards.values())
        if unfit != self.watch.terms.unfit:
            self.report.say("fitness", ok=unfit is None, reason=unfit)
            self._adopt(Terms(self.plan, unfit))

    # --- the outside

    def _listen_to_the_tree(self) -> None:
        """Again and again: where tenants had taken all of inotify there may be some now."""
        self.ears.listen(self.discovery.fileno(), self.discovery.look, MESSAGE)

    def _arm_psi(self) -> None:
        if not self.config.tuning.psi:
            return
        trigger = arm_trigger(
            f"{self.config.proc_root}/pressure/memory",
            threshold_seconds=PSI_THRESHOLD_SECONDS,
            window_seconds=PSI_WINDOW_SECONDS,
        )
        if isinstance(trigger, str):
            self._no_psi = trigger
            self.report.say("unavailable", what="PSI trigger", reason=trigger)
        else:
            self.ears.listen(trigger.fd, lambda now: self.lookout.judge("psi", now))

    def _obey(self, _: float) -> None:
        os.read(self._wakeup_fd, 64)
        if not self._reload_path:
            return
        path, self._reload_path = self._reload_path, ""
        try:
            self.follow(load_config(path))
        except ConfigError as error:
            self.report.say("reload", ok=False, reason=f"{error} The last good configuration stays in force.")
        else:
            self.report.say("reload", ok=True, mode=self.plan.mode)

    def _hang_all(self) -> None:
        """Lines wherever they are wanted, and nowhere else."""
        self.limits.check(self.watch.wards.values())


def _margin(settings: Settings) -> tuple[float, int]:
    """What the height of a line depends on."""
    return settings.margin_ratio, settings.margin_bytes
