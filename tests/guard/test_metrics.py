"""The metrics, as the textfile collector and Prometheus read them."""

from __future__ import annotations

import errno
import os
import re
import resource
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.make import container
from tests.guard import exposition

from memguard import __version__
from memguard.core.catalogue import CATALOGUE
from memguard.guard.metrics import HELP, REACTION_BUCKETS, Metrics, write_textfile

GAUGES: dict[str, float] = {
    "memguard_node_headroom_bytes": -5,
    "memguard_containers": 2,
    "memguard_unmapped_containers": 0,
    "memguard_kernel_oom_kills_total": 1,
    "memguard_journal_dropped_lines_total": 0,
    "memguard_guard_cpu_seconds_total": 0.25,
    "memguard_last_look_timestamp_seconds": 1795413600.123,
}
VICTIM = container("a", namespace="shop")


def some() -> Metrics:
    metrics = Metrics()
    metrics.decided(VICTIM, "kill", 0.0002)
    metrics.decided(VICTIM, "kill", 0.3)
    metrics.decided(VICTIM, "terminate", 7.0)
    metrics.observed(VICTIM, "kill")
    metrics.finished("kill", 1 << 30, 0.05)
    metrics.finished("kill", 0, 0.25)
    metrics.alarms["foreign"] += 1
    return metrics


def rendered(metrics: Metrics | None = None) -> dict[str, exposition.Family]:
    return exposition.parse((metrics or some()).render(dict(GAUGES), {"armed": 3, "resting": 1}))


@pytest.mark.row("T2", "G4")
def test_every_figure_arrives() -> None:
    found = rendered()
    decisions = found["memguard_decisions_total"]
    assert decisions.value(mode="Enforce", action="kill", namespace="shop") == 2
    assert decisions.value(mode="Enforce", action="terminate", namespace="shop") == 1
    assert decisions.value(mode="Observe", action="kill", namespace="shop") == 1
    assert found["memguard_freed_bytes_total"].value(action="kill") == 1 << 30
    assert found["memguard_outcomes_total"].value(action="kill") == 2
    assert found["memguard_release_seconds_total"].value(action="kill") == pytest.approx(0.3)
    assert found["memguard_alarms_total"].value(kind="foreign") == 1
    assert found["memguard_alarms_total"].value(kind="supervisor") == 0
    assert found["memguard_lines"].value(state="armed") == 3
    assert found["memguard_build_info"].value(version=__version__) == 1
    assert {name: found[name].value() for name in GAUGES} == GAUGES
    assert set(found) == set(HELP)


def test_a_guard_that_did_nothing_yet_is_well_formed() -> None:
    found = rendered(Metrics())
    assert found["memguard_reaction_seconds"].samples["memguard_reaction_seconds_count", ()] == 0
    assert "memguard_decisions_total" not in found, "a family without a sample is not shown"


def test_a_text_is_the_same_twice() -> None:
    metrics = some()
    assert metrics.render(dict(GAUGES), {}) == metrics.render(dict(GAUGES), {})


@pytest.mark.row("G4")
@given(st.lists(st.floats(0, 100, allow_subnormal=False), max_size=30))
def test_the_histogram_counts_what_was_seen(seconds: list[float]) -> None:
    metrics = Metrics()
    for one in seconds:
        metrics.decided(VICTIM, "kill", one)
    family = rendered(metrics)["memguard_reaction_seconds"]
    for bound in REACTION_BUCKETS:
        key = ("memguard_reaction_seconds_bucket", (("le", str(bound)),))
        assert family.samples[key] == sum(one <= bound for one in seconds)
    assert family.samples["memguard_reaction_seconds_sum", ()] == pytest.approx(sum(seconds))


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
def test_any_namespace_is_escaped(namespace: str) -> None:
    metrics = Metrics()
    metrics.observed(container("a", namespace=namespace), "kill")
    text = metrics.render({}, {})
    lines = [line for line in text.split("\n") if line.startswith("memguard_decisions_total{")]
    assert len(lines) == 1
    match = re.search(r'namespace="(.*)"\}', lines[0])
    assert match
    assert exposition.unescaped(match[1]) == namespace


def test_promtool_finds_nothing_to_say() -> None:
    """Debian's prometheus brings promtool; without it the reader above, which is stricter, has the word."""
    text = some().render(dict(GAUGES), {"armed": 3})
    assert exposition.parse(text)
    promtool = shutil.which("promtool")
    if promtool:
        ran = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False)
        assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


def test_every_label_is_the_catalogues() -> None:
    shown = {
        name: {key for _, labels in family.samples for key, _ in labels} - {"le"} for name, family in rendered().items()
    }
    assert shown == {one.name: set(one.textfile) for one in CATALOGUE if one.textfile is not None}


# --- the file


def test_the_file_is_there_at_once(tmp_path: Path) -> None:
    path = tmp_path / "memguard.prom"
    write_textfile(str(path), "old\n")
    before = path.stat().st_ino
    with path.open() as held:
        write_textfile(str(path), "new\n")
        assert held.read() == "old\n", "who reads it just now reads one text"
    assert path.read_text() == "new\n"
    assert path.stat().st_ino != before
    assert path.stat().st_mode & 0o777 == 0o644
    assert [entry.name for entry in tmp_path.iterdir()] == ["memguard.prom"]


def test_the_collector_does_not_take_the_unfinished_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    replace = os.replace
    monkeypatch.setattr(os, "replace", lambda *names: (seen.extend(names), replace(*names)))
    write_textfile(str(tmp_path / "memguard.prom"), "x\n")
    assert not seen[0].endswith(".prom")


def test_a_disk_that_takes_half_of_it_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "memguard.prom"
    write_textfile(str(path), "old\n")
    child = os.fork()
    if child == 0:
        code = 1
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))
            write_textfile(str(path), "new\n" * 100)
        except OSError as error:
            code = 0 if error.errno in (errno.EFBIG, errno.ENOSPC) else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert path.read_text() == "old\n"
    assert [entry.name for entry in tmp_path.iterdir()] == ["memguard.prom"], "and leaves nothing beside it"


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_textfile(str(tmp_path / "none" / "memguard.prom"), "x")
