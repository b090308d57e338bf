"""The recorded incidents: whole, true to a story that was told before, and judged as the simulated ones."""

import functools
import json
import random
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from bench.victims.__main__ import main
from bench.victims.peers import PEERS, _oom_score
from bench.victims.play import TRIGGER
from bench.victims.recording import judged, record, tables
from bench.victims.recording.archive import FOLDER, Recording, keep, read
from bench.victims.recording.incidents import CLUSTER_KINDS, INCIDENTS, SEEDS, script, truth
from bench.victims.recording.script import Script
from bench.victims.report import ITSELF, RANKING, US
from bench.victims.trace import footprint, remaining
from bench.victims.triggers import DAEMONS
from bench.victims.verdict import Decision

from memguard.core.replay import replay
from memguard.core.trace import Header, Reading, decode_lines

RECORDINGS = list(read())
MIB = 1 << 20
#: What git is asked to carry.
MOST_BYTES = 2 << 20
#: Points of oom_score (of 2000) by which a model of the kernel's may be off: pages that no snapshot counts.
OFF = 6


@pytest.fixture(params=RECORDINGS, ids=lambda recording: recording.name)
def recording(request: pytest.FixtureRequest) -> Recording:
    found: Recording = request.param
    return found


def snapshots(recording: Recording) -> list[dict[str, Any]]:
    return [json.loads(line)["snapshot"] for line in recording.snapshots]


def test_they_are_of_stories_that_were_told_and_git_can_carry_them() -> None:
    assert {recording.truth.kind for recording in RECORDINGS} <= {*INCIDENTS, *CLUSTER_KINDS}
    assert RECORDINGS
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) <= MOST_BYTES


def test_memguard_reads_every_line(recording: Recording) -> None:
    header, *readings = decode_lines(recording.lines)
    assert isinstance(header, Header)
    assert len(readings) >= 12
    assert all(isinstance(reading, Reading) for reading in readings)


def test_time_goes_forward(recording: Recording) -> None:
    moments = [snapshot["takenAt"] for snapshot in snapshots(recording)]
    assert moments == sorted(set(moments))


def test_what_peers_read_stands_beside_each_snapshot(recording: Recording) -> None:
    for row, snapshot in zip(recording.beside, snapshots(recording), strict=True):
        assert len(row["worst"]) == len(row["scanned"]) == len(snapshot["containers"])
        assert row["anonBytes"] > 0


def test_the_truth_is_the_one_that_was_told_before(recording: Recording) -> None:
    """All but the moment: nothing was adjusted to what the recording showed."""
    if recording.where == "cluster":
        return
    assert asdict(recording.truth) == asdict(
        truth(recording.truth.kind, recording.truth.seed, recording.truth.exhausted_at)
    )


def test_the_truth_is_about_this_trace(recording: Recording) -> None:
    told, seen = recording.truth, {c["id"] for snapshot in snapshots(recording) for c in snapshot["containers"]}
    assert told.needs_victim == bool(told.culprits) == (told.exhausted_at is not None)
    assert set(told.culprits) <= seen
    assert set(told.forbidden) & seen
    assert not set(told.forbidden) & set(told.culprits)
    assert told.cost.keys() == told.pods.keys() == told.roles.keys() >= seen
    assert set(recording.killed) <= told.cost.keys() | {"system.slice/backup.service"}


def test_the_culprit_grows_more_than_anybody(recording: Recording) -> None:
    """At its most: the last look may have come when the kernel had killed it."""
    before = {c["id"]: footprint(c) for c in snapshots(recording)[0]["containers"]}
    grown: dict[str, float] = {}
    for c in (c for snapshot in snapshots(recording) for c in snapshot["containers"]):
        grown[c["id"]] = max(grown.get(c["id"], 0), footprint(c) - before.get(c["id"], 0))
    culprits = set(recording.truth.culprits)
    if culprits:
        assert max(grown, key=lambda who: grown[who]) in culprits
        assert sum(grown[who] for who in culprits) > 40 * MIB


def test_the_end_is_the_one_promised(recording: Recording) -> None:
    """Exhausted, by what is left or by the kernel's kill; where nobody should die, never, unless a unit does it."""
    trace = judged.trace_of(recording)
    left = [remaining(snapshot, {}, recording.truth) for snapshot in trace.snapshots]
    kills = trace.snapshots[-1]["vmstat"]["oomKill"] - trace.snapshots[0]["vmstat"]["oomKill"]
    if recording.truth.needs_victim:
        assert left[-1] < 0.01 or kills
        assert min(left[:-1]) >= 0.01 or trace.snapshots[-1]["node"]["memory"]["swapTotalBytes"]
    elif recording.truth.kind != "outside":
        assert min(left) >= 0.01
        assert not kills


def test_nothing_in_the_trace_tells_the_truth(recording: Recording) -> None:
    text = b"\n".join(recording.lines).lower()
    for word in (b"culprit", b"guilty", b"forbidden", b"innocent", b'"hog', b"swarm"):
        assert word not in text


def test_the_model_of_oom_score_is_the_kernels(recording: Recording) -> None:
    """earlyoom's and nohang's ranking stands on it; here it is held against /proc/PID/oom_score."""
    trace = judged.trace_of(recording)
    for index, row in enumerate(recording.beside):
        view = trace.view(index, {})
        for c, process in zip(view.containers, row["worst"], strict=True):
            if process and process[1] and c["oomScoreAdj"] != -1000 and not c["memory"]["swapBytes"]:
                assert abs(_oom_score(view, c) - process[0]) <= OFF


def test_memguard_here_decides_as_its_replay_does(recording: Recording) -> None:
    from bench.victims.ours import Ours

    ours = Ours(recording.lines, judged.trace_of(recording)).by_itself()
    assert ours == [Decision(d.taken_at, d.victim, d.action) for d in replay(decode_lines(recording.lines)).decisions]


def test_everybody_is_judged_and_nobodys_ranking_at_a_limit_of_ones_own() -> None:
    for recording in RECORDINGS:
        verdicts = judged.judged(recording)
        assert {guard for part, guard in verdicts if part == ITSELF} == {US, *DAEMONS}
        own = recording.truth.domain.startswith(judged.OWN_LIMITS)
        assert {guard for part, guard in verdicts if part == RANKING} == (set() if own else {US, *PEERS})


def test_recorded_stalls_count_and_not_a_formula() -> None:
    recording = max(RECORDINGS, key=lambda one: one.beside[-1]["stalls"]["pods"][1])
    full = [{**row, "stalls": {"pods": [at, at], "system": [0, 0]}} for at, row in enumerate(recording.beside)]
    assert judged.trace_of(replace(recording, beside=full)).memories[-1].pods_stall > 0.5
    silent = replace(
        recording, beside=[{**row, "stalls": {"pods": [0, 0], "system": [0, 0]}} for row in recording.beside]
    )
    assert judged.trace_of(silent).memories[-1].pods_stall == 0


def test_the_shared_trigger_comes_in_every_recording_that_needs_a_victim(recording: Recording) -> None:
    if recording.truth.needs_victim:
        assert any(left <= TRIGGER for left in _left(recording))


def _left(recording: Recording) -> list[float]:
    trace = judged.trace_of(recording)
    return [trace.view(index, {}).left for index in range(len(trace.snapshots))]


# -- stories -----------------------------------------------------------------------------------------------------
@functools.cache
def told(kind: str, seed: int) -> Script:
    return script(kind, seed)


@pytest.mark.parametrize("kind", INCIDENTS)
def test_the_same_seed_tells_the_same_story(kind: str) -> None:
    random.seed(1)
    assert script(kind, 0).encode() == told(kind, 0).encode() != told(kind, 1).encode()
    assert {truth(kind, seed).story.split()[0] for seed in SEEDS} != {""}


@pytest.mark.parametrize("kind", INCIDENTS)
def test_every_story_grows_somewhere_and_promises_an_end(kind: str) -> None:
    for seed in SEEDS:
        one, true = told(kind, seed), truth(kind, seed)
        growing = [place.cgroup for place in one.places for load in place.loads if load.growth]
        assert growing
        assert all(any(who in cgroup for cgroup in growing) for who in true.culprits)
        assert one.ends_exhausted == (true.needs_victim or kind == "outside")


# -- the report --------------------------------------------------------------------------------------------------
def test_a_recording_on_disk_comes_back(tmp_path: Path) -> None:
    keep(RECORDINGS[0], tmp_path)
    assert list(read(tmp_path)) == [RECORDINGS[0]]


def test_the_committed_report_is_of_these_recordings(tmp_path: Path) -> None:
    """`python -m bench victims recorded` after new recordings: rows depend on them and on the code alone."""
    committed = json.loads(judged.COMMITTED.read_text())
    assert not committed["commit"].endswith("+")
    assert not any(commit.endswith("+") for commit in committed["recordedBy"])
    out = tmp_path / "recorded.json"
    assert main(["recorded", "--jobs", "1", "--out", str(out)]) == 0
    assert json.loads(out.read_text())["rows"] == committed["rows"]


def test_the_tables_show_every_guard_and_every_kind() -> None:
    parts = tables.parts()
    assert all(f"| {name} |" in parts["recorded"] or f"*{name}*" in parts["recorded"] for name in PEERS)
    assert all(f"| {name} |" in parts["recorded_daemons"] for name in DAEMONS)
    assert all(f"| {one.truth.kind} |" in parts["recorded_kinds"] for one in RECORDINGS)
    assert all(kind in parts["recorded_kinds"] + parts["recorded"] for kind in (*INCIDENTS, *CLUSTER_KINDS))


@pytest.mark.parametrize(("exit_code", "words"), [(None, "not over after 600 s: begins"), (1, "begins")])
def test_a_story_that_did_not_come_to_its_end_is_not_filed_and_says_why(exit_code: int | None, words: str) -> None:
    result = {"name": "swarm-0", "exit_code": exit_code, "stdout": "", "stderr": "begins"}
    assert record._answer({"kind": "command", "result": result}) == {"name": "swarm-0", "problem": words}
