"""The bell: a line under a container's or a pod's own limit, and what to make of it when it rings.

Page cache crosses a line all day (50-60 times a second); then the line is lifted and the bell rests for a while, and
a tick of its own watches the margin meanwhile. Only where acting is allowed: a line without a kill behind it is an
endless crawl.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from memguard.core.domain import margin
from memguard.core.policy import Settings
from memguard.guard.config import Tuning
from memguard.guard.pace import pause_seconds
from memguard.kernel.brake import Line
from memguard.kernel.cgroup import Cgroup
from memguard.kernel.files import UNLIMITED
from memguard.kernel.outcome import Outcome
from memguard.kernel.record import Records

#: After a false alarm: 0.5 wake-ups a second, no measurable slowdown of the cache user (braking.md).
REST_SECONDS = 2.0
#: A doubtful suspect is watched under the brake for at most this long; less where swap exists, since the brake would
#: push its memory out.
PROBATION_SECONDS = 0.5
PROBATION_WITH_SWAP_SECONDS = 0.1
#: ... but never with fewer looks than a judgement needs: on an emulated node each took 25 ms, and a hog was let go
#: after four, to be killed 11 MiB further on without a stop signal.
PROBATION_LOOKS = 8
#: Unreclaimable memory this close under the line is an alarm: the kernel reclaims a little before it gives in.
SLACK_BYTES = 4 << 20
#: Between two looks during probation.
LOOK_SECONDS = 0.005
#: Between two judgements of one that sits in its margin and does not grow.
REJUDGE_SECONDS = 0.05
NEVER = float("inf")

State = Literal["off", "armed", "probation", "braking", "resting"]


class Bell:
    """The line under one limit. `due` is when it wants to be looked at; `state` what it is doing.

    `may_stand`: may the line, which was lifted, be put up again?
    """

    def __init__(
        self,
        cgroup: Cgroup,
        domain: str,
        limit_bytes: int,
        records: Records,
        *,
        settings: Settings,
        tuning: Tuning,
        may_stand: Callable[[], bool] = lambda: True,
    ) -> None:
        self.cgroup = cgroup
        self.domain = domain
        self.limit_bytes = limit_bytes
        self.line_bytes = limit_bytes - margin(limit_bytes, settings)
        self.state: State = "off"
        self.due = NEVER
        self.probation_seconds = PROBATION_SECONDS
        self._tuning, self._may_stand = tuning, may_stand
        self._line = Line(cgroup, records)
        self._until = self._judged_at = 0.0
        self._looks = 0
        self._judged_bytes = self._braked_bytes = 0
        self._held_at: float | None = None
        self._held_seconds = 0.0

    @property
    def short_bytes(self) -> int:
        """With so much used, a stop signal had its time: half of the margin is gone, or of what was left of it then."""
        return (max(self.line_bytes, self._braked_bytes) + self.limit_bytes) // 2

    def fileno(self) -> int:
        """memory.events.local, to poll for POLLPRI while armed."""
        return self.cgroup.file("memory.events.local").fileno()

    def arm(self) -> Outcome:
        """Put the line up; reading the events first arms their notification."""
        self.cgroup.events_local()
        outcome = self._line.arm(self.line_bytes)
        if outcome.ok:
            self.state, self.due = "armed", NEVER
        return outcome

    def check(self, now: float) -> Outcome:
        """Is the line still there? systemd's set-property takes it away without a word; somebody else's stays."""
        outcome = self._stranger() if self.state == "resting" else self._line.check()
        if self.state == "braking":
            return outcome  # with or without a line, the margin is watched until the stop signal had its time
        if outcome.verdict in ("foreign", "vanished"):
            self.state, self.due = "off", NEVER
        elif outcome.verdict == "done" and (outcome.value_bytes or 0) > self.line_bytes:
            self.rest(now)  # full of cache meanwhile: a line at the limit itself would never ring
        return outcome

    def ring(self, now: float) -> bool:
        """The line was crossed: True if by memory that stays, and then a probation begins; else the bell rests."""
        self.cgroup.events_local()
        if self.state != "armed":
            return self.state == "probation"
        used = self.cgroup.unreclaimable()
        if used is None or used < self.line_bytes - SLACK_BYTES:
            self.rest(now)
            return False
        self.state, self.due, self._until = "probation", now, now + self.probation_seconds
        self._looks, self._held_at = 0, now
        return True

    def look(self, now: float) -> bool:
        """Its time has come: True if the domain is to be judged now."""
        if self.state == "probation":
            self.due = now + LOOK_SECONDS
            self._looks += 1
            if now >= self._until and self._looks > PROBATION_LOOKS:
                self.rest(now)
            return self.state == "probation"
        used = self.cgroup.unreclaimable()
        if used is None:
            self.state, self.due = "off", NEVER
            return False
        if used >= self.line_bytes:
            self.due = now + pause_seconds(self.limit_bytes - used, 0, self._tuning)
            return self._worth_judging(used, now)
        if now < self._until or not self._rearmed():
            self.due = now + max(LOOK_SECONDS, pause_seconds(self.line_bytes - used, 0, self._tuning))
        return False

    def held_seconds(self, now: float) -> float:
        """How long it has been a brake, in all."""
        return self._held_seconds + (0.0 if self._held_at is None else now - self._held_at)

    def brake(self, now: float) -> None:
        """The line is the brake while a stop signal has its time; nobody listens to it meanwhile.

        It may have been lifted, with the margin in use already: then it stands where memory.current is now.
        """
        if not self._line.armed:
            self._line.arm(self.line_bytes)
        self._braked_bytes = self.cgroup.unreclaimable() or 0
        self.state, self.due = "braking", NEVER
        self._held_at = now if self._held_at is None else self._held_at

    def rest(self, now: float) -> None:
        """Lift the line, come back later, and watch the margin by ticks meanwhile."""
        self._line.lift()
        self._held_seconds, self._held_at = self.held_seconds(now), None
        self._braked_bytes = 0
        self.state, self.due, self._until = "resting", now + LOOK_SECONDS, now + REST_SECONDS

    def lift(self) -> Outcome:
        """Take the line away for good."""
        self.state, self.due = "off", NEVER
        return self._line.lift()

    def _stranger(self) -> Outcome:
        """While our line rests, whatever stands there is somebody else's; or ours, which could not be lifted."""
        if self._line.armed:
            return self._line.lift()
        high = self.cgroup.high()
        if high is None or high == UNLIMITED:
            return Outcome("unchanged")
        return Outcome("foreign", "memory.high was set by somebody else", high)

    def _worth_judging(self, used_bytes: int, now: float) -> bool:
        """It rose since it was judged, or some time has passed: one that only sits there is not judged all the time."""
        if used_bytes <= self._judged_bytes and now - self._judged_at < REJUDGE_SECONDS:
            return False
        self._judged_bytes, self._judged_at = used_bytes, now
        return True

    def _rearmed(self) -> bool:
        """The line can stand again once memory.current is below it: the write itself must not reclaim."""
        return (self.cgroup.current() or UNLIMITED) < self.line_bytes and self._may_stand() and self.arm().ok
