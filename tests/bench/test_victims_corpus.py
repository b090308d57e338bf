"""The simulated incidents: deterministic, in the public format, with balanced books and a truth that holds."""

import functools
import gzip
import json
import re
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from bench.victims import corpus, snapshot
from bench.victims.corpus import KINDS, Incident, tell
from bench.victims.scene import CPUS
from bench.victims.trace import remaining
from bench.victims.workload import GIB, MIB, kubelet_adj
from hypothesis import given
from hypothesis import strategies as st

from memguard.core.trace import Reading, decode_line

SEEDS = (3, 1003)
CASES = [(kind, seed) for kind in KINDS for seed in SEEDS]
PAGE = 4096

NODE_FIELDS = {"name", "uptimeSeconds", "cpus", "memory"}
NODE_MEMORY = {"totalBytes", "availableBytes", "freeBytes", "swapTotalBytes", "swapFreeBytes"}
CONTAINER_FIELDS = {
    "id", "cgroup", "namespace", "pod", "podUid", "name", "qos", "priority", "static", "restartPolicy", "restartCount",
    "startedAt", "oomScoreAdj", "requestBytes", "limitBytes", "memory",
}  # fmt: skip
MEMORY_FIELDS = {"currentBytes", "anonBytes", "shmemBytes", "fileBytes", "kernelBytes", "swapBytes"}


@functools.cache
def told(kind: str, seed: int) -> tuple[Incident, list[dict[str, Any]]]:
    incident = tell(kind, seed)
    return incident, [json.loads(line) for line in incident.lines]


@pytest.fixture(params=CASES, ids=lambda case: f"{case[0]}-{case[1]}")
def case(request: pytest.FixtureRequest) -> tuple[Incident, list[dict[str, Any]]]:
    return told(*request.param)


@pytest.mark.parametrize("kind", KINDS)
def test_same_seed_same_incident(kind: str) -> None:
    again = tell(kind, SEEDS[0])
    assert again.lines == told(kind, SEEDS[0])[0].lines
    assert again.truth == told(kind, SEEDS[0])[0].truth
    assert again.lines != told(kind, SEEDS[1])[0].lines


def test_lines_have_the_required_fields(case: tuple[Incident, list[dict[str, Any]]]) -> None:
    for line in case[1]:
        assert line["apiVersion"] == "memguard.io/snapshot/v1"
        assert line["node"].keys() >= NODE_FIELDS
        assert line["node"]["memory"].keys() >= NODE_MEMORY
        assert len({c["id"] for c in line["containers"]}) == len(line["containers"]) > 3
        for c in line["containers"]:
            assert c.keys() >= CONTAINER_FIELDS
            assert c["memory"].keys() >= MEMORY_FIELDS
            assert re.fullmatch("[0-9a-f]{64}", c["id"])
            assert c["cgroup"].endswith(f"cri-containerd-{c['id']}.scope")
            assert datetime.fromisoformat(c["startedAt"]) <= datetime.fromisoformat(line["takenAt"])


def test_memguard_reads_every_line(case: tuple[Incident, list[dict[str, Any]]]) -> None:
    for line in case[0].lines:
        assert isinstance(decode_line(line), Reading)


def test_time_and_counters_only_go_forward(case: tuple[Incident, list[dict[str, Any]]]) -> None:
    for before, after in zip(case[1], case[1][1:], strict=False):
        assert before["takenAt"] < after["takenAt"]
        for group in ("vmstat", "pressure"):
            old, new = (side.get(group) or side["node"].get(group) or {} for side in (before, after))
            assert all(new[key] >= old[key] for key in old)
        cpu = {c["id"]: c["cpu"]["totalSeconds"] for c in before["containers"] if "cpu" in c}
        assert all(c["cpu"]["totalSeconds"] >= cpu[c["id"]] for c in after["containers"] if c["id"] in cpu)


def test_books_balance(case: tuple[Incident, list[dict[str, Any]]]) -> None:
    """What containers and the system hold, zram's pool, and free are the node's memory."""
    for line in case[1]:
        memory, slack = line["node"]["memory"], PAGE * (len(line["containers"]) + 4)
        held = sum(c["memory"]["currentBytes"] for c in line["containers"])
        rest = memory["totalBytes"] - memory["freeBytes"] - held
        swapped = memory["swapTotalBytes"] - memory["swapFreeBytes"]
        assert 0 <= memory["freeBytes"] <= memory["totalBytes"]
        # MemAvailable leaves out the watermarks, but never exceeds free, cache and slab
        assert memory["availableBytes"] <= memory["totalBytes"]
        if "cgroups" in line:
            kubepods, system = line["cgroups"]
            assert abs(kubepods["currentBytes"] - held) <= slack
            assert -slack <= rest - system["currentBytes"] <= swapped / 3 + slack
        else:
            assert 0 < rest <= 0.16 * memory["totalBytes"] + swapped / 3
        if "numa" in line["node"]:
            free = sum(part["freeBytes"] for part in line["node"]["numa"])
            assert abs(free - memory["freeBytes"]) <= slack


def test_containers_add_up(case: tuple[Incident, list[dict[str, Any]]]) -> None:
    for line in case[1]:
        for c in line["containers"]:
            memory = c["memory"]
            parts = memory["anonBytes"] + memory["fileBytes"] + memory["kernelBytes"]
            assert 0 <= memory["currentBytes"] - parts + 8 * PAGE <= MIB
            assert memory["fileBytes"] >= memory["shmemBytes"]
            assert c["limitBytes"] is None or memory["currentBytes"] <= c["limitBytes"]
            if "numaBytes" in c:
                assert abs(sum(c["numaBytes"].values()) - memory["currentBytes"]) <= 2 * PAGE
            if "processes" in c:
                states = c["processes"]
                assert states["running"] + states["sleeping"] + states["uninterruptible"] == states["count"] > 0


def test_kubernetes_rules_hold(case: tuple[Incident, list[dict[str, Any]]]) -> None:
    """Requests fit the node, QoS and oom_score_adj are what kubelet would set."""
    for line in (case[1][0], case[1][-1]):
        capacity = line["node"]["memory"]["totalBytes"]
        assert sum(c["requestBytes"] for c in line["containers"]) <= capacity
        for c in line["containers"]:
            assert c["limitBytes"] is None or c["limitBytes"] >= c["requestBytes"]
            if c.get("type") == "container":
                assert c["oomScoreAdj"] == kubelet_adj(c["qos"], c["requestBytes"], capacity, c["priority"])
            assert c["qos"] != "BestEffort" or c["requestBytes"] == 0


def test_truth_is_about_this_trace(case: tuple[Incident, list[dict[str, Any]]]) -> None:
    incident, lines = case
    truth, seen = incident.truth, {c["id"] for line in lines for c in line["containers"]}
    last = {c["id"] for c in lines[-1]["containers"]}
    assert truth.needs_victim == bool(truth.culprits) == (truth.exhausted_at is not None)
    assert set(truth.culprits) & last or not truth.needs_victim
    assert set(truth.forbidden) & seen
    assert not set(truth.forbidden) & set(truth.culprits)
    assert truth.cost.keys() == truth.pods.keys() == truth.roles.keys() >= seen
    assert all(cost > 0 for cost in truth.cost.values())
    system = {c["id"] for c in lines[-1]["containers"] if c["priority"] >= 2_000_000_000 or c["static"]}
    assert system <= set(truth.forbidden)


def test_the_end_is_the_one_promised(case: tuple[Incident, list[dict[str, Any]]]) -> None:
    """Exhausted at the last snapshot and not before; where nobody should die, never; and a right victim is enough."""
    incident, lines = case
    truth = incident.truth
    if truth.exhausted_at is None:
        for line in lines:
            memory = line["node"]["memory"]
            assert memory["availableBytes"] >= 0.01 * memory["totalBytes"] or memory["swapFreeBytes"] > 0
        return
    assert truth.exhausted_at == lines[-1]["takenAt"]
    present = {c["id"] for c in lines[-1]["containers"]} & set(truth.culprits)
    if truth.domain == "node":
        assert lines[-1]["node"]["memory"]["availableBytes"] < 0.01 * lines[-1]["node"]["memory"]["totalBytes"]
    relieved = max(remaining(lines[-1], {who: "evict"}, truth) for who in present)
    assert relieved > 0.05


def test_nothing_in_the_trace_tells_the_truth(case: tuple[Incident, list[dict[str, Any]]]) -> None:
    text = b"\n".join(case[0].lines).lower()
    for word in ("culprit", "guilty", "victim", "forbidden", "leak", "innocent", "hog", "swarm"):
        assert word.encode() not in text


def test_a_story_keeps_what_its_truth_can_be_seen_by() -> None:
    assert all("numa" in line["node"] for line in told("numa-local", SEEDS[0])[1])
    assert all("cgroups" in line for line in told("kubepods-limit", SEEDS[0])[1])


def test_some_traces_lack_readings_and_some_are_complete() -> None:
    omitted = [snapshot.choose_omitted(__import__("random").Random(seed), ("numa",)) for seed in range(40)]
    assert any(not names for names in omitted)
    assert any(len(names) > 10 for names in omitted)
    assert not any("numa" in names for names in omitted)


@pytest.mark.parametrize("kind", ["slow-leak", "numa-local", "streaming-noise"])
def test_a_complete_trace_is_the_same_incident_with_every_reading(kind: str) -> None:
    """Peers get it; beside what was left out nothing differs."""
    for seed in range(6):
        incident, complete = tell(kind, seed), tell(kind, seed, complete=True)
        assert incident.truth == complete.truth
        for line, whole in zip(incident.lines, complete.lines, strict=True):
            lacking, full = json.loads(line), json.loads(whole)
            assert lacking["node"]["memory"].items() <= full["node"]["memory"].items()
            for c, same in zip(lacking["containers"], full["containers"], strict=True):
                assert c["memory"].items() <= same["memory"].items()
                assert c.keys() <= same.keys()
                assert {"pressure", "privileged", "nice"} <= same.keys()


def test_restarts_keep_the_pod_and_change_the_id() -> None:
    incident, lines = told("restart-loop", SEEDS[0])
    lives = {c["id"]: c for line in lines for c in line["containers"] if c["id"] in incident.truth.culprits}
    assert len(lives) > 1
    assert len({(c["podUid"], c["name"]) for c in lives.values()}) == 1
    assert len({c["restartCount"] for c in lives.values()}) == len(lives)


@pytest.mark.parametrize(
    ("qos", "request_bytes", "capacity", "priority", "adj"),
    [
        ("Burstable", 64 * MIB, 3000 * MIB, 0, 979),  # read on a real node
        ("Burstable", 3 * GIB, 3 * GIB, 0, 3),
        ("Burstable", 0, 3 * GIB, 0, 999),
        ("BestEffort", 0, 3 * GIB, 0, 1000),
        ("Guaranteed", GIB, 3 * GIB, 0, -997),
        ("Burstable", GIB, 3 * GIB, 2_000_001_000, -997),
    ],
)
def test_oom_score_adj_is_kubelets(qos: str, request_bytes: int, capacity: int, priority: int, adj: int) -> None:
    assert kubelet_adj(qos, request_bytes, capacity, priority) == adj


@given(st.integers(0, 1 << 40), st.sampled_from(sorted(CPUS)))
def test_a_bigger_request_never_raises_the_adj(request_bytes: int, gib: int) -> None:
    assert kubelet_adj("Burstable", request_bytes + MIB, gib * GIB, 0) <= kubelet_adj(
        "Burstable", request_bytes, gib * GIB, 0
    )


def test_a_corpus_on_disk_comes_back(tmp_path: Path) -> None:
    (tmp_path / "0001-old.jsonl.gz").write_bytes(b"")
    written = list(corpus.write_corpus(tmp_path, 5, 1, ["burst", "cold-start"], jobs=1))
    assert [kind for kind, _, _ in written] == ["burst", "cold-start"]
    found = corpus.read_corpus(tmp_path)
    assert [truth.kind for _, truth in found] == ["burst", "cold-start"]
    assert not (tmp_path / "0001-old.jsonl.gz").exists()
    for trace, truth in found:
        assert corpus.read_lines(trace) == tell(truth.kind, 5).lines
        assert asdict(truth) == asdict(tell(truth.kind, 5).truth)
        assert truth.kind not in trace.name
        assert gzip.decompress(trace.read_bytes()).endswith(b"}\n")


def test_train_and_test_seeds_never_meet() -> None:
    assert corpus.TEST_SEED - corpus.TRAIN_SEED >= 1000
