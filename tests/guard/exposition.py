"""A strict reader of Prometheus' text format (docs: instrumenting/exposition_formats), and what promtool would say.

Stricter than the format: every family has HELP and TYPE, in that order, once, before its samples, which stand
together; counters end in _total; units are base units; histograms are cumulative and complete.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)')
SAMPLE = re.compile(rf"({NAME})(?:\{{(.*)\}})? (-?(?:\d+(?:\.\d+)?(?:e[+-]?\d+)?|Inf)|NaN)")
NOT_BASE_UNITS = re.compile(r"_(milliseconds|ms|kib|mib|gib|kilobytes|megabytes|percent|minutes)(_|$)")

Labels = tuple[tuple[str, str], ...]


@dataclass
class Family:
    """One metric with its samples, by sample name and labels."""

    name: str
    words: str
    kind: str = ""
    samples: dict[tuple[str, Labels], float] = field(default_factory=dict)

    def value(self, **labels: str) -> float:
        return self.samples[self.name, tuple(sorted(labels.items()))]


def parse(text: str) -> dict[str, Family]:
    """The families, in their order. AssertionError for everything that is not quite right."""
    assert text == "" or text.endswith("\n")
    families: dict[str, Family] = {}
    for line in text.splitlines():
        if line.startswith("# HELP "):
            _, _, name, words = line.split(" ", 3)
            assert re.fullmatch(NAME, name)
            assert name not in families, f"{name} comes twice"
            assert not re.search(r"\\[^\\n]", words)
            families[name] = Family(name, words)
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name == list(families)[-1]
            assert families[name].kind == ""
            assert kind in ("counter", "gauge", "histogram", "summary")
            families[name].kind = kind
        else:
            _sample(line, families)
    for family in families.values():
        _check(family)
    return families


def unescaped(value: str) -> str:
    return re.sub(r"\\(.)", lambda found: "\n" if found[1] == "n" else found[1], value)


def _sample(line: str, families: dict[str, Family]) -> None:
    match = SAMPLE.fullmatch(line)
    assert match, line
    name, inside, number = match.groups()
    family = families[list(families)[-1]]
    parts = ("", "_bucket", "_sum", "_count") if family.kind == "histogram" else ("",)
    assert name in [family.name + part for part in parts], f"{name} stands under {family.name}"
    pairs = LABEL.findall(inside or "")
    assert "".join(f'{key}="{value}",' for key, value in pairs).rstrip(",") == (inside or ""), line
    assert len({key for key, _ in pairs}) == len(pairs)
    key = (name, tuple(sorted((key, unescaped(value)) for key, value in pairs)))
    assert key not in family.samples, f"{line} comes twice"
    family.samples[key] = float(number)


def _check(family: Family) -> None:
    assert family.words.strip()
    assert family.kind
    assert family.samples, f"{family.name} has no sample"
    assert not NOT_BASE_UNITS.search(family.name)
    assert (family.kind == "counter") == family.name.endswith("_total")
    if family.kind == "counter":
        assert all(value >= 0 for value in family.samples.values())
    if family.kind == "histogram":
        _check_histogram(family)


def _check_histogram(family: Family) -> None:
    buckets = [
        (float(dict(labels)["le"]), value)
        for (name, labels), value in family.samples.items()
        if name == f"{family.name}_bucket"
    ]
    assert buckets == sorted(buckets)
    counts = [count for _, count in buckets]
    assert counts == sorted(counts), "buckets are cumulative"
    assert buckets[-1][0] == float("inf")
    assert counts[-1] == family.samples[f"{family.name}_count", ()]
    assert family.samples[f"{family.name}_sum", ()] >= 0
