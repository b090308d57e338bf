"""Figures of costs as the machine would bring them back."""

from __future__ import annotations

from typing import Any

from bench.costs.figures import Day, Deed, Idle, Pass, Process, Sample, Start

MIB = 1 << 20


def one_pass(containers: int, judge_ms: float, c_ms: float = 20.0) -> Pass:
    return Pass(
        containers=containers, c_ms=(c_ms + 1, c_ms), read_ms=(c_ms * 1.4,), score_ms=(judge_ms * 0.8,),
        judge_ms=(judge_ms, judge_ms * 1.05),
    )  # fmt: skip


def idle(guard: str, containers: int, **facts: Any) -> Idle:
    usual: dict[str, Any] = {
        "alive": True, "node_mib": 7947, "cpu_ms": 10.0, "wake_ups": 120, "rss_kib": 20 << 10, "pss_kib": 18 << 10,
        "descriptors": 100, "cgroup_bytes": 24 * MIB,
    }  # fmt: skip
    return Idle(guard=guard, containers=containers, **usual | facts)


def day(*rss_kib: int, descriptors: int = 800, cgroup_step: int = 0) -> Day:
    """Samples a quarter of an hour apart, from the first on."""
    samples = [
        Sample(
            at_seconds=900 * number,
            rss_kib=rss,
            descriptors=descriptors,
            cgroup_bytes=25 * MIB + cgroup_step * number,
            anon_bytes=18 * MIB,
            kernel_bytes=3 * MIB,
            cpu_ms=250.0 * number,
            wake_ups=1800 * number,
        )
        for number, rss in enumerate(rss_kib, 1)
    ]
    return Day(containers=50, came=5 * len(samples), samples=tuple(samples), wall_seconds=400)


def deed(**facts: Any) -> Deed:
    usual: dict[str, Any] = {
        "containers": 250, "seconds": 0.00108, "allocations": 670, "allocated_bytes": 240_000, "blocks": 70,
        "collections": 0, "minor_faults": 0, "major_faults": 0,
    }  # fmt: skip
    return Deed(**usual | facts)


def start(ready_ms: float) -> Start:
    return Start(
        containers=10, interpreter_ms=70, imported_ms=245, discovered_ms=305, protected_ms=315, ready_ms=ready_ms
    )


def process(program: str, size: int, rss_mib: float) -> Process:
    return Process(program=program, size=size, ready_seconds=0.8, rss_mib=rss_mib, cpu_ms=80, wake_ups=500)
