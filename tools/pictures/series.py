"""What Prometheus answered, as it is drawn: names by the legend, values by time."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

_LABEL = re.compile(r"{{\s*(\w+)\s*}}")


class Series(NamedTuple):
    """One line: its name, and times in seconds with their values."""

    name: str
    labels: Mapping[str, str]
    times: tuple[float, ...]
    values: tuple[float, ...]


def named(answer: list[dict[str, Any]], legend: str, step: float) -> list[Series]:
    """The answer's series in the order of their names. Where a point is missing the line has a gap."""
    return sorted((_series(one, legend, step) for one in answer), key=lambda one: one.name)


def _series(one: dict[str, Any], legend: str, step: float) -> Series:
    labels = one.get("metric", {})
    times: list[float] = []
    values: list[float] = []
    for at, value in one["values"] if "values" in one else [one["value"]]:
        if times and at - times[-1] > 1.5 * step:
            times.append(times[-1] + step)
            values.append(math.nan)
        times.append(float(at))
        values.append(float(value))
    return Series(_name(labels, legend), labels, tuple(times), tuple(values))


def _name(labels: Mapping[str, str], legend: str) -> str:
    if legend == "__auto":
        return " ".join(value for key, value in labels.items() if key != "__name__")
    return " ".join(_LABEL.sub(lambda found: labels.get(found[1], ""), legend).split())
