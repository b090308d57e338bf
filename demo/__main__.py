"""`python -m demo`: plays the stories, then says and draws how they ended.

Exit code 0 only if every story ended as it should, else 1.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
from rich.console import Console
from rich.text import Text

from demo.picture import picture
from demo.progress import Progress
from demo.report import Report, load, save
from demo.sketch import sketch
from demo.table import table, verdict

BUILD = Path("build")
#: Where nobody watches: sentences are wrapped to be read in a log.
PLAIN_WIDTH = 110
GOOD, WRONG = 0, 1


def main(argv: Sequence[str] | None = None, console: Console | None = None) -> int:
    """The whole demo; returns the exit code."""
    options = _options(argv)
    console = console or _console()
    try:
        report = load(options.redraw) if options.redraw else _play(console, options.clock)
    except (OSError, msgspec.DecodeError) as error:
        console.print(f"{options.redraw}: {error}. Run `make demo` to make it.", style="bold red")
        return WRONG
    if report is None:
        return WRONG
    show(report, console)
    if not options.redraw:
        save(report, options.build / "demo.json")
    path = options.build / "demo.svg"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(picture(report))
    console.print(f"The picture: {path}   All figures: {options.redraw or options.build / 'demo.json'}")
    console.print(verdict(report))
    return GOOD if report.good else WRONG


def show(report: Report, console: Console) -> None:
    """Pictures and table."""
    for number, ending in enumerate(report.stories, 1):
        console.print()
        console.print(Text.assemble((f"{number}. {ending.title}", "bold"), f": {ending.plot}"))
        console.print(sketch(ending, console.width))
    console.print(table(report))
    console.print(f"{report.machine}; {report.real_seconds:.0f} s", style="dim")


def _play(console: Console, clock: str) -> Report | None:
    """The report of a run; None where the machine failed, and that is said."""
    from tests.machine.image import MachineError

    from demo.run import play, prepare

    progress = Progress(console)
    console.print("memguard: three stories on a real kernel, in a virtual machine", style="bold")
    try:
        prepare(progress)
        return play(progress, "real" if clock == "real" else "virtual")
    except MachineError as error:
        console.print(f"THE DEMO COULD NOT BE PLAYED. {error}", style="bold red")
        return None


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m demo", description="Three stories on a real kernel.")
    parser.add_argument(
        "--clock",
        choices=("virtual", "real"),
        default="virtual",
        help="virtual (default): one CPU that counts instructions, so the figures don't depend on this computer; "
        "real: with KVM where it works, and figures of this computer",
    )
    parser.add_argument("--build", type=Path, default=BUILD, help="directory for demo.svg and demo.json")
    parser.add_argument("--redraw", type=Path, metavar="JSON", help="draw an earlier run's demo.json again")
    return parser.parse_args(argv)


def _console() -> Console:
    """Names come from configurations: nothing in them is markup."""
    width = None if sys.stdout.isatty() else PLAIN_WIDTH
    return Console(width=width, markup=False, emoji=False, highlight=False)


if __name__ == "__main__":
    sys.exit(main())
