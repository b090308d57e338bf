"""An action under way: from the stop signal or the kill until the memory is back, or it is clear that it won't be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from memguard.core.domain import Domain
from memguard.core.ladder import KILL_SECONDS
from memguard.core.policy import Action
from memguard.core.timeline import TimelinePoint, point_due
from memguard.guard.ward import Ward
from memguard.kernel.kill import Kill
from memguard.kernel.signals import signal_init

#: Memory that did not come back within this time is not counted as coming any more (D state, tmpfs).
PENDING_SECONDS = 2.0
#: Runnable victims are empty after 21-78 ms; those that are not by now are helped by process_mrelease.
RELEASE_SECONDS = 0.1
#: After this nothing more is expected of a kill.
GIVE_UP_SECONDS = 10.0

Stage = Literal["terminating", "killing", "ended", "abandoned"]


class Course:
    """One victim on its way out. `action` is what was done first, `decision` the id under which it was reported.

    `domain`: the boundary that it goes for, as it was then. `timeline`: how its memory came back.
    """

    def __init__(self, ward: Ward, domain: Domain, expected_bytes: int, started: float) -> None:
        self.ward = ward
        self.domain = domain
        self.expected_bytes = expected_bytes
        self.started = started
        self.action: Action = "kill"
        self.decision = ""
        self.stage: Stage = "killing"
        self.seconds = 0.0
        self.freed_bytes = 0
        self.refusal = ""
        self._kill = Kill(ward.cgroup)
        self.fd = self._kill.fileno()
        self._deadline = self._struck = started
        self._held_bytes = ward.current_bytes
        self.helped = False
        self.timeline: list[TimelinePoint] = []

    @property
    def kill_seconds(self) -> float | None:
        """From the stop signal to the kill that had to follow; None where none had to."""
        return self._struck - self.started if self.action == "terminate" and self._struck > self.started else None

    def terminate(self, number: int, grace_seconds: float, proc_root: str) -> bool:
        """Send the stop signal; True if somebody got it."""
        self.stage = "terminating"
        self._deadline = self.started + grace_seconds
        return signal_init(self.ward.cgroup, number, proc_root).ok

    def kill(self, now: float) -> bool:
        """Kill it whole; True if the kernel took it (or it was gone already). Of one that is refused nothing comes."""
        self.stage, self._struck = "killing", now
        strike = self._kill.strike()
        self.refusal = strike.detail
        taken = strike.ok or strike.verdict == "vanished"
        if not taken:
            self._end("abandoned", now)
        return taken

    def abandon(self, now: float) -> None:
        """It is not to end any more: no kill follows the stop signal, which cannot be taken back."""
        self._end("abandoned", now)

    def advance(self, now: float) -> bool:
        """Look at how far it is; True when the course is over."""
        if self._kill.done():
            self._end("ended", now)
        elif self.stage == "killing" and now - self._struck > GIVE_UP_SECONDS:
            self._end("abandoned", now)
        return self.stage in ("ended", "abandoned")

    def needs_help(self, now: float) -> bool:
        """Is it dying for longer than a runnable process takes? Asked until `helped`."""
        return self.stage == "killing" and not self.helped and now - self._struck > RELEASE_SECONDS

    def release_memory(self) -> None:
        """process_mrelease on what is still dying; not in the guard's own time."""
        self._kill.release_memory()

    def watched(self, now: float, available: Callable[[], int]) -> None:
        """Note how it stands, if it is time; `available`: what the node has left."""
        if point_due(self.timeline, now - self.started):
            self._note(now, available)

    def over(self, available: Callable[[], int]) -> None:
        """Note how it ended."""
        self._note(self.started + self.seconds, available)

    def _note(self, now: float, available: Callable[[], int]) -> None:
        gone = max(0, self._held_bytes - (self.ward.cgroup.current() or 0))
        held = max(0, self._held_bytes - self.ward.discount_bytes - gone)
        # Of a smaller boundary what the victim gave back is all that is known without reading more files.
        left = available() if self.domain.kind == "node" else self.domain.available_bytes + gone
        seconds = round(now - self.started, 4)
        self.timeline.append(TimelinePoint(seconds=seconds, available_bytes=left, victim_bytes=held))

    def overdue(self, now: float) -> bool:
        """Has a stop signal had its time?"""
        return self.stage == "terminating" and now >= self._deadline

    def pending_bytes(self, now: float) -> int:
        """What it is still expected to free; decays to nothing, so that a stuck victim does not protect the next."""
        held = self.ward.cgroup.current()
        left = min(self.expected_bytes, held) if held is not None else 0
        since = self._deadline if self.stage == "terminating" else self._struck
        patience = max(0.0, 1 - max(0.0, now - since - KILL_SECONDS) / PENDING_SECONDS)
        return int(left * patience)

    def _end(self, stage: Stage, now: float) -> None:
        self.stage, self.seconds = stage, now - self.started
        after = self.ward.cgroup.current()
        self.freed_bytes = self.expected_bytes if after is None else max(0, self._held_bytes - after)
