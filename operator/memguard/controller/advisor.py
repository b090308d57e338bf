"""What a node in trouble is told, so that its guard's own reflex knows it: learned points, and loans of disruptions."""

from __future__ import annotations

from datetime import datetime
from itertools import islice

from memguard.api.wire import body
from memguard.controller.census import Census
from memguard.controller.deeds import Deeds
from memguard.controller.experience import Learner
from memguard.controller.lender import Lender
from memguard.controller.resources import ReportedNode
from memguard.core.advice import MOST_ENTRIES, LentDisruptions
from memguard.core.feedback import busiest


class Advisor:
    """Writes the spec of NodeMemories, where it is another than it was."""

    def __init__(self, deeds: Deeds, learner: Learner, lender: Lender) -> None:
        self._deeds, self._learner, self._lender = deeds, learner, lender

    def tell(self, census: Census, reported: ReportedNode, now: datetime) -> None:
        """Raises KubeError; ConflictError where somebody else wrote it meanwhile.

        A disruption is lent only to whom it may be of use: a node that enforces.
        """
        spec, enforces = reported.spec, reported.status.mode == "Enforce"
        points = self._learner.points(census.workloads, now.timestamp())
        loans = self._lender.loans(census.name, census.identities.values(), spec.disruptions, now) if enforces else {}
        self._write(reported, busiest(points, MOST_ENTRIES), dict(islice(loans.items(), MOST_ENTRIES)))

    def forget(self, reported: ReportedNode) -> None:
        """The node is calm: what it was told is not to be taken for news the next time."""
        self._write(reported, {}, {})

    def _write(self, reported: ReportedNode, bias: dict[str, int], lent: dict[str, LentDisruptions]) -> None:
        if bias == reported.spec.bias and lent == reported.spec.disruptions:
            return
        fresh = self._deeds.find_report(reported.metadata.name) or reported
        written = {key: body(loan) for key, loan in lent.items()}
        # A merge takes away what is null.
        advice = {
            "bias": dict.fromkeys(fresh.spec.bias) | bias,
            "disruptions": dict.fromkeys(fresh.spec.disruptions) | written,
        }
        self._deeds.advise(fresh, advice)
