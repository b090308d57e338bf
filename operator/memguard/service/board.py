"""Prometheus' own counters, of the names, labels and values that the catalogue has, and of no other."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, disable_created_metrics
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric as Family

from memguard.core.catalogue import metric

#: Different values of one label; what is beyond them is counted under OTHERS.
MOST_VALUES = 100
OTHERS = "others"


class Board:
    """One process's. `registry` is what the exposition is made of."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # twice the series, for what the start tells
        self.registry = CollectorRegistry()
        self._values: dict[str, set[str]] = {}
        ProcessCollector(registry=self.registry)

    def counter(self, name: str) -> Counter:
        """With a series for each value that is known beforehand: a rise from nothing is no rise to Prometheus."""
        one = metric(name)
        counter = Counter(one.name, one.help, one.labels, registry=self.registry)
        for value in one.values:
            counter.labels(value)
        return counter

    def histogram(self, name: str) -> Histogram:
        """With the catalogue's buckets."""
        one = metric(name)
        return Histogram(one.name, one.help, buckets=one.buckets, registry=self.registry)

    def bounded(self, label: str, value: str) -> str:
        """The value, or OTHERS where the label has too many already."""
        known = self._values.setdefault(label, set())
        if value not in known and len(known) >= MOST_VALUES:
            return OTHERS
        known.add(value)
        return value


def family_of(name: str, samples: Iterable[tuple[tuple[str, ...], float]]) -> Family:
    """A gauge or a counter as it stands: values by those of its labels."""
    one = metric(name)
    counter = one.kind == "counter"
    make = CounterMetricFamily if counter else GaugeMetricFamily
    family = make(name.removesuffix("_total") if counter else name, one.help, labels=one.labels)
    for labels, value in samples:
        family.add_metric(labels, value)
    return family
