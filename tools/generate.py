"""`make generate`: write every generated file anew; `--check` only tells which ones are stale (exit code 1)."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from e2e import images
from tests.cli import golden, incident
from tools import (
    dashboards,
    generate_alerts,
    generate_chart,
    generate_cookbook,
    generate_crds,
    generate_docs,
    generate_metrics,
    generate_pictures,
    generate_policy_docs,
    readme,
)

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "docs" / "examples" / "incident.jsonl"


def generated() -> Iterator[tuple[Path, str]]:
    """Every generated file with what it should hold; the README shows what is made before it."""
    yield EXAMPLE, "".join(json.dumps(line) + "\n" for line in incident.lines())
    yield from golden.outputs()
    yield from generate_docs.outputs()
    yield from images.requirements()
    yield from generate_crds.outputs()
    yield from generate_chart.outputs()
    yield from generate_policy_docs.outputs()
    yield from generate_metrics.outputs()
    yield from dashboards.outputs()
    yield from generate_alerts.outputs()
    yield from generate_cookbook.outputs()
    yield from generate_pictures.outputs()
    yield readme.README, readme.refreshed(readme.README.read_text())


def stale() -> Iterator[tuple[Path, str]]:
    """Those that hold something else."""
    return ((path, text) for path, text in generated() if not path.exists() or path.read_text() != text)


def main(arguments: list[str]) -> int:
    """Write, or check."""
    check = "--check" in arguments
    found = 0
    for path, text in stale():
        found += 1
        sys.stdout.write(f"{path.relative_to(ROOT)}\n")
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    return 1 if check and found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
