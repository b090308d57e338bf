"""`python -m tools.pictures KIND`: takes pictures of docs/images anew.

dashboards                    each dashboard, from what `make e2e` left in build/dashboards.json
report                        the incident report, from docs/examples/report.json, in Chromium
terminal FILE.png COMMAND...  what a command shows; docs/images/top.png is of
                              `kubectl memguard top containers -A --once` in the cluster of `make cluster`
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path


def taken(arguments: list[str]) -> Iterator[Path]:
    """The files that were written. Raises SystemExit where something is missing."""
    match arguments:
        case ["dashboards"]:
            from tools.pictures import dashboards

            yield from dashboards.taken()
        case ["report"]:
            from tools.pictures import report

            yield from report.taken()
        case ["terminal", file, *command] if command:
            from tools.pictures import terminal

            yield terminal.taken(Path(file), command)
        case _:
            raise SystemExit(__doc__)


if __name__ == "__main__":
    for path in taken(sys.argv[1:]):
        sys.stdout.write(f"{path}: {path.stat().st_size >> 10} KiB\n")
