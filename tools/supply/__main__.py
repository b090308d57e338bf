"""`python -m tools.supply release [URL]`: all that a release hands out; `... audit`: known vulnerabilities."""

from __future__ import annotations

import sys

from tools.plugin import ROOT
from tools.supply import audit, release

USAGE = "usage: python -m tools.supply release [URL] | audit [OPTIONS OF pip-audit]\n"


def main(arguments: list[str]) -> int:
    """One of the two."""
    match arguments:
        case ["release", *url] if len(url) < 2:
            release.release(release.RELEASE, *url)
            sys.stdout.write((release.RELEASE / release.SUMS).read_text())
            sys.stdout.write(f"{release.RELEASE.relative_to(ROOT)}\n")
            return 0
        case ["audit", *options]:
            return audit.main(options)
    sys.stderr.write(USAGE)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
