"""One eviction on its way: from the record that was written before it to what it brought.

It stands in the cluster by its record and its pod, so whoever leads next goes on with it.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from memguard.api.decision import MemoryGuardDecisionStatus, outcome_status
from memguard.controller.deeds import Deeds
from memguard.controller.resources import RecordedDecision, Report
from memguard.core.decision import Decision, Outcome, Victim
from memguard.kube.client import EVICTION_TIMEOUT_SECONDS
from memguard.kube.objects import Pod

#: Beyond the pod's own grace, for kubelet and the API server.
SPARE = timedelta(seconds=60)
USUAL_GRACE_SECONDS = 30
#: Between two looks at its pod: meanwhile other nodes have their turn.
LOOK = timedelta(seconds=2)
#: A request without an answer, or of whoever led before us, may still be carried out: as long as one takes at most.
UNSURE = timedelta(seconds=EVICTION_TIMEOUT_SECONDS)


class Eviction:
    """`before_bytes`: what was available on the node then; `told`: its record says that it is on its way.

    `sure_at`: a pod that is not ending then will not, by this eviction.
    """

    def __init__(
        self,
        deeds: Deeds,
        *,
        decision: str,
        victim: Victim,
        expected_bytes: int,
        before_bytes: int,
        began_at: datetime,
        sure_at: datetime,
        ends_at: datetime,
        told: bool = False,
    ) -> None:
        self._deeds, self._decision, self._victim = deeds, decision, victim
        self._expected_bytes, self._before_bytes = expected_bytes, before_bytes
        self._began_at, self._sure_at, self._ends_at = began_at, sure_at, ends_at
        self._gone_at: datetime | None = None
        self._report_then: datetime | None = None
        self._looked_at, self._told = began_at, told
        self.over = False

    @classmethod
    def begun(
        cls, deeds: Deeds, pod: Pod, decision: Decision, before_bytes: int, now: datetime, *, migrates: bool
    ) -> Eviction:
        """It is about to be asked for. `migrates`: a virtual machine, whose pod ends when it is elsewhere."""
        return cls(
            deeds,
            decision=decision.id,
            victim=decision.victim,
            expected_bytes=decision.expected_bytes,
            before_bytes=before_bytes,
            began_at=now,
            sure_at=_deadline(pod, now) if migrates else now + UNSURE,
            ends_at=_deadline(pod, now),
        )

    @classmethod
    def resumed(cls, deeds: Deeds, record: RecordedDecision, now: datetime) -> Eviction:
        """Another operator began it, or we did before a restart; whether it was done, `follow` finds out."""
        seen = record.spec.victim
        return cls(
            deeds,
            decision=record.metadata.name,
            victim=msgspec.convert(seen, Victim, from_attributes=True),
            expected_bytes=record.spec.expected_bytes,
            before_bytes=record.spec.available_bytes,
            began_at=record.spec.taken_at,
            sure_at=now + UNSURE,
            ends_at=_deadline(deeds.pod(seen.namespace, seen.pod, seen.pod_uid), now),
            told=record.status.phase == "Acted",
        )

    def follow(self, report: Report | None, now: datetime) -> Outcome | None:
        """Is its pod gone, and what came back? That the next report tells, if there is one. Raises KubeError."""
        seen = self._victim
        if now - self._looked_at < LOOK:
            return None
        if self._gone_at is None:
            pod = self._deeds.pod(seen.namespace or "", seen.pod or "", seen.pod_uid or "")
            if pod is None:
                self._gone_at, self._report_then = now, report.observed_at if report else None
            elif pod.metadata.deletion_timestamp is None:
                if now >= self._sure_at:
                    self.give_up(now)  # written down, and never done
                self._looked_at = now
                return None
        if not self._told:
            self._amend(MemoryGuardDecisionStatus(phase="Acted"))
            self._told = True
        self._looked_at = now
        # By what the node reports after that, whatever its clock says.
        measured = self._gone_at is not None and report is not None and report.observed_at != self._report_then
        return self._finish(report, now) if measured or now > self._ends_at else None

    def give_up(self, now: datetime) -> None:
        """It was not done after all."""
        self._amend(MemoryGuardDecisionStatus(phase="Incomplete", finished_at=now))
        self.over = True

    def _finish(self, report: Report | None, now: datetime) -> Outcome:
        freed_bytes = report.available_bytes - self._before_bytes if report and self._gone_at else 0
        outcome = Outcome(
            id=self._decision,
            victim=self._victim,
            action="evict",
            complete=self._gone_at is not None,
            seconds=((self._gone_at or now) - self._began_at).total_seconds(),
            expected_bytes=self._expected_bytes,
            freed_bytes=max(0, freed_bytes),
            headroom_bytes=report.available_bytes - report.reserve_bytes if report else 0,
        )
        status = outcome_status(outcome, now)
        if report is None:  # what came back is not known, which is not nothing
            status = msgspec.structs.replace(status, freed_bytes=None, freed=None)
        self._amend(status)
        self.over = True
        return outcome

    def _amend(self, status: MemoryGuardDecisionStatus) -> None:
        self._deeds.amend(self._victim.namespace or "", self._decision, status)


def _deadline(pod: Pod | None, now: datetime) -> datetime:
    asked = pod.spec.termination_grace_period_seconds if pod else None
    return now + SPARE + timedelta(seconds=USUAL_GRACE_SECONDS if asked is None else asked)
