"""An action under way: from the stop signal or the kill until the memory is back, or it is clear that it won't be."""

from __future__ import annotations

from typing import Literal

from memguard.core.ladder import KILL_SECONDS
from memguard.core.policy import Action
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
    """One victim on its way out. `action` is what was done first, `decision` the id under which it was reported."""

    def __init__(self, ward: Ward, expected_bytes: int, started: float) -> None:
        self.ward = ward
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

    def terminate(self, number: int, grace_seconds: float, proc_root: str) -> bool:
        """Send the stop signal; True if somebody got it."""
        self.stage = "terminating"
        self._deadline = self.started + grace_seconds
        return signal_init(self.ward.cgroup, number, proc_root).ok

    def kill(self, now: float) -> bool:
        """Kill it whole; True if the kernel took it (or it was gone already)."""
        self.stage, self._struck = "killing", now
        strike = self._kill.strike()
        self.refusal = strike.detail
        return strike.ok or strike.verdict == "vanished"

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
