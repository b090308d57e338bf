"""The lookout over the node and kubepods: ticks by the headroom, sweeps as it falls, and a judgement at the reserve."""

from __future__ import annotations

from memguard.core.ladder import relief_is_coming
from memguard.guard.clock import Clock
from memguard.guard.config import Tuning
from memguard.guard.court import Court
from memguard.guard.ears import Ears
from memguard.guard.hold import Hold
from memguard.guard.notice import Notices
from memguard.guard.pace import pause_seconds, still, sweep_due
from memguard.guard.report import Report
from memguard.guard.scene import Scene
from memguard.guard.squeeze import Squeeze, coldest
from memguard.guard.trigger import Trigger
from memguard.guard.ward import Ward
from memguard.guard.watch import Watch, growers, sampled, shortlist

#: The reserve is reached for the guard when it will be before it could act after its next look: tick and decision.
AHEAD_SECONDS = 0.004
#: A new judgement when this part of the reserve is gone since the last one, ...
JUDGE_PART = 64
#: ... or after this long while the alarm lasts.
JUDGE_SECONDS = 0.05
#: Growth is judged on a sweep that is not older than this.
FRESH_SECONDS = 0.1


class Lookout:
    """Headroom, in bytes above the nearest reserve, and what was last done about it."""

    def __init__(
        self, scene: Scene, watch: Watch, court: Court, hold: Hold, *, tuning: Tuning, ears: Ears, report: Report,
        clock: Clock,
    ) -> None:  # fmt: skip
        self.tuning = tuning
        self.headroom = self._swept_headroom = self._judged_headroom = scene.headroom()
        self._scene, self._watch, self._court, self._hold = scene, watch, court, hold
        self._ears, self._report, self._clock = ears, report, clock
        self._notices, self._squeeze = Notices(watch.proc_root, ears), Squeeze(ears, self._squeezed)
        self._calm_looks = 0
        self._swept_at = self._judged_at = 0.0

    @property
    def pause_seconds(self) -> float:
        """Until the next look."""
        return pause_seconds(max(0, self.headroom), self._calm_looks, self.tuning)

    def at_rest(self, now: float) -> bool:
        """Is there time for other things: above the reserve, or between two judgements of a lasting alarm?"""
        return self.headroom > 0 or now - self._judged_at > JUDGE_SECONDS / 2

    def look(self, now: float) -> None:
        """One tick."""
        headroom = self._scene.headroom()
        self._calm_looks = self._calm_looks + 1 if still(self.headroom, headroom) else 0
        self.headroom = headroom
        self._swept_headroom = max(self._swept_headroom, headroom)
        self._judged_headroom = max(self._judged_headroom, headroom)
        fallen, passed = self._swept_headroom - headroom, now - self._swept_at
        if headroom <= max(0.0, fallen / max(passed, AHEAD_SECONDS) * AHEAD_SECONDS):
            if self._judgement_due(now):
                self.judge("tick", now)
            return
        self._ease(now)
        if sweep_due(fallen, headroom, passed):
            self._sample(now)

    def judge(self, source: str, now: float) -> None:
        """Hold the suspects, rank, and act on the one that is chosen; unless what is under way will do.

        With half of the reserve gone it is not waited for, but then only another culprit dies beside the first: memory
        comes back within a third of a second, and innocents would have died for nothing.
        """
        pending = self._court.pending_bytes(now)
        if relief_is_coming(pending, -self.headroom, self._scene.reserve_bytes):
            return
        guilty_only = pending > 0 and pending >= -self.headroom
        trigger = Trigger(source, self._clock.monotonic)
        self._judged_at, self._judged_headroom = now, self.headroom
        if now - self._swept_at > FRESH_SECONDS:
            self._sample(now)
        front = self._watch.glance_at_front()
        try:
            if self.tuning.hold and source == "tick":
                self._hold.take(ward for ward in growers(front) if self._court.may_act(ward))
                trigger.mark("held")
                self._report.stepped("hold", len(self._hold))
            few = shortlist(front)
            ranking = self._court.decide(few, trigger, with_vmstat=source == "psi", guilty_only=guilty_only)
            if len(few) < len(front) and ranking.best is None and ranking.pressure.calls_for_action:
                self._court.decide(front, trigger, guilty_only=guilty_only)
        finally:
            self._hold.release()

    def _judgement_due(self, now: float) -> bool:
        """Where nobody may be acted on, judging at each step would only take CPU from those who could free memory."""
        fallen = self._judged_headroom - self.headroom
        urgent = fallen >= self._scene.reserve_bytes // JUDGE_PART and any(map(self._court.may_act, self._watch.front))
        return urgent or now - self._judged_at >= JUDGE_SECONDS

    def _sample(self, now: float) -> None:
        """Sweep, and take what moved into the history."""
        moved = self._watch.sweep()
        self._swept_at, self._swept_headroom = now, self.headroom
        seen = sampled(ward for ward in moved if ward.read())
        self._court.learn(self._scene.snapshot(self._clock.now(), seen, (), with_vmstat=True))

    def _ease(self, now: float) -> None:
        """Less than a second reserve is left: tell those that asked for it, and push cold memory into swap."""
        reserve = self._scene.reserve_bytes
        if self.headroom > 2 * reserve:
            self._notices.over()
        if self.headroom >= reserve:
            return
        for ward in self._notices.warn(self._watch.asking, self.headroom) if self._watch.asking else ():
            self._report.stepped("notify")
            self._report.say("notice", victim=ward.container.title, headroomBytes=self.headroom)
        cold = coldest(self._watch.front) if self._scene.has_swap and self._squeeze.due(now) else None
        if cold is not None:
            self._squeeze.start(cold, now)

    def _squeezed(self, ward: Ward, freed_bytes: int) -> None:
        self._report.stepped("reclaim")
        self._report.say("reclaim", victim=ward.container.title, freedBytes=freed_bytes)
