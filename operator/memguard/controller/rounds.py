"""The rounds on the nodes in trouble: each in its turn, first what cannot wait, then what can."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime

from memguard.controller.advisor import Advisor
from memguard.controller.archive import Archive
from memguard.controller.case import Case
from memguard.controller.deeds import Deeds
from memguard.controller.desk import Desk
from memguard.controller.fleet import Fleet
from memguard.controller.herald import Herald
from memguard.controller.lender import Lender
from memguard.controller.metrics import Metrics
from memguard.controller.policy_book import PolicyBook
from memguard.controller.reports import silent
from memguard.controller.resources import RecordedDecision, ReportedNode
from memguard.controller.taints import Taints, present
from memguard.errors import KubeError
from memguard.kube.objects import Node
from memguard.service.journal import utc_now

#: An eviction waits 0.1 s for the API server, which has its list of budgets confirmed by etcd; one that conflicts, ten.
#: The last of a hundred nodes is seen to after 2.5 s with 8 hands, 1.2 with 16, 0.9 with 24 and with 32, 1.0 with 48.
HANDS, CARING_HANDS = 32, 2
#: Loans, points, taints and Events wait so long at most until all others had their turn: the API server's time is what
#: a hundred nodes in trouble at once lack.
CARE_SECONDS = 1.0


class Rounds:
    """A case for each node in trouble, while this replica `acts`; `failed` hears of a turn that is to come again."""

    def __init__(
        self,
        book: PolicyBook,
        archive: Archive,
        deeds: Deeds,
        lender: Lender,
        fleet: Fleet,
        *,
        advisor: Advisor,
        taints: Taints,
        herald: Herald,
        metrics: Metrics,
        acts: Callable[[], bool],
        failed: Callable[[str, KubeError], None],
    ) -> None:
        self._book, self._archive, self._deeds, self._lender, self._fleet = book, archive, deeds, lender, fleet
        self._advisor, self._taints, self._herald, self._metrics = advisor, taints, herald, metrics
        self._acts = acts
        self._desk = Desk(self._attend, failed, random=random.random)
        self._aftercare = Desk(self._care, failed, random=random.random)
        self._cases: dict[str, Case] = {}
        self._heard: dict[str, float] = {}

    # --- who is seen to

    @property
    def attended(self) -> int:
        """How many nodes have a case."""
        return len(self._cases)

    def troubled(self, name: str) -> None:
        """This node reports trouble, or its end."""
        self._heard[name] = time.monotonic()
        self.noticed(name)

    def noticed(self, name: str) -> None:
        """Look at this node."""
        self._desk.noticed(name)

    def look_at_all(self) -> None:
        """Look at every node in trouble, also if it says nothing."""
        for name in self._fleet.in_trouble | set(self._cases):
            self.noticed(name)

    def take_over(self, evictions: Iterable[RecordedDecision]) -> None:
        """Begin anew, with those that another began. Raises KubeError."""
        self._cases.clear()
        for record in evictions:
            self._case(record.spec.node).resume(record, utc_now())

    # --- its hands

    @property
    def hands(self) -> Iterator[tuple[str, Callable[[], None]]]:
        """Each to be run in a thread of this name."""
        for number in range(HANDS):
            yield f"hand {number}", self._desk.run
        for number in range(CARING_HANDS):
            yield f"caring hand {number}", self._aftercare.run

    def stop(self) -> None:
        """Let all hands end."""
        self._desk.stop()
        self._aftercare.stop()

    def rest(self, seconds: float) -> None:
        """Wait so long at most until every hand has put down what it had in hand."""
        deadline = time.monotonic() + seconds
        for desk in (self._desk, self._aftercare):
            desk.rest(max(0.0, deadline - time.monotonic()))

    # --- what cannot wait

    def _attend(self, name: str) -> None:
        if not self._acts():
            return
        try:
            self._see_to(name)
        finally:
            self._aftercare.noticed(name)

    def _see_to(self, name: str) -> None:
        heard, now, case = self._heard.get(name), utc_now(), self._case(name)
        node, report = self._standing(name, now)
        tired = self._archive.tired(name, now.timestamp())
        case.follow(report.status if report else None, now)
        if node is not None and report is not None:
            case.attend(report, node, now)
            for record in tired:
                case.relocate(record, report, node, now)
        self._reacted(name, heard)
        tainted = node is not None and present(node) is not None
        if case.idle and not tainted and (report is None or report.status.level == "Calm"):
            self._fleet.settled(name)
            self._cases.pop(name, None)

    def _case(self, name: str) -> Case:
        new = Case(
            name,
            self._book,
            self._archive,
            self._deeds,
            self._lender,
            decided=self._herald.decided,
            ended=self._metrics.ended,
            refused=self._metrics.refused,
            acts=self._acts,
        )
        return self._cases.setdefault(name, new)

    def _standing(self, name: str, now: datetime) -> tuple[Node | None, ReportedNode | None]:
        """The node, and what it says if that is not too old."""
        node, reported = self._fleet.node(name), self._fleet.report(name)
        known = node is not None and reported is not None and not silent(reported.status, now)
        return node, reported if known else None

    def _reacted(self, name: str, heard: float | None) -> None:
        """To what was `heard` before this turn, also where it took more than one."""
        if heard is None:
            return
        self._metrics.reacted(time.monotonic() - heard)
        if self._heard.get(name) == heard:
            self._heard.pop(name, None)

    # --- what can

    def _care(self, name: str) -> None:
        """Until all nodes have had their turn: what the node's own reflex is to know, and its taint."""
        self._desk.clear(CARE_SECONDS)
        self._herald.announce()
        case, now = self._cases.get(name), utc_now()
        node, report = self._standing(name, now)
        if not self._acts() or node is None:
            return
        if report is not None and report.status.level == "Calm":
            self._advisor.forget(report)
        if case is None:
            return
        if report is not None and report.status.level != "Calm":
            self._advisor.tell(case.census, report, now)
        self._taint(case, node, report, weary=bool(self._archive.tired(name, now.timestamp())))

    def _taint(self, case: Case, node: Node, report: ReportedNode | None, *, weary: bool) -> None:
        compiled = case.compiled or self._book.plan(node.metadata.labels, ())
        if compiled is None:
            return
        # Where nothing may be ended nobody is kept away either: who only observes changes nothing.
        idle = report is not None and (report.spec.emergency_stop or report.status.mode == "Observe")
        allowed = "Never" if idle else compiled.taint
        self._taints.settle(node, report.status if report else None, allowed, weary=weary)
