"""Prometheus' own counters, of the names, labels and values that the catalogue has, and of no other."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, ProcessCollector, disable_created_metrics

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

    def bounded(self, label: str, value: str) -> str:
        """The value, or OTHERS where the label has too many already."""
        known = self._values.setdefault(label, set())
        if value not in known and len(known) >= MOST_VALUES:
            return OTHERS
        known.add(value)
        return value
