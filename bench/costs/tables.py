"""The costs as tables, for the terminal and for docs/benchmarks.md."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from statistics import median
from typing import Any

from bench.costs.claims import node_words, quarters
from bench.costs.figures import Figures, Pass, Process, Sample
from bench.kernel.docs import VERDICTS
from tools.markdown import table


def claims(made: Iterable[dict[str, Any]]) -> str:
    """What must hold."""
    rows = ((claim["claim"], VERDICTS[claim["holds"]], claim["measured"]) for claim in made)
    return table(("claim", "holds", "measured"), rows)


def passes(found: Figures) -> str:
    """Best round of each, and the whole pass beside the C program."""

    def row(one: Pass) -> tuple[str, ...]:
        columns = (one.c_ms, one.read_ms, one.score_ms, one.judge_ms)
        return (f"{one.containers:,}", *map(_spread, columns), f"{one.ratio:.2f}", f"{one.each_us:.0f}")

    head = ("containers", "C, ms", "reading", "and scoring", "and choosing", "x C", "us each")
    return table(head, map(row, found.passes))


def _spread(rounds: Sequence[float]) -> str:
    """The best, and how much slower the slowest was, in percent where it is one at least."""
    slower = 100 * (max(rounds) / min(rounds) - 1)
    return f"{min(rounds):.2f}" + (f" (+{slower:.0f} %)" if slower >= 1 else "")


def idle(found: Figures) -> str:
    """Every guard, by node and containers."""
    rows = (
        (
            node_words(one), f"{one.containers:,}", one.guard, f"{one.cpu_ms:.1f}", one.wake_ups,
            f"{one.rss_kib / 1024:.1f}", f"{one.pss_kib / 1024:.1f}", f"{one.cgroup_bytes / 2**20:.1f}",
            one.descriptors,
        )
        for one in found.idle
    )  # fmt: skip
    head = (
        "node", "containers", "guard", "CPU ms", "wake-ups", "RSS MiB", "PSS MiB", "cgroup MiB", "descriptors"
    )  # fmt: skip
    return table(head, rows)


def day(found: Figures) -> str:
    """The medians of the first and the last quarter, without the warm-up."""
    if found.day is None:
        return ""
    parts = quarters(found.day.samples)
    measures: tuple[tuple[str, Callable[[Sample], float]], ...] = (
        ("RSS, KiB", lambda one: one.rss_kib),
        ("descriptors", lambda one: one.descriptors),
        ("cgroup, KiB", lambda one: one.cgroup_bytes / 1024),
        ("of it anonymous, KiB", lambda one: one.anon_bytes / 1024),
        ("of it the kernel's, KiB", lambda one: one.kernel_bytes / 1024),
    )
    rows = [(name, *(f"{median(map(value, part)):.0f}" for part in parts)) for name, value in measures]
    rows += [
        (name, *(f"{_pace(part, value):.1f}" for part in parts))
        for name, value in (
            ("CPU, ms a minute", lambda one: one.cpu_ms),
            ("wake-ups a minute", lambda one: float(one.wake_ups)),
        )
    ]
    return table((f"{found.day.hours:.0f} h, {found.day.came} containers came and went", "first quarter", "last"), rows)


def _pace(part: Sequence[Sample], value: Callable[[Sample], float]) -> float:
    seconds = part[-1].at_seconds - part[0].at_seconds
    return (value(part[-1]) - value(part[0])) / seconds * 60 if seconds else 0.0


def kills(found: Figures) -> str:
    """From wake-up to kill."""
    head = ("containers", "ms", "allocations", "KiB", "blocks kept", "collections", "minor faults", "major faults")
    return table(
        head,
        (
            (
                f"{one.containers:,}", f"{one.seconds * 1000:.2f}", one.allocations,
                f"{one.allocated_bytes / 1024:.0f}", one.blocks, one.collections, one.minor_faults, one.major_faults,
            )
            for one in found.deeds
        ),
    )  # fmt: skip


STEPS = ("interpreter_ms", "imported_ms", "discovered_ms", "protected_ms", "ready_ms")


def starts(found: Figures) -> str:
    """What each step takes by itself, medians of the starts."""

    def row(count: int) -> tuple[str, ...]:
        mine = [one for one in found.starts if one.containers == count]
        until = [median(getattr(one, step) for one in mine) for step in STEPS]
        alone = (later - earlier for earlier, later in zip((0.0, *until), until, strict=False))
        return (f"{count:,}", *(f"{ms:.0f}" for ms in alone), _range([one.ready_ms for one in mine]))

    counts = dict.fromkeys(one.containers for one in found.starts)
    head = ("containers", "interpreter, ms", "imports", "discovery", "locking", "the rest", "ready after, ms")
    return table(head, map(row, counts))


def _range(values: Sequence[float]) -> str:
    return f"{median(values):.0f} [{min(values):.0f}-{max(values):.0f}]"


def agents(found: Figures) -> str:
    """By the pods of their nodes."""
    return _processes("agent beside", "pods", found.agents)


def operators(found: Figures) -> str:
    """By the cluster's nodes."""
    return _processes("operator beside", "nodes", found.operators)


def _processes(words: str, of: str, found: Sequence[Process]) -> str:
    rows = ((f"{one.size} {of}", one.ready_seconds, one.rss_mib, one.cpu_ms, one.wake_ups) for one in found)
    return table((words, "ready after, s", "RSS MiB", "CPU ms a minute", "wake-ups a minute"), rows)


#: By the part that measures it.
TABLES: dict[str, Callable[[Figures], str]] = {
    "pass": passes, "idle": idle, "day": day, "kill": kills, "start": starts, "agent": agents,
    "operator": operators,
}  # fmt: skip
