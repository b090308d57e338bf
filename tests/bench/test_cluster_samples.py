"""From the conductor's rows to figures and verdicts."""

import base64
import struct
import zlib
from collections.abc import Mapping
from typing import Any

import pytest
from bench.cluster.conductor import packed
from bench.cluster.incidents import INNOCENTS, MIB, by_name
from bench.cluster.samples import AVAILABLE, Rows, Seen, Watched, failures, figures, unpacked

LEAK, GUARD = "/c/leak", "/c/guard"
WATCHED = Watched(culprits=(LEAK,), innocents={name: f"/c/{name}" for name in INNOCENTS}, guard=GUARD)
TOLD: dict[str, Any] = {
    "kernelKills": 0,
    "memoryHigh": ["max\n"],
    "heldBytes": {"service": 600 * MIB, "cache": MIB, "innocent": MIB},
    "latency": {"p99_ms": 12.5, "worst_ms": 40.0},
    "guardRssBytes": 20 * MIB,
}


def seen(changes: Mapping[str, list[int]] | None = None, incident: str = "leak-50", **told: Any) -> Seen:
    """Five rows, 0.1 s apart; what is not said stands still."""
    still = {name: [1] * 5 for name in WATCHED.columns}
    still[AVAILABLE] = [300 * 1024] * 5
    columns = {**still, **(changes or {})}
    return Seen(
        incident=by_name(incident),
        watched=WATCHED,
        rows=Rows([0.0, 0.1, 0.2, 0.3, 0.4], columns),
        told={**TOLD, **told},
    )


DEAD = {f"{LEAK}/cgroup.events#populated": [1, 1, 1, 0, -1]}
CROSSED = {AVAILABLE: [value * 1024 for value in (300, 90, 40, 200, 300)]}


def test_what_was_written_is_read_again_without_the_empty_rows() -> None:
    columns = ["a", "b"]
    rows = [(10_000_000_000, 0, 1, -1), (10_500_000_000, 0, 2, 7)]
    header = struct.pack("<4q", len(rows), 4, 0, 0)
    raw = header + b"".join(struct.pack("<4q", *row) for row in rows) + bytes(4096)
    text = packed(raw)
    assert len(zlib.decompress(base64.b64decode(text))) == 3 * 4 * 8
    found = unpacked(text, columns, began_ns=10_200_000_000)
    assert found.seconds == [pytest.approx(0.3)]
    assert found.columns == {"a": [2], "b": [7]}


def test_every_watched_file_is_a_column_within_what_the_sampler_takes() -> None:
    two = Watched(culprits=("/c/one", "/c/two"), innocents=WATCHED.innocents, guard=GUARD)
    assert len(two.columns) == len(set(two.columns)) <= 24


def test_time_is_counted_from_the_line_to_the_end() -> None:
    found = figures(seen({**DEAD, **CROSSED}))
    assert found["deadMs"] == pytest.approx(200)
    assert found["leastLeftMib"] == 40
    assert failures(seen({**DEAD, **CROSSED})) == []


def test_a_line_that_was_not_crossed_makes_no_delay_and_no_death_no_figure() -> None:
    assert figures(seen(DEAD))["deadMs"] == 0
    alive = seen(CROSSED)
    assert "deadMs" not in figures(alive)
    assert failures(alive) == ["still alive: leak-1"]


def test_under_a_limit_what_is_left_is_the_limits() -> None:
    held = {f"{LEAK}/memory.current": [value * MIB for value in (64, 150, 250, 0, 0)]}
    found = figures(seen({**DEAD, **held}, "limit-50"))
    assert found["leastLeftMib"] == 6
    assert found["deadMs"] == pytest.approx(100)


def test_a_victim_costs_its_work_and_what_it_held() -> None:
    died = {"/c/service/cgroup.events#populated": [1, 1, 0, -1, -1], "/c/service/cpu.stat#usage_usec":
            [5_000_000, 5_400_000, 5_500_000, -1, -1]}  # fmt: skip
    found = figures(seen({**DEAD, **died}, kernelKills=2))
    assert (found["innocentsTouched"], found["workLostMs"], found["overFreedMib"]) == (1, 500, 600)
    wrong = failures(seen({**DEAD, **died}, kernelKills=2))
    assert wrong == ["the kernel's OOM killer struck", "touched: service"]


def test_an_innocent_that_died_tells_no_latency() -> None:
    died = {"/c/innocent/cgroup.events#populated": [1, 0, 0, 0, 0]}
    assert "p99Ms" not in figures(seen({**DEAD, **died}))
    assert figures(seen(DEAD))["worstMs"] == 40


def test_the_fill_is_taken_from_the_middle() -> None:
    held = {f"{LEAK}/memory.current": [value * MIB for value in (0, 20, 60, 100, 0)]}
    assert figures(seen({**DEAD, **held}))["fillMibS"] == pytest.approx(60 / 0.2)


def test_of_the_guard_only_memguards_own_cgroup_is_told() -> None:
    costs = {f"{GUARD}/cpu.stat#usage_usec": [1000, 2000, 3000, 4000, 6000]}
    found = figures(seen({**DEAD, **costs}))
    assert (found["guardCpuMs"], found["guardRssMib"]) == (5, 20)
    bare = Watched(culprits=(LEAK,), innocents=WATCHED.innocents)
    kubelets = Seen(
        incident=by_name("leak-50"), watched=bare, rows=seen(DEAD).rows, told={**TOLD, "guardRssBytes": None}
    )
    assert not {name for name in figures(kubelets) if name.startswith("guard")}


def test_a_brake_of_kubelets_own_is_told() -> None:
    assert "memoryHighMib" not in figures(seen(DEAD))
    assert figures(seen(DEAD, memoryHigh=[f"{236 * MIB}\n"]))["memoryHighMib"] == 236


def test_in_the_calm_nobody_is_to_die() -> None:
    calm = Watched(culprits=(), innocents=WATCHED.innocents)
    quiet = Seen(incident=by_name("calm"), watched=calm, rows=seen().rows, told={**TOLD, "memoryHigh": []})
    assert failures(quiet) == []
    assert "fillMibS" not in figures(quiet)
