"""The guard's counters in Prometheus' text format, for node_exporter's textfile collector (standalone mode)."""

from __future__ import annotations

import os
from typing import get_args

from memguard import __version__
from memguard.core.catalogue import CATALOGUE, REACTION_BUCKETS
from memguard.core.decision import AlarmKind
from memguard.core.model import Container
from memguard.core.policy import Action

#: What stands in the textfile, with its kind and words.
HELP = {metric.name: (metric.kind, metric.help) for metric in CATALOGUE if metric.textfile is not None}


class Metrics:
    """Counters of one guard."""

    def __init__(self) -> None:
        self.decisions: dict[tuple[str, str, str], int] = {}
        self.freed_bytes: dict[str, int] = {}
        self.outcomes: dict[str, int] = {}
        self.release_seconds: dict[str, float] = {}
        self.alarms = dict.fromkeys(get_args(AlarmKind), 0)
        self._buckets = [0] * len(REACTION_BUCKETS)
        self._reactions, self._reaction_seconds = 0, 0.0

    def decided(self, victim: Container, action: Action, seconds: float) -> None:
        """Count a decision that was carried out."""
        self._count("Enforce", action, victim)
        self._reactions += 1
        self._reaction_seconds += seconds
        for index, bound in enumerate(REACTION_BUCKETS):
            self._buckets[index] += seconds <= bound

    def observed(self, victim: Container, action: Action) -> None:
        """Count a decision that was not."""
        self._count("Observe", action, victim)

    def finished(self, action: Action, freed_bytes: int, seconds: float) -> None:
        """Count what an action achieved."""
        self.freed_bytes[action] = self.freed_bytes.get(action, 0) + freed_bytes
        self.outcomes[action] = self.outcomes.get(action, 0) + 1
        self.release_seconds[action] = self.release_seconds.get(action, 0.0) + seconds

    def _count(self, mode: str, action: Action, victim: Container) -> None:
        key = (mode, action, victim.namespace or "")
        self.decisions[key] = self.decisions.get(key, 0) + 1

    def render(self, gauges: dict[str, float], lines: dict[str, int]) -> str:
        """The exposition text; `gauges` by metric name, `lines` by state."""
        samples: dict[str, list[str]] = {name: [] for name in HELP}
        for (mode, action, namespace), count in sorted(self.decisions.items()):
            labels = f'{{mode="{mode}",action="{action}",namespace="{_escaped(namespace)}"}}'
            samples["memguard_decisions_total"].append(f"memguard_decisions_total{labels} {count}")
        for name, values in (
            ("memguard_freed_bytes_total", self.freed_bytes),
            ("memguard_outcomes_total", self.outcomes),
            ("memguard_release_seconds_total", self.release_seconds),
        ):
            samples[name] = [f'{name}{{action="{action}"}} {value}' for action, value in sorted(values.items())]
        samples["memguard_reaction_seconds"] = self._histogram()
        samples["memguard_lines"] = [f'memguard_lines{{state="{state}"}} {n}' for state, n in sorted(lines.items())]
        alarms = [f'memguard_alarms_total{{kind="{kind}"}} {count}' for kind, count in self.alarms.items()]
        samples["memguard_alarms_total"] = alarms
        for name, value in gauges.items():
            samples[name].append(f"{name} {value}")
        samples["memguard_build_info"].append(f'memguard_build_info{{version="{__version__}"}} 1')
        return "".join(_family(name, samples[name]) for name in HELP if samples[name])

    def _histogram(self) -> list[str]:
        name = "memguard_reaction_seconds"
        rows = [
            f'{name}_bucket{{le="{bound}"}} {count}'
            for bound, count in zip(REACTION_BUCKETS, self._buckets, strict=True)
        ]
        total = f'{name}_bucket{{le="+Inf"}} {self._reactions}'
        return [*rows, total, f"{name}_sum {self._reaction_seconds}", f"{name}_count {self._reactions}"]


def write_textfile(path: str, text: str) -> None:
    """Replace the file at once, so that the collector never reads half of it; on OSError the old one stays."""
    temporary = f"{path}.{os.getpid()}"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    try:
        rest = text.encode()
        while rest:  # a disk that is nearly full takes a part, and says so at the next
            rest = rest[os.write(fd, rest) :]
        os.replace(temporary, path)
    except OSError:
        os.unlink(temporary)
        raise
    finally:
        os.close(fd)


def _family(name: str, samples: list[str]) -> str:
    kind, words = HELP[name]
    return "\n".join((f"# HELP {name} {words}", f"# TYPE {name} {kind}", *samples)) + "\n"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
