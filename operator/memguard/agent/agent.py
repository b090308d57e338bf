"""The agent, put together: who hears what from whom, and in which thread."""

from __future__ import annotations

import os
import time

from memguard import __version__
from memguard.agent.census import Census
from memguard.agent.chronicle import Chronicle
from memguard.agent.clerk import Clerk
from memguard.agent.decisions import DecisionWriter
from memguard.agent.guard_link import GuardLink
from memguard.agent.ledger import Ledger
from memguard.agent.main import Arguments
from memguard.agent.metrics import Metrics, View
from memguard.agent.own_node import OwnNode
from memguard.agent.plan import Sources
from memguard.agent.plan_store import PlanStore
from memguard.agent.planner import Planner
from memguard.agent.publisher import Publisher
from memguard.agent.report import Basis, report
from memguard.agent.resources import written
from memguard.agent.spool import Spool
from memguard.agent.watches import Watches
from memguard.api.node_memory import NodeMemoryStatus
from memguard.errors import ConfigError
from memguard.kube.client import Client
from memguard.kube.events import Recorder
from memguard.kube.objects import Pod
from memguard.kube.store import Change
from memguard.kube.wire import Wire
from memguard.service.command import connection
from memguard.service.crew import Crew
from memguard.service.journal import Journal, utc_now
from memguard.service.web import Web


class Agent:
    """One node's. Raises ConfigError for what cannot be had."""

    def __init__(self, wanted: Arguments, journal: Journal) -> None:
        self._wanted, self._journal, self._stopping = wanted, journal, False
        make_directory(wanted.state)
        self._crew = Crew(journal)
        self._metrics = Metrics(self._view)
        self.web = Web(wanted.listen, self._metrics.registry, healthy=self.unhealthy, ready=self.unready)
        self._client = Client(Wire(connection(wanted.kubeconfig)))
        self._own_node = OwnNode(self._client, wanted.node, self._advised, journal)
        self._watches = Watches(
            self._client,
            wanted.node,
            pods_changed=self._pods_changed,
            own_changed=self._own_changed,
            advised=self._advised,
        )
        self._recorder = Recorder(
            self._client, controller="memguard.io/agent", instance=os.uname().nodename, trouble=journal.trouble
        )
        store = PlanStore(wanted.state, journal.trouble)
        self._census = Census(store.roster())
        self._link = GuardLink(wanted.socket, wanted.guard_uid, journal, noticed=self._noticed)
        self._planner = Planner(store, self._link, self._census, self._recorder, journal, now=utc_now)
        self._spool = Spool(f"{wanted.state}/spool", journal.trouble)
        self._chronicle = self._begin_chronicle()
        self._writer = self._make_writer()
        self._publisher = Publisher(
            self._client, self._report, journal, node=wanted.node, node_uid=self._node_uid, now=utc_now
        )
        self._clerk = Clerk(
            self._planner,
            self._census,
            self._link,
            self._chronicle,
            store,
            sources=self._sources,
            now=utc_now,
            done=self._publisher.poke,
        )

    def _begin_chronicle(self) -> Chronicle:
        return Chronicle(
            f"{self._wanted.state}/ledger.json",
            Ledger(since=utc_now()),
            self._spool,
            self._census,
            self._metrics,
            system_namespace=self._wanted.namespace,
            policy_of=self._planner.policy_of,
            short=self._short,
            told=self._told,
            trouble=self._journal.trouble,
        )

    def _make_writer(self) -> DecisionWriter:
        return DecisionWriter(
            self._client,
            self._spool,
            self._recorder,
            self._journal,
            node=self._wanted.node,
            system_namespace=self._wanted.namespace,
            node_uid=self._node_uid,
            find_policy=self._planner.find_policy,
            vpa_events=self._wanted.vpa_events,
        )

    # --- its life

    @property
    def lost(self) -> str | None:
        """A thread that ended by itself: without it the agent is of no use."""
        return self._crew.lost

    def start(self) -> None:
        """All of it."""
        self._journal.write("start", version=__version__, node=self._wanted.node, port=self.web.port)
        kept = self._planner.kept
        self._link.tell(plan=kept.plan if kept else None, roster=self._census.roster)
        self._crew.start("web", self.web.run)
        self._crew.start("link", lambda: self._link.run(self._chronicle))
        self._crew.start("node", self._own_node.run)
        for name, watcher in self._watches.all.items():
            self._crew.start(name, watcher.run)
        self._crew.start("clerk", self._clerk.run)
        self._crew.start("events", self._recorder.run)
        self._crew.start("decisions", self._writer.run)
        self._crew.start("report", self._publish)

    def stop(self) -> None:
        """In good order: the last report says that it is the last, and what is not written stays on the disk."""
        self._stopping = True
        self._crew.leave()
        mouths = (self._publisher, self._writer, self._recorder)
        ears = (self._clerk, self._watches, self._own_node, self._link, self.web)
        for part in (*mouths, *ears):
            part.stop()
        hanging = self._crew.part()
        self._client.close()
        self._journal.write("stop", lost=self._crew.lost, hanging=hanging)

    def unhealthy(self) -> tuple[str, ...]:
        """What makes this process not worth keeping."""
        return tuple(f"the thread {name} does not run" for name in self._crew.idle)

    def unready(self) -> tuple[str, ...]:
        """What it does not know, or cannot tell."""
        found = [f"{name}: not heard of for too long" for name in self._watches.stale]
        presence, kept = self._link.presence, self._planner.kept
        if not presence.connected:
            found.append(f"guard: {presence.problem}")
        elif not presence.settled or not presence.fresh(time.monotonic()):
            found.append("guard: it does not say how things stand")
        if not self._planner.current or kept is None:
            found.append("plan: not made of the policies yet")
        elif presence.status is not None and presence.status.plan != kept.plan.version:
            found.append("plan: the guard has another one")
        return tuple(found)

    # --- what happens

    def _publish(self) -> None:
        """Not before it is known what was said last: since when a condition holds is part of it."""
        while not self._stopping and not self._watches.own.synced.wait(1.0):
            pass
        self._publisher.run()

    def _pods_changed(self, change: Change[Pod], first: bool) -> None:  # noqa: FBT001
        if self._census.follow(self._watches.pods.objects().values()):
            self._clerk.peopled()
        self._chronicle.pods(change.upserted, time.time(), first=first)

    def _own_changed(self) -> None:
        """Our NodeMemory: what it says first is what the agent before us wrote."""
        own = self._watches.own_object()
        if own is None:
            self._publisher.overdue()
        elif self._publisher.written_at is None:
            before = written(own)
            self._publisher.conditions = before.conditions
            self._chronicle.answered(before.orders)
            if before.scorecard is not None:
                self._chronicle.resumed(before.scorecard)
        self._clerk.advised()

    def _advised(self) -> None:
        """Policies, or the Node's labels."""
        self._clerk.advised()

    def _noticed(self) -> None:
        """The guard said something, or is gone."""
        self._publisher.poke()

    def _told(self) -> None:
        """There is something to write and to publish."""
        self._writer.poke()
        self._publisher.poke()

    # --- what is known

    @property
    def _current(self) -> bool:
        """Is the plan what the policies say now? Who cannot list or watch them does not know."""
        return self._planner.current and not self._watches.stale

    def _node_uid(self) -> str:
        return self._own_node.uid

    def _short(self) -> bool:
        """Is the node itself short of memory?"""
        status = self._link.presence.status
        return status is not None and status.level != "Calm"

    def _sources(self, namespaces: frozenset[str]) -> Sources | None:
        node = self._own_node.node
        return self._watches.sources(node.metadata.labels, namespaces) if node else None

    def _report(self) -> NodeMemoryStatus:
        own, presence, now = self._watches.own_object(), self._link.presence, time.monotonic()
        return report(
            Basis(
                now=utc_now(),
                presence=presence,
                missing=presence.missing(now),
                fresh=presence.fresh(now),
                ledger=self._chronicle.ledger,
                kept=self._planner.kept,
                current=self._current,
                planless=self._planner.problem or self._watches.problem or self._own_node.problem,
                notes=self._planner.notes,
                halted=self._planner.halted,
                generation=own.metadata.generation if own else None,
                before=self._publisher.conditions,
                stopped=self._stopping,
            )
        )

    def _view(self) -> View:
        kept, watchers, presence = self._planner.kept, self._watches.all, self._link.presence
        return View(
            status=presence.status if presence.fresh(time.monotonic()) else None,
            connected=presence.connected,
            tally=self._chronicle.ledger.card.total,
            plan_made_at=kept.made_at if kept else None,
            plan_current=self._current,
            broken_policies=sum(note.kind == "Broken" for note in self._planner.notes),
            reported_at=self._publisher.written_at,
            spool_entries=len(self._spool),
            spool_dropped=self._spool.dropped,
            spool_refused=self._spool.refused,
            events_dropped=self._recorder.dropped,
            watch_ages={name: watcher.fresh_seconds() for name, watcher in watchers.items()},
            watch_failures={name: watcher.failures for name, watcher in watchers.items()},
        )


def make_directory(path: str) -> None:
    """Raises ConfigError where nothing can be kept."""
    try:
        os.makedirs(path, mode=0o700, exist_ok=True)
        if not os.access(path, os.W_OK | os.X_OK):
            raise PermissionError(0, "it cannot be written")
    except OSError as error:
        remedy = "Name a directory on a disk that the agent may write."
        raise ConfigError(path, str(error.strerror), remedy=remedy) from None
