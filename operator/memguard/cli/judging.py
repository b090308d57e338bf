"""A trace through the decision chain, for every command that shows what was or would be decided."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from memguard.cli.files import REMEDY
from memguard.core.history import History, forget_gauge
from memguard.core.model import Record, Snapshot
from memguard.core.policy import Plan
from memguard.core.select import Ranking, judge
from memguard.core.trace import LEARNING, Event, Header, Line, PlanChange, Reading
from memguard.errors import InputError
from memguard.guard.config import load_config


class Judgement(Record, frozen=True, kw_only=True):
    """The last snapshot of a trace and all that led to its ranking."""

    snapshot: Snapshot
    history: History
    ranking: Ranking
    plan: Plan


def lines_under(plan_file: str | None, lines: Iterable[Line]) -> Iterator[Line]:
    """The trace's lines; a plan file takes the place of every plan in them. Raises ConfigError."""
    if plan_file is None:
        yield from lines
        return
    yield PlanChange(plan=load_config(plan_file).plan)
    for line in lines:
        if not isinstance(line, Header | PlanChange):
            yield line


def judge_last(lines: Iterable[Line], name: str) -> Judgement:
    """Rank the last snapshot that decisions were made on, with the history before it; no victim is taken away.

    Raises InputError when there is no snapshot; `name` is what it calls the trace.
    """
    plan, history, last = Plan(), History(), None
    for line in lines:
        if isinstance(line, Header | PlanChange):
            plan = line.plan
        elif isinstance(line, Event) and line.kind == "line":
            history = forget_gauge(history, line.subject)
        elif isinstance(line, Reading):
            history, ranking = judge(history, line.snapshot, plan, within=line.domain)
            if line.domain != LEARNING or last is None:
                last = Judgement(snapshot=line.snapshot, history=history, ranking=ranking, plan=plan)
    if last is None:
        raise no_snapshot(name)
    return last


def no_snapshot(name: str) -> InputError:
    """The error for a trace without a reading."""
    return InputError(name, "there is no snapshot in it", remedy=REMEDY)
