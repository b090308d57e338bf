"""A trace through the decision chain, for every command that shows what was or would be decided."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from memguard.cli.files import REMEDY
from memguard.core.history import History
from memguard.core.model import Record, Snapshot
from memguard.core.policy import Plan
from memguard.core.replay import Replayer
from memguard.core.select import Ranking
from memguard.core.trace import LEARNING, Header, Line, PlanChange, Reading
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
    replayer, last = Replayer(victims_go="none"), None
    for line in _with_a_last_word(lines):
        before = replayer.ranking
        replayer.feed(line)
        if isinstance(line, Reading) and replayer.ranking is not None and replayer.ranking is not before:
            last = Judgement(
                snapshot=line.snapshot, history=replayer.history, ranking=replayer.ranking, plan=replayer.plan
            )
    if last is None:
        raise no_snapshot(name)
    return last


def _with_a_last_word(lines: Iterable[Line]) -> Iterator[Line]:
    """The lines; where no decision was made on any reading, the last is taken as one that was."""
    held, judged = None, False
    for line in lines:
        if held is not None:
            yield held
            held = None
        if isinstance(line, Reading) and line.domain == LEARNING:
            held = line
        else:
            judged = judged or isinstance(line, Reading)
            yield line
    if held is not None:
        yield held if judged else msgspec.structs.replace(held, domain=None)


def no_snapshot(name: str) -> InputError:
    """The error for a trace without a reading."""
    return InputError(name, "there is no snapshot in it", remedy=REMEDY)
