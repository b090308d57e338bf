"""The operator, put together: who hears what from whom, and in which thread."""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import Any

from memguard import __version__
from memguard.controller.advisor import Advisor
from memguard.controller.archive import Archive, Keep
from memguard.controller.deeds import Deeds
from memguard.controller.edge import Edge
from memguard.controller.experience import Learner
from memguard.controller.fleet import Fleet
from memguard.controller.herald import Herald
from memguard.controller.lender import Lender
from memguard.controller.main import Arguments
from memguard.controller.metrics import Metrics, View
from memguard.controller.policy_book import PolicyBook
from memguard.controller.policy_clerk import PolicyClerk
from memguard.controller.resources import RecordedDecision
from memguard.controller.rounds import CARING_HANDS, HANDS, Rounds
from memguard.controller.taints import Taints, present
from memguard.core.fairness import fairness
from memguard.core.feedback import bias, busiest
from memguard.core.scorecard import Tally, together
from memguard.errors import KubeError
from memguard.kube.client import Client
from memguard.kube.connection import Connection
from memguard.kube.events import Recorder
from memguard.kube.lease import Elector
from memguard.kube.wire import Wire
from memguard.service.crew import PARTING_SECONDS, Crew
from memguard.service.journal import Journal, utc_now
from memguard.service.resources import LEASE
from memguard.service.web import Web

#: Nodes in trouble are looked at this often even if they say nothing: who is on its way may be gone.
LOOK_SECONDS = 2.0
#: Who stands by looks more often whether it is its turn.
STANDBY_SECONDS = 0.5
KEEP_SECONDS = 30.0
#: Deleted in one go: the API server has other things to do.
MOST_EXPIRED = 100
#: A watch that is this silent is stale (agent/watches).
FRESH_SECONDS = 150.0
#: Workloads whose points are a metric.
MOST_SHOWN = 10
#: The lease's client must not hang longer than there is time for another try.
LEASE_TIMEOUT_SECONDS = 3.0


class Operator:
    """One replica. Raises ConfigError for what cannot be had."""

    def __init__(self, wanted: Arguments, connection: Connection, journal: Journal) -> None:
        self._wanted, self._journal = wanted, journal
        self._crew = Crew(journal)
        self._metrics = Metrics(self._view)
        self.web = Web(wanted.listen, self._metrics.registry, healthy=self.unhealthy, ready=self.unready)
        self._client = Client(Wire(connection, idle_connections=HANDS + CARING_HANDS))
        self._lease_client = Client(Wire(connection, timeout_seconds=LEASE_TIMEOUT_SECONDS))
        self._elector = Elector(self._lease_client, LEASE, wanted.namespace, wanted.identity, trouble=journal.trouble)
        self._recorder = Recorder(
            self._client, controller="memguard.io/operator", instance=wanted.identity, trouble=journal.trouble
        )
        self._book = PolicyBook(self._client, self._policies_changed)
        self._edge = Edge(self._book, server=None if wanted.kubeconfig else connection.server, identity=wanted.identity)
        self._deeds = Deeds(self._client)
        self._archive = Archive(self._client, self._recorded)
        self._fleet = Fleet(self._client, troubled=self._troubled, doubted=self._doubted, now=utc_now)
        self._learner = Learner(self._client, wanted.namespace, journal.trouble)
        self._lender = Lender(self._client, lambda: self._fleet.lent_to)
        self._herald = Herald(self._metrics, journal, self._recorder, self._book)
        self._rounds = Rounds(
            self._book,
            self._archive,
            self._deeds,
            self._lender,
            self._fleet,
            advisor=Advisor(self._deeds, self._learner, self._lender),
            taints=Taints(self._deeds, time.monotonic),
            herald=self._herald,
            metrics=self._metrics,
            acts=self._acts,
            failed=self._failed,
        )
        self._clerk = PolicyClerk(
            self._client,
            self._book,
            self._fleet,
            self._archive,
            leading=self._elector.leading,
            now=utc_now,
            trouble=journal.trouble,
        )
        self._stopped = threading.Event()
        self._led = False

    # --- its life

    @property
    def lost(self) -> str | None:
        """A thread that ended by itself: without it the operator is of no use."""
        return self._crew.lost

    def start(self) -> None:
        """All of it; it acts once it leads."""
        self._journal.write("start", version=__version__, identity=self._wanted.identity, port=self.web.port)
        self._crew.start("web", self.web.run)
        self._crew.start("lease", self._elector.run)
        self._crew.start("policies", self._book.run)
        self._crew.start("kopf", self._edge.run)
        self._crew.start("memoryguardpolicies", self._book.watcher.run)
        for name, watcher in self._watchers.items():
            self._crew.start(name, watcher.run)
        self._crew.start("events", self._recorder.run)
        self._crew.start("policy status", self._clerk.run)
        self._crew.start("chores", self._do_chores)
        for name, work in self._rounds.hands:
            self._crew.start(name, work)

    def stop(self) -> None:
        """In good order: the lease is given back, so that another need not wait, once nobody here does anything."""
        self._stopped.set()
        self._crew.leave()
        self._herald.announce()
        parts = (self._rounds, self._clerk, self._recorder, self._edge, self._book, self._book.watcher)
        for part in (*parts, *self._watchers.values(), self.web):
            part.stop()
        self._rounds.rest(PARTING_SECONDS)
        self._elector.stop()
        hanging = self._crew.part()
        self._client.close()
        self._lease_client.close()
        self._journal.write("stop", lost=self._crew.lost, hanging=hanging)

    @property
    def _watchers(self) -> dict[str, Any]:
        return {
            "nodes": self._fleet.nodes,
            "nodememories": self._fleet.reports,
            "memoryguarddecisions": self._archive.watcher,
        }

    def unhealthy(self) -> tuple[str, ...]:
        """What makes this process not worth keeping."""
        return tuple(f"the thread {name} does not run" for name in self._crew.idle)

    def unready(self) -> tuple[str, ...]:
        """What it does not know."""
        found = [f"{name}: not heard of for too long" for name in self._stale]
        if not self._book.fresh:
            found.append(f"policies: {self._book.problem or 'not listed for too long'}")
        if not self._edge.ready.is_set():
            found.append("kopf: it does not listen yet")
        return tuple(found)

    @property
    def _stale(self) -> tuple[str, ...]:
        return tuple(name for name, watcher in self._watchers.items() if watcher.fresh_seconds() > FRESH_SECONDS)

    def _acts(self) -> bool:
        """Only who leads, and only on what is known to be so."""
        return self._led and self._elector.leading() and not self._stale and self._book.fresh

    # --- what is heard

    def _policies_changed(self) -> None:
        self._clerk.poke()

    def _troubled(self, name: str) -> None:
        self._rounds.troubled(name)

    def _doubted(self, name: str, reason: str) -> None:
        self._metrics.doubted(reason)
        self._journal.trouble(f"the report of {name} is not acted on: {reason}")

    def _recorded(self, record: RecordedDecision) -> None:
        self._learner.teach(record)
        ours = record.spec.mode == "Enforce" and record.spec.action in ("kill", "terminate")
        if ours and record.status.phase in ("Acted", "Done"):
            self._rounds.noticed(record.spec.node)

    def _failed(self, name: str, error: KubeError) -> None:
        self._metrics.failed(type(error).__name__.removesuffix("Error").lower())
        self._journal.trouble(f"node {name}: {error}")

    # --- from time to time

    def _do_chores(self) -> None:
        """Look after whoever is on its way, take over when we begin to lead, keep what was learned, delete the old."""
        kept_at = float("-inf")
        while not self._stopped.wait(LOOK_SECONDS if self._led else STANDBY_SECONDS):
            if not self._elector.leading():
                self._led = False
                continue
            try:
                if not self._led:
                    self._take_over()
                if self._led and time.monotonic() - kept_at >= KEEP_SECONDS:
                    kept_at = time.monotonic()
                    self._learner.keep()
                    self._expire()
            except KubeError as error:
                self._failed("(chores)", error)
            self._rounds.look_at_all()

    def _take_over(self) -> None:
        """Go on with what another began: all that it was doing stands in the cluster."""
        if self._stale or not self._book.fresh:
            return
        self._learner.recall()
        for record in self._archive.all():
            self._learner.teach(record)
        self._rounds.take_over(self._archive.evictions_under_way())
        self._led = True
        self._journal.write("leading", resumed=self._rounds.attended)
        self._clerk.poke()

    def _expire(self) -> None:
        keep = Keep(days=self._wanted.keep_days, count=self._wanted.keep_decisions)
        outdated = self._archive.outdated(utc_now(), keep)[:MOST_EXPIRED]
        for one in outdated:
            self._deeds.forget(one.namespace, one.name)
        self._metrics.expired(len(outdated))

    # --- what is shown

    def _view(self) -> View:
        reports = self._fleet.reports.objects().values()
        now = utc_now().timestamp()
        return View(
            leading=self._elector.leading(),
            levels=Counter(one.status.level for one in reports),
            attended=self._rounds.attended,
            decisions=len(self._archive.all()),
            tainted=sum(present(node) is not None for node in self._fleet.nodes.objects().values()),
            tally=_total(reports),
            fairness={one.group: one.ratio for one in fairness(self._archive.shares()) if one.ratio is not None},
            points=busiest(bias(self._learner.experience, now), MOST_SHOWN),
            watch_ages={name: watcher.fresh_seconds() for name, watcher in self._watchers.items()},
            watch_failures={name: watcher.failures for name, watcher in self._watchers.items()},
            events_dropped=self._recorder.dropped,
        )


def _total(reports: Any) -> Tally:
    return together(one.status.scorecard for one in reports if one.status.scorecard)
