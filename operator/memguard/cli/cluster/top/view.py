"""`kubectl memguard top` for people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from memguard.cli.cluster.top.standing import ContainerStanding, NodeStanding, Standing, Subject
from memguard.cli.view.outlook import STYLES
from memguard.cli.view.table import BAD, QUIET, WARNING, cell, table
from memguard.cli.words import many, moment, span, threshold, until
from memguard.core.explain import size

NODE_STYLES = {"Critical": BAD, "Tight": WARNING, "Calm": "", None: QUIET}
NODE_NUMBERS = ("headroom", "available", "of", "pressure", "empty in", "score", "age")
WIDE_NODE_NUMBERS = ("reserve", "threshold", "containers", "OOM kills")
NUMBERS = ("memory", "limit", "limit in", "score", "threshold", "age", "containers")
HELD = "A report holds the ten containers nearest to being chosen."


def standing_view(standing: Standing, what: Subject, *, wide: bool, most: int | None = None) -> Group:
    """What is stopped, the table, and what it cannot show; of the table so many rows at `most`.

    A table of 5,000 nodes takes seconds to draw, and no screen has room for it.
    """
    return Group(*_parts(standing, what, wide=wide, most=most))


def _parts(standing: Standing, what: Subject, *, wide: bool, most: int | None) -> Iterator[RenderableType]:
    yield from _stopped(standing.nodes)
    yield cell(moment(standing.taken_at, seconds=True), QUIET)
    if what == "nodes":
        yield _nodes(standing.nodes[:most], wide=wide) if standing.nodes else cell("No node reports.")
    else:
        shown = standing.containers[:most]
        yield _containers(shown, what, wide=wide) if shown else cell("None is reported.")
        yield cell(HELD, QUIET)
    count = len(standing.nodes if what == "nodes" else standing.containers)
    if most is not None and count > most:
        yield cell(f"... and {count - most} more: --once has all of them, -n, -l and --node fewer.", QUIET)
    if standing.unread:
        yield cell(f"{standing.unread} reports are not understood: they are of another version of memguard.", WARNING)
    if standing.problem:
        yield cell(f"Not all is as it is now: {standing.problem}", BAD)


def _stopped(nodes: Iterable[NodeStanding]) -> Iterator[Text]:
    """Each stop once, with how many nodes heed it, and how many do not."""
    held: dict[str, list[bool]] = {}
    for node in nodes:
        for stop in node.stops:
            held.setdefault(stop.words, []).append(node.paused)
    for words, heeding in held.items():
        deaf = heeding.count(False)
        more = f"; {many(deaf, 'node')} did not heed it" if deaf else ""
        yield cell(f"PAUSED on {many(heeding.count(True), 'node')} by {words}{more}", BAD)


def _nodes(nodes: Iterable[NodeStanding], *, wide: bool) -> Table:
    more = (*WIDE_NODE_NUMBERS, "policy") if wide else ()
    made = table(
        "node", "level", "mode", *NODE_NUMBERS[:5], "worst", "score", *more, "age",
        numbers=(*NODE_NUMBERS, *WIDE_NODE_NUMBERS),
    )  # fmt: skip
    for node in nodes:
        style = QUIET if node.silent else NODE_STYLES[node.level]
        made.add_row(*(cell(value, style) for value in _node(node, wide=wide)))
    return made


def _node(node: NodeStanding, *, wide: bool) -> Iterator[str]:
    yield node.node
    yield "silent" if node.silent else node.level or "-"
    yield _mode(node)
    yield from (_size(node.headroom_bytes), _size(node.available_bytes), _size(node.total_bytes))
    yield "-" if node.pressure is None else f"{node.pressure:.2f}"
    yield until(node.exhaustion_seconds)
    yield node.worst or "-"
    yield _number(node.worst_score)
    if wide:
        yield from (_size(node.reserve_bytes), threshold(node.threshold_score, brief=True))
        yield from (_number(node.containers), _number(node.kernel_oom_kills), node.policy or "-")
    yield _age(node.age_seconds)


def _mode(node: NodeStanding) -> str:
    """A stop that nobody heeds has stopped nothing."""
    if node.paused:
        return "PAUSED"
    return "NOT PAUSED" if node.stops else node.mode or "-"


def _containers(containers: Iterable[ContainerStanding], what: Subject, *, wide: bool) -> Table:
    columns = ("namespace", "pod", "containers" if what == "pods" else "container")
    made = table(
        *columns, "memory", "limit", "limit in", "score", *(("threshold",) if wide else ()), "level", "state", "node",
        "age", numbers=NUMBERS,
    )  # fmt: skip
    for one in containers:
        style = QUIET if one.silent else STYLES[one.level]
        made.add_row(*(cell(value, style) for value in _container(one, what, wide=wide)))
    return made


def _container(one: ContainerStanding, what: Subject, *, wide: bool) -> Iterator[str]:
    yield from (one.namespace or "-", one.pod or "-")
    yield str(one.containers) if what == "pods" else one.name or "-"
    yield from (_size(one.footprint_bytes), _size(one.limit_bytes), until(one.limit_seconds), str(one.score))
    if wide:
        yield threshold(one.threshold_score, brief=True)
    yield from (one.level, one.state, one.node, _age(one.age_seconds))


def _size(count_bytes: int | None) -> str:
    return "-" if count_bytes is None else size(count_bytes)


def _number(value: int | None) -> str:
    return "-" if value is None else str(value)


def _age(seconds: float | None) -> str:
    return "never" if seconds is None else span(seconds)
