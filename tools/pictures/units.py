"""How Grafana writes a value of a unit, about."""

from __future__ import annotations

import math

_BYTES = ("B", "KiB", "MiB", "GiB", "TiB")
_SECONDS = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))


def shown(value: float, unit: str, decimals: int | None = None) -> str:
    """The value with its unit, in three digits unless `decimals` says otherwise."""
    if math.isinf(value) or math.isnan(value):
        return "-" if math.isnan(value) else "∞"
    if unit == "bytes":
        return _bytes(value)
    if unit == "s":
        return _seconds(value)
    if unit == "percentunit":
        return f"{_digits(100 * value, decimals)}%"
    return _digits(value, decimals) + ("/s" if unit == "reqps" else "")


def _bytes(value: float) -> str:
    power = min(len(_BYTES) - 1, int(math.log(abs(value), 1024))) if abs(value) >= 1 else 0
    return f"{_digits(value / 1024**power)} {_BYTES[power]}"


def _seconds(value: float) -> str:
    for size, name in _SECONDS:
        if abs(value) >= size:
            return f"{_digits(value / size)} {name}"
    return "0 s" if value == 0 else f"{_digits(value / 1e-6)} µs"


def _digits(value: float, decimals: int | None = None) -> str:
    if decimals is not None:
        return f"{value:.{decimals}f}"
    if abs(value) >= 100 or value == int(value):
        return f"{value:.0f}"
    return f"{value:.3g}"
