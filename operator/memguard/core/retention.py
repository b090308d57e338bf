"""Which records of decisions have had their time: by age, and by count, the oldest first. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from memguard.core.model import Moment, Record

FOR_EVER = timedelta(days=36_500)


class Kept(Record, frozen=True, kw_only=True):
    """A record. `open`: what becomes of it is not known yet."""

    namespace: str
    name: str
    at: Moment
    open: bool = False


def outdated(
    records: Iterable[Kept], now: datetime, *, age: timedelta = FOR_EVER, count: int | None = None
) -> tuple[Kept, ...]:
    """Those to delete. One that is open stays until it is twice as old as the others may be: it will not be told."""
    newest = sorted(records, key=lambda one: (one.at, one.namespace, one.name), reverse=True)
    return tuple(
        one
        for place, one in enumerate(newest)
        if now - one.at > (2 * age if one.open else age) or (count is not None and place >= count and not one.open)
    )
