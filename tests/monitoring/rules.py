"""The alerts as the chart has them, and what of a PromQL expression a regular expression can see."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

ROOT = Path(__file__).resolve().parents[2]
ALERTS = ROOT / "charts" / "memguard" / "files" / "alerts.yaml"
RUNBOOKS = ROOT / "docs" / "runbooks"
RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]
]
NAMES = sorted({rule["alert"] for rule in RULES})

_SELECTOR = re.compile(r"\b((?:memguard|process)_\w+)(?:\{([^}]*)\})?")
_MATCHER = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")
_GROUPING = re.compile(r"\b(?:by|on|without|ignoring|group_left|group_right)\s*\(([^)]*)\)")


class Use(NamedTuple):
    """A metric in an expression, with the labels that its matchers name."""

    metric: str
    labels: frozenset[str]
    text: str


def uses(expression: str) -> Iterator[Use]:
    """Every metric of an expression."""
    for found in _SELECTOR.finditer(expression):
        yield Use(found[1], frozenset(_MATCHER.findall(found[2] or "")), found[0])


def grouped(expression: str) -> frozenset[str]:
    """The labels that it is summed or joined by."""
    return frozenset(name for inside in _GROUPING.findall(expression) for name in re.findall(r"\w+", inside))


def stem(alert: str) -> str:
    """The runbook of an alert: MemguardNodeUnfit has node-unfit."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", alert.removeprefix("Memguard")).lower()
