"""The operator's orders: which are still open, and which need not trouble the guard. Pure.

The guard has the last word: it looks at its own plan, and at who the container is. Each order is answered once.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from datetime import datetime, timedelta

import msgspec

from memguard.api.node_memory import OrderAnswer
from memguard.core.advice import Advice, AdvisedOrder
from memguard.core.link import Order

#: An order that has run out may have been carried out just before: so long the guard's answer may take.
LATE = timedelta(seconds=30)
STOPPED = "emergencyStop is set: nothing is ended on this node"
EXPIRED = "it has expired"
UNKNOWN = "there is no such container of that pod on this node"

#: Does a container of this id run, of the pod of this UID?
Runs = Callable[[str, str], bool]


def attend(
    advice: Advice,
    answers: Iterable[OrderAnswer],
    runs: Runs,
    now: datetime,
    *,
    given: Container[str] = (),
    settled: bool = True,
) -> tuple[tuple[Order, ...], tuple[OrderAnswer, ...]]:
    """What the guard is to be given, and what is answered without it.

    `given`: it has these already, and they are its to answer. Not `settled`: it may have answered what we do not know.
    """
    answered = {answer.id for answer in answers}
    open_, refused = [], []
    for order in advice.orders:
        if order.id in answered:
            continue
        ours = settled and order.id not in given
        reason = _refusal(order, advice, runs, now, ours=ours)
        if reason is not None:
            refused.append(OrderAnswer(id=order.id, accepted=False, at=now, reason=reason))
        elif settled and order.expires_at > now:
            open_.append(msgspec.convert(order, Order, from_attributes=True))
    return tuple(open_), tuple(refused)


def _refusal(order: AdvisedOrder, advice: Advice, runs: Runs, now: datetime, *, ours: bool) -> str | None:
    """Why the guard need not see it. Unless it is `ours` to answer it must only not be too late for any answer."""
    if now - order.expires_at > LATE:
        return EXPIRED
    if not ours:
        return None
    if advice.emergency_stop:
        return STOPPED
    return None if runs(order.container_id, order.pod_uid) else UNKNOWN
