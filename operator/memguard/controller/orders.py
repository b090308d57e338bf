"""The orders to a node's guard: to end a container in place, which it does if its own plan allows.

An order stands in the node's NodeMemory until its agent has answered; that writes the record, too.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

from memguard.controller.deeds import Deeds
from memguard.controller.mandate import Mandate
from memguard.controller.resources import Report, ReportedNode
from memguard.core.advice import AdvisedOrder
from memguard.core.model import Container
from memguard.core.refusal import Refusal, refused

#: An order is answered within a second or two; after this the node's agent refuses it.
ORDER = timedelta(seconds=60)


class Orders:
    """To one node's guard, one at a time."""

    def __init__(self, mandate: Mandate, deeds: Deeds) -> None:
        self._mandate, self._deeds = mandate, deeds
        self._given: AdvisedOrder | None = None

    @property
    def open(self) -> bool:
        """Is one that we gave still to be answered?"""
        return self._given is not None

    def stand(self, reported: ReportedNode, now: datetime) -> bool:
        """Is any? Whoever led before us may have given one, too."""
        answered = {one.id for one in reported.status.orders}
        standing = (one for one in reported.spec.orders if one.id not in answered and one.expires_at > now)
        return self.open or any(standing)

    def give(
        self, reported: ReportedNode, container: Container, action: Literal["kill", "terminate"], now: datetime
    ) -> Refusal | None:
        """Have it ended; why not, if a budget is spent. Raises KubeError."""
        order = _order(container, action, now)
        spent = self._mandate.claim(_claim(order), container, now, moving=False, in_place=True)
        if spent is not None:
            return spent
        self._deeds.order(reported, order)
        self._given = order
        return None

    def follow(self, report: Report | None, now: datetime) -> tuple[str, Refusal] | None:
        """Was it answered? The id of the container that the guard does not end, and why not."""
        order = self._given
        if order is None:
            return None
        answer = next((one for one in report.orders if one.id == order.id), None) if report else None
        if answer is not None or now > order.expires_at:
            self._mandate.release(_claim(order))
            self._given = None
        if answer is None or answer.accepted:
            return None
        return order.container_id, refused("the order", answer.reason)


def _order(container: Container, action: Literal["kill", "terminate"], now: datetime) -> AdvisedOrder:
    """The same within its time, whoever gives it: where no answer came, it may stand there."""
    return AdvisedOrder(
        id=f"{action}-{container.id[:12]}-{int(now.timestamp() // ORDER.total_seconds())}",
        action=action,
        pod_uid=container.pod_uid or "",
        container_id=container.id,
        expires_at=now + ORDER,
    )


def _claim(order: AdvisedOrder) -> tuple[str, str]:
    return "", order.id
