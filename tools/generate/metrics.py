"""docs/metrics.md, from the catalogue that agent, guard and operator expose."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tools.markdown import table

from memguard.core.catalogue import SECTIONS, Metric

PAGE = Path(__file__).resolve().parents[2] / "docs" / "metrics.md"
HEAD = """# Metrics

Generated from operator/memguard/core/catalogue.py by `make generate`.

In a cluster the agent of each node serves these at `:9465/metrics` (the operator its own, and those of the watches, at
`:9466`), as Prometheus' text or, for who asks for it, as
OpenMetrics; beside them stand Python's usual `process_*`. A standalone guard writes those with an entry in the column
*textfile* for node_exporter's textfile collector ([guard.md](guard.md)). The conventions are those of Prometheus and
cAdvisor: base units, counters end in `_total`, labels are called as cAdvisor and kube-state-metrics call them.

- Labels are bounded. No pid, no UID and no container id is one; a pod's own series are gauges of the ten containers
  that are nearest to being chosen, and are gone when it is no longer among them. `namespace`, `policy` and `trigger`
  have at most 100 values each for one agent; what is beyond is counted under `others`.
- Counters with a short list of label values show 0 from the start. `memguard_decisions_total` cannot: for an alert that
  must not miss the first, use `memguard_outcomes_total`.
- Counters of the guard's own (turns, CPU, brake, budget) go on when the guard begins anew.
- `memguard_reaction_seconds` carries the decision's id as an exemplar (OpenMetrics), which is the name of its
  MemoryGuardDecision.
"""


def outputs() -> Iterator[tuple[Path, str]]:
    """The page."""
    yield PAGE, "\n".join((HEAD, *(_section(title, metrics) for title, metrics in SECTIONS.items())))


def _section(title: str, metrics: tuple[Metric, ...]) -> str:
    return f"## {title}\n\n{table(('metric', 'type', 'labels', 'textfile', 'meaning'), map(_row, metrics))}"


def _row(metric: Metric) -> tuple[str, ...]:
    values = f": {', '.join(metric.values)}" if metric.values else ""
    buckets = f" (buckets of {', '.join(f'{bound:g}' for bound in metric.buckets)} s)"
    labels = ", ".join(f"`{label}`" for label in metric.labels) + values
    textfile = "" if metric.textfile is None else ", ".join(f"`{label}`" for label in metric.textfile) or "yes"
    words = metric.help + (buckets if metric.buckets else "")
    return f"`{metric.name}`", metric.kind, labels, textfile, words
