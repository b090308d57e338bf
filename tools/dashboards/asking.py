"""A dashboard as Grafana asks for it: its panels, and their queries with the variables filled in."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

_VARIABLE = re.compile(r"\$(\w+)|\$\{(\w+)\}")


class Span(NamedTuple):
    """A time range in seconds since the epoch, a point each `step`; `window` is as wide as $__rate_interval."""

    start: float
    end: float
    step: float
    window: float

    @property
    def variables(self) -> dict[str, str]:
        """What Grafana puts in for it."""
        return {"__rate_interval": f"{self.window:.0f}s", "__range": f"{self.end - self.start:.0f}s"}


class Asked(NamedTuple):
    """One query of a panel; `instant`: it is asked for the end of the span alone."""

    board: str
    panel: dict[str, Any]
    ref: str
    expression: str
    legend: str
    instant: bool

    @property
    def name(self) -> str:
        """Where it stands, for people."""
        return f"{self.board}: {self.panel['title']} ({self.ref})"


def read(path: Path) -> dict[str, Any]:
    """A dashboard's file."""
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def panels(board: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Those that show something; rows are headlines."""
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def choices(board: Mapping[str, Any], **given: str) -> dict[str, str]:
    """A value for each variable: All where there is such a choice, else the one that is given."""
    return {
        one["name"]: one["allValue"] if one.get("includeAll") else given.get(one["name"], "")
        for one in board["templating"]["list"]
    }


def asked(board: Mapping[str, Any], variables: Mapping[str, str]) -> Iterator[Asked]:
    """Every query. Raises KeyError for a variable that nobody fills in."""
    for panel in panels(board):
        for target in panel["targets"]:
            yield Asked(
                board["uid"],
                panel,
                target["refId"],
                filled(target["expr"], variables),
                target["legendFormat"],
                target["instant"],
            )


def filled(expression: str, variables: Mapping[str, str]) -> str:
    """With the variables' values."""
    return _VARIABLE.sub(lambda found: variables[found[1] or found[2]], expression)
