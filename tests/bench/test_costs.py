"""What costs: claims that can fail, tables that say what was measured, a report that keeps what is whole."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
from bench.costs import claims, docs, machine, parts, report, tables
from bench.costs.figures import Figures, figures
from bench.kernel.docs import PAGE
from tests.bench.measured import day, deed, idle, one_pass, process, start


def verdict(words: str, **found: Any) -> tuple[bool | None, str]:
    """Of the one claim that begins like this."""
    [claim] = [one for one in claims.claims(Figures(**found)) if one["claim"].startswith(words)]
    return claim["holds"], claim["measured"]


def test_nothing_holds_of_what_was_not_measured() -> None:
    made = claims.claims(Figures())
    assert {claim["holds"] for claim in made} == {None}
    assert not claims.broken(made)


def test_the_pass_is_judged_with_all_that_it_does_and_by_its_best_rounds() -> None:
    assert verdict("the whole pass", passes=(one_pass(250, 40.0),)) == (True, "2.00 (40.0 of 20.0 ms)")
    assert verdict("the whole pass", passes=(one_pass(250, 40.5),))[0] is False
    assert verdict("the whole pass", passes=(one_pass(500, 40.0),))[0] is None
    assert verdict("reading and scoring", passes=(one_pass(250, 40.5),)) == (True, "1.62 (32.4 of 20.0 ms)")
    assert verdict("reading and scoring", passes=(one_pass(250, 51.0),))[0] is False


def test_what_costs_each_container_more_at_a_thousand_is_not_linear() -> None:
    few = one_pass(250, 40.0)
    assert verdict("cost for each", passes=(few, one_pass(1000, 170.0)))[0]
    assert verdict("cost for each", passes=(few, one_pass(1000, 177.0))) == (False, "1.106 (177 of 160 us)")


def test_idle_is_judged_on_each_node_by_itself() -> None:
    large = (idle("memguard", 10), idle("memguard", 1000, cpu_ms=12.9), idle("nohang", 10, cpu_ms=4.0))
    small = (idle("memguard", 10, node_mib=966), idle("memguard", 250, node_mib=966, cpu_ms=14.0))
    assert verdict("idle on 8 GiB: 1000 containers <= 1.3 x 10, CPU", idle=large) == (True, "12.9 and 10.0 ms")
    assert verdict("idle on 1 GiB: 250 containers <= 1.3 x 10, CPU", idle=(*large, *small))[0] is False
    beside = "CPU of an idle minute on 8 GiB"
    assert verdict(beside, idle=large) == (False, "10.0 of 4.0 ms with 10")
    assert verdict(beside, idle=(*large[:2], idle("nohang", 10), idle("nohang", 1000, cpu_ms=13.0)))[0]
    assert verdict("CPU of an idle minute on 1 GiB", idle=small)[0] is None


def test_a_day_is_flat_once_it_is_warm() -> None:
    warming = day(*range(1000, 1800, 100), *[2000] * 88)
    assert verdict("a day later", day=warming) == (True, "+0 KiB")
    growing = day(*(2000 + 2 * number for number in range(96)))
    assert verdict("a day later", day=growing) == (False, "+132 KiB")
    assert verdict("no more descriptors", day=warming)[0]
    assert verdict("nor in its cgroup", day=warming)[0]
    assert verdict("nor in its cgroup", day=day(*[2000] * 96, cgroup_step=5120)) == (False, "+330 KiB")


def test_one_fault_on_the_way_to_a_kill_is_told() -> None:
    words = "from wake-up to kill"
    assert verdict(words, deeds=(deed(), deed(containers=10))) == (True, "0, 0")
    assert verdict(words, deeds=(deed(), deed(minor_faults=1))) == (False, "0, 1")
    assert verdict(words, deeds=(deed(collections=1),))[0] is False


def test_agent_and_operator_have_their_budgets() -> None:
    assert verdict("agent", agents=(process("agent", 110, 44.0),)) == (True, "44.0 with 110 pods")
    assert verdict("operator", operators=(process("operator", 500, 151.0),))[0] is False


def test_tables_show_what_was_measured() -> None:
    found = Figures(
        passes=(one_pass(250, 40.0),),
        idle=(idle("memguard", 1000),),
        day=day(*[2000] * 96),
        deeds=(deed(),),
        starts=(start(320), start(330), start(325)),
        agents=(process("agent", 110, 44.0),),
        operators=(process("operator", 500, 60.0),),
    )
    assert "| 250 | 20.00 (+5 %) | 28.00 | 32.00 | 40.00 (+5 %) | 2.00 | 160 |" in tables.passes(found)
    assert "| 8 GiB | 1,000 | memguard | 10.0 | 120 | 20.0 | 18.0 | 24.0 | 100 |" in tables.idle(found)
    assert "| 24 h, 480 containers came and went | first quarter | last |" in tables.day(found)
    assert "| CPU, ms a minute | 16.7 | 16.7 |" in tables.day(found)
    assert "| 250 | 1.08 | 670 | 234 | 70 | 0 | 0 | 0 |" in tables.kills(found)
    assert "| 10 | 70 | 175 | 60 | 10 | 10 | 325 [320-330] |" in tables.starts(found)
    assert "| 110 pods | 0.8 | 44.0 | 80 | 500 |" in tables.agents(found)
    assert "| 500 nodes | 0.8 | 60.0 | 80 | 500 |" in tables.operators(found)
    assert figures(msgspec.to_builtins(found)) == found


def whole(**more: Any) -> dict[str, Any]:
    return {"quick": False, "measured": {}, "figures": {}, "claims": [], **more}


def test_a_quick_run_never_takes_a_whole_ones_place() -> None:
    quick, again = whole(quick=True, claims=["first"]), whole(quick=True, claims=["again"])
    assert report.merged({}, quick) == quick
    assert report.merged(quick, again) == again
    assert report.merged(whole(), quick) == whole(quickly=quick)
    assert report.merged(whole(quickly=quick), again) == whole(quickly=again)
    assert report.merged(quick, whole()) == whole(quickly=quick)
    assert report.merged(whole(quickly=quick), whole(claims=["new"])) == whole(claims=["new"], quickly=quick)


def test_parts_are_kept_by_the_code_that_they_measured(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "one.py").write_text("1")
    (tmp_path / "two.c").write_text("2")
    before = parts.fingerprint(("a", "two.c"), tmp_path)
    assert before == parts.fingerprint(("a", "two.c"), tmp_path)
    (tmp_path / "two.c").write_text("3")
    assert parts.fingerprint(("a", "two.c"), tmp_path) != before


def test_every_part_is_measured_of_code_that_is_there() -> None:
    for place in (*parts.OF_THE_GUARD, *parts.OF_THE_CLUSTER, *parts.PROGRAMS.values()):
        assert (parts.ROOT / place).exists(), place


def test_the_scale_counts_requests_to_the_allocators() -> None:
    """In an interpreter of its own: nothing takes the hooks away again."""
    script = """
import ctypes, sys
library, found = ctypes.PyDLL(sys.argv[1]), (ctypes.c_ulong * 2)()
library.install()
library.told(found)
before, size = found
kept = [bytes(10_000) for _ in (None,) * 1000]
library.told(found)
print(found[0] - before, found[1] - size)
"""
    command = [sys.executable, "-c", script, str(machine.allocations())]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    requests, requested = map(int, ran.stdout.split())
    assert 1000 <= requests <= 1100
    assert 10_000_000 <= requested <= 10_200_000


def test_the_page_is_as_the_report_says() -> None:
    assert docs.page() == PAGE.read_text(encoding="utf-8")


def test_what_is_committed_was_measured_whole() -> None:
    section = docs.committed()
    assert not section["quick"]
    assert set(section["measured"]) == set(parts.PARTS)
    assert section["claims"] == claims.claims(report.figures_of(section))


def test_every_table_of_what_was_measured_is_filled() -> None:
    section = docs.committed()
    for name, write in tables.TABLES.items():
        if docs.PARTS.get(name, name) in section["measured"]:
            assert write(report.figures_of(section)).count("\n") > 2, name
