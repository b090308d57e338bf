"""Grafana's dashboards, made by Grafana's own builders: `python -m tools.generate` writes them into the chart."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from tools.dashboards import cost, decisions, fleet, node, scorecard

DIRECTORY = Path(__file__).resolve().parents[2] / "charts" / "memguard" / "files" / "dashboards"


def outputs() -> Iterator[tuple[Path, str]]:
    """Every dashboard's file and what is to stand in it."""
    for module in (fleet, node, decisions, scorecard, cost):
        board = module.board().build()
        yield DIRECTORY / f"{board.uid}.json", json.dumps(board, cls=JSONEncoder, indent=2, sort_keys=True) + "\n"
