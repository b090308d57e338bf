"""The last word of the demo: who died, by whose hand, how late, how much was left, and why."""

from __future__ import annotations

from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from demo.ending import Ending
from demo.report import Report
from demo.words import lateness, mebibytes, milliseconds, reading
from memguard.cli.words import many

HANDS = {"memguard": "memguard", "kernel": "the kernel", "nobody": "nobody"}


def table(report: Report) -> Table:
    """One column a story."""
    made = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False, show_lines=False, expand=False)
    made.add_column("", style="dim", no_wrap=True)
    for number, ending in enumerate(report.stories, 1):
        made.add_column(f"{number}. {ending.title}", ratio=1, overflow="fold")
    for name, cell in ROWS:
        made.add_row(name, *(cell(ending) for ending in report.stories))
    return made


def verdict(report: Report) -> Text:
    """The very last line."""
    if report.good:
        return Text("Every story ended as it should.", "bold green")
    wrong = [f"{ending.title}: {'; '.join(ending.complaints)}" for ending in report.stories if not ending.good]
    return Text("THE DEMO WENT WRONG. " + ". ".join((*wrong, *report.failures)) + ".", "bold red")


def _died(ending: Ending) -> RenderableType:
    return Text(", ".join(ending.died) + ", whole" if ending.died else "nobody", "bold")


def _hand(ending: Ending) -> RenderableType:
    style = {"memguard": "bold green", "kernel": "bold red"}.get(ending.hand, "")
    return Text.assemble((HANDS[ending.hand], style), f": {ending.manner}")


def _late(ending: Ending) -> RenderableType:
    return Text(lateness(ending))


def _left(ending: Ending) -> RenderableType:
    return Text(f"{mebibytes(ending.left_bytes)} of {mebibytes(ending.limit_bytes)}")


def _others(ending: Ending) -> RenderableType:
    return Text(f"{milliseconds(ending.others_worst_seconds)} for 1 MiB of memory")


def _oom_kills(ending: Ending) -> RenderableType:
    return Text(many(ending.kernel_oom_kills, "process") if ending.kernel_oom_kills else "none")


def _why(ending: Ending) -> RenderableType:
    would = "It would have, and this is why: " if ending.moment("would") else ""
    return Text(would + reading(ending.reason))


def _as_it_should(ending: Ending) -> RenderableType:
    return Text("yes", "green") if ending.good else Text("NO: " + "; ".join(ending.complaints), "bold red")


ROWS = (
    ("who died", _died),
    ("by whose hand", _hand),
    ("how late", _late),
    ("left at the worst", _left),
    ("others' worst wait", _others),
    ("kernel OOM kills", _oom_kills),
    ("as it should be", _as_it_should),
    ("why (memguard)", _why),
)
