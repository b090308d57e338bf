"""A trace through the decision chain, for every command that shows what was or would be decided."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from memguard.cli.files import REMEDY, name_of, read_trace
from memguard.core.history import History
from memguard.core.model import Record, Snapshot
from memguard.core.policy import Plan
from memguard.core.select import Ranking, judge
from memguard.core.trace import Header, Line, PlanChange, Reading
from memguard.errors import InputError
from memguard.guard.config import load_config


class Judgement(Record, frozen=True, kw_only=True):
    """The last snapshot of a trace and all that led to its ranking."""

    snapshot: Snapshot
    history: History
    ranking: Ranking
    plan: Plan


def lines_under(source: str, plan_file: str | None) -> Iterator[Line]:
    """The trace's lines; a plan file takes the place of every plan in them. Raises InputError."""
    if plan_file is None:
        yield from read_trace(source)
        return
    yield PlanChange(plan=load_config(plan_file).plan)
    for line in read_trace(source):
        if not isinstance(line, Header | PlanChange):
            yield line


def judge_last(lines: Iterable[Line], source: str) -> Judgement:
    """Rank the last snapshot with the history before it. Raises InputError when there is no snapshot."""
    plan, history, last = Plan(), History(), None
    for line in lines:
        if isinstance(line, Header | PlanChange):
            plan = line.plan
        elif isinstance(line, Reading):
            history, ranking = judge(history, line.snapshot, plan)
            last = Judgement(snapshot=line.snapshot, history=history, ranking=ranking, plan=plan)
    if last is None:
        raise no_snapshot(source)
    return last


def no_snapshot(source: str) -> InputError:
    """The error for a trace without a reading."""
    return InputError(name_of(source), "there is no snapshot in it", remedy=REMEDY)
