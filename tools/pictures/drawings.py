"""docs/pictures/*.svg, some of them drawn from what the code decides."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tools.pictures import concepts, costs, measured, race, rankings

PICTURES = Path(__file__).resolve().parents[2] / "docs" / "pictures"
DRAWN = (
    concepts.parts, concepts.line, concepts.ladder, concepts.modes, concepts.icon,
    measured.threshold, measured.score, measured.horizons, rankings.victims, race.race,
    costs.costs,
)  # fmt: skip


def outputs() -> Iterator[tuple[Path, str]]:
    """Every picture."""
    for draw in DRAWN:
        yield PICTURES / f"{draw.__name__}.svg", draw()
