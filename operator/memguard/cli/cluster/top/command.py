"""`kubectl memguard top`: which nodes are short of memory, and who is nearest to being chosen there, live."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated

import typer

from memguard.api.node_memory import NodeMemory
from memguard.cli.beats import beats
from memguard.cli.cluster.cluster import NODE_MEMORIES, Cluster, RefusedError
from memguard.cli.cluster.login import Access
from memguard.cli.cluster.options import (
    AllNamespaces,
    AsGroups,
    AsUser,
    Context,
    Form,
    Kubeconfig,
    Namespace,
    NodeNames,
    Selector,
    WideOutput,
    where,
)
from memguard.cli.cluster.stops import Stops, read_stops
from memguard.cli.cluster.top.standing import (
    Standing,
    Subject,
    container_standings,
    node_standings,
    pod_standings,
)
from memguard.cli.options import Interval
from memguard.cli.output import Format, console, encode, write
from memguard.errors import MemguardError
from memguard.kube.resources import Selection
from memguard.kube.watch import Watcher

What = Annotated[Subject, typer.Argument(help="What to show.")]
Once = Annotated[bool, typer.Option("--once", help="Print one table, and end.")]
#: Who starts a live view waits so long for the first list.
FIRST_SECONDS = 15.0
#: Stops are looked at again after so many looks: they are a list of their own.
STOPS_LOOKS = 5

#: Of a screen what is not a row of the table: its head, the time, a stop, what is not shown.
OTHER_LINES = 9


def top(
    what: What = "nodes",
    *,
    once: Once = False,
    interval: Interval = 2.0,
    namespace: Namespace = None,
    all_namespaces: AllNamespaces = False,
    selector: Selector = "",
    node: NodeNames = None,
    output: WideOutput = Form.TABLE,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    as_user: AsUser = None,
    as_group: AsGroups = None,
) -> None:
    """Watch nodes, pods or containers live.

    By the reports of the nodes' own agents. Each holds the ten containers nearest to being chosen, and comes every 5 s
    from a node in trouble, else every five minutes: each line says how old it is.

    danger: it may be chosen, and its node's reserve is touched. warning: it may be chosen, or reaches its own limit
    within a minute.

    \b
    Examples:
      kubectl memguard top
      kubectl memguard top pods -A
      kubectl memguard top containers -n shop -l app=cart --once
      kubectl memguard top nodes -o json --once

    \b
    Exit codes: 0 ended, 1 the cluster cannot be asked, 2 bad input.
    """
    cluster = Cluster.reached(Access(kubeconfig, context, as_user, as_group), namespace)
    space = where(namespace, cluster.namespace, everywhere=all_namespaces)
    looking = Looking(cluster, what, space, selector, frozenset(node or ()))
    standings = looking.once() if once else looking.live(interval)
    if output in (Form.TABLE, Form.WIDE):
        _show(standings, what, wide=output is Form.WIDE, live=not once)
    else:
        for standing in standings:
            write(encode(standing, Format(output.value), stream=not once))


class Looking:
    """What is asked for, and where it is read."""

    def __init__(
        self, cluster: Cluster, what: Subject, namespace: str | None, selector: str, nodes: frozenset[str]
    ) -> None:
        self._cluster, self._what, self._namespace = cluster, what, namespace
        self._selector, self._nodes = selector, nodes
        self._stops: Stops = lambda _: ()
        self._unseen: str | None = None
        self._chosen: frozenset[str] | None = None

    def once(self) -> Iterator[Standing]:
        """One look."""
        listing = self._cluster.listing(Selection(NODE_MEMORIES))
        self._read_stops()
        self._choose()
        yield self._standing(listing.objects, len(listing.broken))

    def live(self, interval: float) -> Iterator[Standing]:
        """One look after the other; nodes' reports come by a watch, as they are written."""
        watcher = Watcher(self._cluster.client, Selection(NODE_MEMORIES), lambda _: None)
        for beat in beats(interval):
            if beat == 0:
                yield from self.once()  # also says what is wrong, where something is
                # begun in here, where signals are blocked: they are the beats' to hear
                threading.Thread(target=watcher.run, daemon=True).start()
                watcher.synced.wait(FIRST_SECONDS)
            else:
                yield self._look(watcher, anew=beat % STOPS_LOOKS == 0)
        watcher.stop()

    def _look(self, watcher: Watcher[NodeMemory], *, anew: bool) -> Standing:
        """What can be had: a server that is away for a moment ends no view, but is told of."""
        problem = watcher.last_error.problem if watcher.last_error else None
        try:
            if anew:
                self._read_stops()
            self._choose()
        except MemguardError as error:
            problem = str(error)
        return self._standing(tuple(watcher.objects().values()), len(watcher.broken()), problem)

    def _standing(self, reports: tuple[NodeMemory, ...], unread: int, problem: str | None = None) -> Standing:
        now, problem = datetime.now(UTC), problem or self._unseen
        shown = tuple(one for one in reports if not self._nodes or one.metadata.name in self._nodes)
        if self._what == "nodes":
            chosen = [one for one in shown if self._chosen is None or one.metadata.name in self._chosen]
            nodes = node_standings(chosen, self._stops, now)
            return Standing(taken_at=now, nodes=nodes, unread=unread, problem=problem)
        containers = container_standings(shown, self._wanted, now)
        return Standing(
            taken_at=now,
            nodes=tuple(one for one in node_standings(shown, self._stops, now) if one.stops),
            containers=pod_standings(containers) if self._what == "pods" else containers,
            unread=unread,
            problem=problem,
        )

    def _choose(self) -> None:
        """Nodes, or pods, with the labels that are asked for."""
        if not self._selector:
            return
        if self._what == "nodes":
            self._chosen = frozenset(one.metadata.name for one in self._cluster.nodes(self._selector))
        else:
            pods = self._cluster.pods(self._namespace, self._selector)
            self._chosen = frozenset(f"{one.metadata.namespace}/{one.metadata.name}" for one in pods)

    def _wanted(self, namespace: str | None, pod: str | None) -> bool:
        if self._namespace not in (None, namespace):
            return False
        return self._chosen is None or f"{namespace}/{pod}" in self._chosen

    def _read_stops(self) -> None:
        """Whoever may not see which stops hold still sees the nodes, and is told."""
        try:
            self._stops, self._unseen = read_stops(self._cluster), None
        except RefusedError as error:
            self._unseen = f"whether nodes are paused is not known: {error}"


def _show(standings: Iterator[Standing], what: Subject, *, wide: bool, live: bool) -> None:
    from rich.live import Live

    from memguard.cli.cluster.top.view import standing_view

    screen = console()
    if not (live and screen.is_terminal):
        for standing in standings:
            screen.print(standing_view(standing, what, wide=wide))
        return
    with Live(console=screen, screen=True, auto_refresh=False) as display:
        for standing in standings:
            most = max(1, screen.height - OTHER_LINES)
            display.update(standing_view(standing, what, wide=wide, most=most), refresh=True)
