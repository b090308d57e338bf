"""The commands on a real kernel: a real cgroup v2 tree with one pod whose container grows."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.machine.guest.spec import Command, Job
from tests.machine.machine import Machine

# What the extra `cli` brings, in the versions of uv.lock.
PACKAGES = (
    "annotated-doc", "markdown-it-py", "mdurl", "msgspec", "pygments", "pyyaml", "rich", "shellingham", "typer",
)  # fmt: skip

CONTAINER = f"{7:064x}"
POD_UID = "11111111-2222-3333-4444-555555555555"
# The hog grows by 1 MiB every 50 ms until it is killed; the plan says who it is.
SCRIPT = f"""
set -e
pod=$MG_KUBEPODS/kubepods-burstable.slice/kubepods-burstable-pod{POD_UID.replace("-", "_")}.slice
mkdir -p $pod/cri-containerd-{CONTAINER}.scope
echo +memory > $MG_KUBEPODS/cgroup.subtree_control
echo +memory > $MG_KUBEPODS/kubepods-burstable.slice/cgroup.subtree_control
echo +memory > $pod/cgroup.subtree_control
scope=$pod/cri-containerd-{CONTAINER}.scope
echo 200M > $scope/memory.max
python3 -c '
import time
held = []
for _ in range(100):
    held.append(b"x" * (1 << 20))
    time.sleep(0.05)
time.sleep(600)' &
echo $! > $scope/cgroup.procs
cat > plan.toml <<EOF
[[containers]]
cgroup = "*/cri-containerd-*"
namespace = "shop"
pod = "cart"
name = "app"
EOF
python3 -c '
from memguard.__main__ import main
for line in (
    "doctor -o json",
    "record --interval 0.3 --count 6 --plan plan.toml -o trace.jsonl.gz",
    "rank trace.jsonl.gz -o json",
    "replay trace.jsonl.gz -o json",
    "explain trace.jsonl.gz --container cart -o json",
    "top --once --interval 1 --plan plan.toml -o json",
    "snapshot",
):
    if main(line.split()) != 0:
        raise SystemExit(line)
'
echo 1 > $scope/cgroup.kill
"""


@pytest.fixture(scope="module")
def answers() -> list[dict[str, Any]]:
    """What each command printed, in the order of the script; one process, since TCG imports slowly."""
    job = Job(commands=(Command(name="cli", script=SCRIPT, timeout_seconds=300),))
    (ran,) = Machine(packages=PACKAGES).run(job, timeout_s=500).commands()
    assert ran.exit_code == 0, ran.stderr
    decoder, found, at = json.JSONDecoder(), [], 0
    while at < len(ran.stdout.rstrip()):
        value, at = decoder.raw_decode(ran.stdout, at)
        found.append(value)
        at += 1
    return found


pytestmark = [pytest.mark.kernel, pytest.mark.timeout(600)]


def test_a_real_machine_is_fit(answers: list[dict[str, Any]]) -> None:
    report = answers[0]
    status = {check["name"]: check["status"] for check in report["checks"]}
    assert report["fit"]
    strict = (
        "cgroup v2",
        "memory controller",
        "cgroup files",
        "writable",
        "mapping",
        "PSI",
        "capabilities",
        "real-time",
    )
    assert {name: status[name] for name in strict} == dict.fromkeys(strict, "ok")


@pytest.mark.row("G2", "G3")
def test_what_was_recorded_is_ranked_and_explained(answers: list[dict[str, Any]]) -> None:
    _, ranked, replayed, explained, *_ = answers
    (container,) = [row for row in ranked["candidates"] if row["id"] == CONTAINER]
    assert (container["namespace"], container["pod"], container["name"]) == ("shop", "cart", "app")
    assert container["factors"]["memory"]["value"] > 0
    assert sum(factor["points"] for factor in container["factors"].values()) == container["score"]
    assert replayed["summary"]["snapshots"] == 6
    assert (explained["container"], explained["score"]) == (CONTAINER, container["score"])


def test_top_sees_it_grow_towards_its_limit(answers: list[dict[str, Any]]) -> None:
    (container,) = [row for row in answers[4]["containers"] if row["id"] == CONTAINER]
    assert container["title"] == "shop/cart/app"
    assert container["limitBytes"] == 200 << 20
    assert 0 < container["headroomBytes"] < 200 << 20


def test_without_a_plan_only_the_pods_uid_is_known(answers: list[dict[str, Any]]) -> None:
    (container,) = [row for row in answers[5]["containers"] if row["id"] == CONTAINER]
    assert (container["podUid"], container["namespace"]) == (POD_UID, None)
    assert container["memory"]["anonBytes"] > 0
    assert container["processes"]["count"] == 1
