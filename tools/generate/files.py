"""Every generated file with what it should hold, and which of them are stale."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from e2e import images
from tests.cli import golden, incident
from tools import dashboards
from tools.generate import alerts, chart, commands, cookbook, crds, kinds, metrics, readme, score
from tools.pictures import drawings
from tools.supply import licences

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "docs" / "examples" / "incident.jsonl"


def generated() -> Iterator[tuple[Path, str]]:
    """Every generated file with what it should hold; the README shows what is made before it."""
    yield EXAMPLE, "".join(json.dumps(line) + "\n" for line in incident.lines())
    yield from golden.outputs()
    yield from score.outputs()
    yield from commands.outputs()
    yield from images.requirements()
    yield from crds.outputs()
    yield from chart.outputs()
    yield from kinds.outputs()
    yield from metrics.outputs()
    yield from dashboards.outputs()
    yield from alerts.outputs()
    yield from cookbook.outputs()
    yield from drawings.outputs()
    yield from licences.outputs()
    yield readme.README, readme.refreshed(readme.README.read_text())


def stale() -> Iterator[tuple[Path, str]]:
    """Those that hold something else."""
    return ((path, text) for path, text in generated() if not path.exists() or path.read_text() != text)
