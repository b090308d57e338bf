"""The operator's orders: which are still open, and which need not trouble the guard. Pure.

The guard has the last word: it looks at its own plan, and at who the container is. Each order is answered once.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from datetime import datetime, timedelta

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
    waiting = [order for order in advice.orders if order.id not in answered]
    refused = []
    for order in waiting:
        ours = settled and order.id not in given
        reason = _overdue(order, now) or (_refusal(order, advice, runs) if ours else None)
        if reason is not None:
            refused.append(OrderAnswer(id=order.id, accepted=False, at=now, reason=reason))
    done = {answer.id for answer in refused}
    open_ = (order for order in waiting if settled and order.id not in done and order.expires_at > now)
    return tuple(_order(order) for order in open_), tuple(refused)


def _overdue(order: AdvisedOrder, now: datetime) -> str | None:
    return EXPIRED if now - order.expires_at > LATE else None


def _refusal(order: AdvisedOrder, advice: Advice, runs: Runs) -> str | None:
    if advice.emergency_stop:
        return STOPPED
    return None if runs(order.container_id, order.pod_uid) else UNKNOWN


def _order(order: AdvisedOrder) -> Order:
    return Order(
        id=order.id,
        action=order.action,
        container_id=order.container_id,
        pod_uid=order.pod_uid,
        expires_at=order.expires_at,
    )
