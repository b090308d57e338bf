"""What the guard says about itself: journal, trace and metrics, all of them after the deed."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from datetime import datetime
from typing import Any, get_args

from memguard import __version__
from memguard.core.decision import Alarm, AlarmKind, Answer, KernelKill, Outcome, Step, decision_of, victim_of
from memguard.core.explain import sentence
from memguard.core.policy import Action, Mode
from memguard.core.select import Candidate, Ranking
from memguard.core.timeline import TimelinePoint
from memguard.core.trace import Line, encode_line
from memguard.errors import ConfigError
from memguard.guard.course import Course
from memguard.guard.journal import Journal
from memguard.guard.metrics import Metrics, write_textfile
from memguard.guard.outbox import Outbox
from memguard.guard.trigger import Trigger
from memguard.guard.ward import SANDBOX_BYTES
from memguard.kernel.outcome import Outcome as Written

#: The same thing about the same container is not said again for this long.
REPEAT_SECONDS = 10.0
#: More trace lines than this (about 2 KiB each) do not wait for a quiet moment.
QUEUED_LINES = 256


class Report:
    """One guard's journal, trace and metrics. `monotonic` and `now` are the guard's clock."""

    version = __version__

    def __init__(
        self,
        journal: Journal,
        metrics: Metrics,
        trace_path: str | None,
        now: Callable[[], datetime],
        monotonic: Callable[[], float],
    ) -> None:
        self._journal, self._metrics = journal, metrics
        self._now, self._monotonic = now, monotonic
        self._trace_path, self._trace = trace_path, _open_trace(trace_path) if trace_path else None
        self._lines: list[Line] = []
        self._said: dict[str, float] = {}
        #: how often each step of the ladder was taken, each time for one container
        self.steps: dict[str, int] = dict.fromkeys(get_args(Step), 0)
        #: news for the agent; None where there is none
        self.outbox: Outbox | None = None

    # --- decisions

    def decided(
        self,
        ranking: Ranking,
        wanted: Action,
        done: Action,
        trigger: Trigger,
        *,
        timeline: tuple[TimelinePoint, ...],
        words: str | None = None,
    ) -> str:
        """A victim is on its way out; returns the decision's id. `words`: why, where the ranking does not say it."""
        self._metrics.decided(ranking.candidates[0].container, done, trigger.seconds)
        self.stepped("terminate" if done == "terminate" else "kill")
        timing = {step: round(seconds, 6) for step, seconds in trigger.marks}
        facts = {"wanted": wanted, "timing": timing, "reason": words or sentence(ranking), "timeline": timeline}
        return self._decision(ranking, done, trigger, mode="Enforce", **facts)

    def would(
        self,
        ranking: Ranking,
        action: Action,
        why_not: str,
        trigger: Trigger,
        *,
        timeline: tuple[TimelinePoint, ...],
    ) -> None:
        """What would have been done, had it been allowed."""
        if self.fresh(f"would {ranking.candidates[0].container.id}"):
            self._metrics.observed(ranking.candidates[0].container, action)
            facts = {"not_done_because": why_not, "reason": sentence(ranking), "timeline": timeline}
            self._decision(ranking, action, trigger, mode="Observe", **facts)

    def nobody(self, ranking: Ranking) -> None:
        """The threshold could be reached and nobody was chosen: said now and then; an alarm if growth is foreign."""
        if not ranking.pressure.calls_for_action:
            return
        if ranking.foreign and self.fresh(f"foreign {ranking.domain.key}"):
            self.alarm(sentence(ranking), "foreign", domain=ranking.domain.key)
        elif self.fresh(f"nobody {ranking.domain.key}"):
            self._journal.write("nobody", domain=ranking.domain.key, reason=sentence(ranking))

    def refused(self, ranking: Ranking, course: Course) -> None:
        """The kernel did not take the kill."""
        if self.fresh(f"refused {course.ward.id}"):
            who, why = victim_of(course.ward.container), course.refusal
            self._journal.write("refused", victim=who, reason=why, domain=ranking.domain.key)

    def finished(self, course: Course, headroom_bytes: int) -> None:
        """The victim is gone, or will not go."""
        self._metrics.finished(course.action, course.freed_bytes, course.seconds)
        outcome = Outcome(
            id=course.decision,
            victim=victim_of(course.ward.container),
            action=course.action,
            complete=course.stage == "ended",
            seconds=round(course.seconds, 4),
            expected_bytes=course.expected_bytes,
            freed_bytes=course.freed_bytes,
            headroom_bytes=headroom_bytes,
            kill_seconds=None if course.kill_seconds is None else round(course.kill_seconds, 4),
            timeline=tuple(course.timeline),
        )
        self._journal.write("outcome", outcome)
        self._tell(outcome=outcome)

    def _decision(self, ranking: Ranking, action: Action, trigger: Trigger, *, mode: Mode, **facts: Any) -> str:
        decision = decision_of(
            ranking,
            id=_decision_id(self._now(), ranking.candidates[0].container.id),
            mode=mode,
            action=action,
            trigger=trigger.source,
            told=filter(_tells, ranking.candidates),
            **facts,
        )
        self._journal.write("decision", decision)
        self._tell(decision=decision)
        return decision.id

    def alarm(self, reason: str, kind: AlarmKind, *, decision: str | None = None, **facts: Any) -> None:
        """Something that a person must know."""
        self._metrics.alarms[kind] += 1
        told = facts if decision is None else {"decision": decision, **facts}
        self._journal.write("alarm", reason=reason, **told)
        self._tell(alarm=Alarm(reason=reason, kind=kind, decision=decision))

    def kernel_killed(self, kill: KernelKill) -> None:
        """The kernel's OOM killer was at work."""
        self._journal.write("kernelKill", kill)
        self._tell(kernel_kill=kill)

    def answered(self, answer: Answer) -> None:
        """An order was taken, or refused."""
        self._journal.write("order", answer)
        self._tell(answer=answer)

    def _tell(self, **fact: Any) -> None:
        """To the agent, where there is one."""
        if self.outbox is not None:
            self.outbox.add(**fact)

    # --- everything else

    def stepped(self, step: Step, containers: int = 1) -> None:
        """A step of the ladder was taken."""
        self.steps[step] += containers

    def say(self, kind: str, **facts: Any) -> None:
        """A line of a kind of its own (docs/guard.md)."""
        self._journal.write(kind, **facts)

    def trouble(self, reason: str) -> None:
        """Something could not be read or written; said now and then, and the guard goes on."""
        if self.fresh(f"trouble {reason}"):
            text = reason.encode(errors="backslashreplace").decode()  # a path in it need not be text
            self._journal.write("trouble", reason=text)

    def unarmed(self, domain: str, outcome: Written) -> None:
        """A line that cannot be put up: somebody else's stands there, or the kernel refuses."""
        self._journal.write("unarmed", domain=domain, verdict=outcome.verdict, reason=outcome.detail)

    def line_changed(self, domain: str, outcome: Written) -> None:
        """Our line was not as we left it; said now and then, as often as somebody else may write there."""
        if self.fresh(f"line {domain} {outcome.verdict}"):
            self._journal.write("line", domain=domain, verdict=outcome.verdict, reason=outcome.detail)

    @property
    def dropped_lines(self) -> int:
        """Journal lines that nobody took."""
        return self._journal.dropped_lines

    def publish(self, path: str, gauges: dict[str, float], lines: dict[str, int]) -> None:
        """Write the metrics; a full disk is said, and no reason to stop guarding."""
        try:
            write_textfile(path, self._metrics.render(gauges, lines))
        except OSError as error:
            if self.fresh("textfile"):
                self._journal.write("unavailable", what=path, reason=error.strerror)

    def trace(self, line: Line) -> None:
        """Keep a line for the trace; it is written when there is time, never on the way to a kill."""
        if self._trace is not None:
            self._lines.append(line)

    def relieve(self) -> None:
        """There is no quiet moment: write all the same where too much waits."""
        if len(self._lines) > QUEUED_LINES:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        self._journal.flush()
        if self._trace is not None and self._lines:
            text = b"".join(encode_line(line) for line in self._lines)
            self._lines.clear()
            try:
                _append(self._trace, text)
            except OSError as error:
                if self.fresh("trace"):
                    self._journal.write("unavailable", what=self._trace_path, reason=error.strerror)

    def fresh(self, what: str) -> bool:
        """Was this not said for a while? From now on it was."""
        now = self._monotonic()
        self._said = {key: at for key, at in self._said.items() if now - at < REPEAT_SECONDS}
        return self._said.setdefault(what, now) == now


def _open_trace(path: str) -> int:
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    except OSError as error:
        remedy = "Name a file in a directory that is there, or leave it out."
        raise ConfigError(path, f"cannot be written: {error.strerror}", field="trace", remedy=remedy) from None


def _append(fd: int, text: bytes) -> None:
    """All of it, or nothing: a trace with half a line could not be replayed."""
    size = os.fstat(fd).st_size
    if os.write(fd, text) < len(text):
        os.ftruncate(fd, size)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _tells(candidate: Candidate) -> bool:
    """Does it belong into a list for people? A sandbox does not."""
    return candidate.container.mapped or candidate.container.memory.current_bytes > SANDBOX_BYTES


def _decision_id(now: datetime, container_id: str) -> str:
    """A valid object name: no two decisions about one container fall into the same microsecond."""
    tail = "".join(letter for letter in container_id[-64:][:12].lower() if letter.isalnum() and letter.isascii())
    return f"{now:%Y%m%d-%H%M%S-%f}-{tail or 'x'}"
