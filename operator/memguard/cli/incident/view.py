"""An incident in a terminal: the page's story, figures and moments, and why as `memguard explain` tells it."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table

from memguard.cli.incident.curves import Curve, available, victims
from memguard.cli.incident.facts import tiles
from memguard.cli.incident.incident import Happening, Incident, PodNow, explained
from memguard.cli.incident.moments import moments
from memguard.cli.incident.words import Tone, around, headline, remark, verdict
from memguard.cli.view.explanation import explanation_view
from memguard.cli.view.table import BAD, GOOD, QUIET, WARNING, cell, table
from memguard.cli.words import moment, times

STYLES: dict[Tone, str] = {"good": GOOD, "bad": BAD, "open": QUIET}
BLOCKS = " ▁▂▃▄▅▆▇█"


def view(incident: Incident) -> Group:
    """The whole report."""
    return Group(*_parts(incident))


def _parts(incident: Incident) -> Iterator[RenderableType]:
    spec, found = incident.decision.spec, verdict(incident)
    yield cell(headline(incident), "bold")
    yield cell(f"{found.word}. {found.words}", STYLES[found.tone])
    yield cell(f"{spec.id} on node {spec.node}, {moment(spec.taken_at, seconds=True)}", QUIET)
    if said := remark(incident):
        yield cell(said)
    yield _figures(incident)
    yield _course(incident)
    if len(incident.timeline) > 1:
        yield _curves(incident)
    yield explanation_view(explained(incident))
    yield cell("")
    yield cell("What came after", "bold")
    yield cell(_pod(incident.pod))
    if incident.events:
        yield _events(incident.events)


def _figures(incident: Incident) -> Table:
    made = table("", "", "", numbers=("",))
    made.show_header = False
    for tile in tiles(incident):
        made.add_row(cell(tile.label), cell(tile.figure, "bold"), cell(tile.words, QUIET))
    return made


def _course(incident: Incident) -> Table:
    made = table("when", "what happened")
    for step in moments(incident):
        made.add_row(cell(around(step.seconds)), cell(step.words, "bold" if step.kind == "deed" else ""))
    return made


def _curves(incident: Incident) -> Table:
    made = table("memory, reading by reading", "", "")
    made.show_header = False
    for name, series in (
        ("left within the boundary", available(incident)),
        ("memory of the victim", victims(incident)),
    ):
        if series:
            made.add_row(cell(name), cell(sparkline(series)), cell(""))
    return made


def sparkline(series: Curve) -> str:
    """The readings as blocks, one each, from nothing to the highest."""
    top = max(value for _, value in series)
    if top <= 0:
        return BLOCKS[0] * len(series)
    return "".join(BLOCKS[round(max(0.0, value / top) * (len(BLOCKS) - 1))] for _, value in series)


def _pod(pod: PodNow | None) -> str:
    if pod is None:
        return "Nobody was asked how the pod is now."
    if pod.deleted:
        return f"Pod {pod.namespace}/{pod.name} is gone, or on its way out."
    facts = [
        f"pod {pod.namespace}/{pod.name}",
        pod.phase,
        f"container {pod.container_state}" if pod.container_state else "",
    ]
    facts += [{True: "ready", False: "not ready", None: ""}[pod.ready]]
    facts += [f"restarted {times(pod.restarts)}" if pod.restarts else "", f"on node {pod.node}" if pod.node else ""]
    return ", ".join(filter(None, facts)) + "."


def _events(events: tuple[Happening, ...]) -> Table:
    made = table("at", "kind", "reason", "message")
    for event in events:
        style = WARNING if event.kind == "Warning" else ""
        words = " ".join(event.message.split())
        made.add_row(cell(f"{event.at:%H:%M:%S}"), cell(event.kind, style), cell(event.reason), cell(words))
    return made
