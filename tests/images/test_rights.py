"""The rights that the manifests give, on a real kernel: they suffice, and each of them is needed.

A kubelet does the same in the end-to-end tests; here one boot tries every capability in a minute.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.chart.manifests import containers, mounts, node_object, node_pod
from tests.images import in_machine, seccomp
from tests.machine.guest.spec import Command, Job
from tests.machine.machine import Machine

from memguard.guard.fitness import READ_ONLY
from memguard.guard.main import arguments

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(900)]

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
#: The stricter of the two profiles that the chart's guard may have, and the same to the letter.
SECCOMP, LETTER = "memguard-guard.json", "to-the-letter.json"
#: What the guard says it cannot do without each; anything else stays as it was.
COSTS = {
    "KILL": {"signals"},
    "IPC_LOCK": {"memory-lock"},
    "SYS_NICE": {"real-time-scheduling", "nice"},
    "SYS_RESOURCE": {"oom-score-adj", "psi-trigger"},
}


def case(profile: str, without: str | None = None) -> dict[str, Any]:
    """What the machine needs to know of a profile's guard and its supervisor."""
    spec = node_pod(profile)
    found = containers(spec)
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    guard = found["guard"]
    beside = ("guard",) if without or "supervisor" not in found else ("supervisor", "guard")
    binds = [
        (volumes[mount["name"]]["hostPath"]["path"], mount["mountPath"], mount.get("readOnly", False))
        for mount in guard["volumeMounts"]
        if "hostPath" in volumes[mount["name"]]
    ]
    config = arguments(guard["args"][1:]).config or ""
    return {
        "name": f"{profile} without {without}" if without else profile,
        "hostPID": spec.get("hostPID", False),
        "containers": [program(found[name], without) for name in beside],
        "directories": [path for name, path in mounts(guard).items() if name != "compaction"],
        "volumes": [path for name, path in mounts(guard).items() if "emptyDir" in volumes[name]],
        "binds": binds,
        "files": {config: node_object(profile, "ConfigMap")["data"][Path(config).name]},
    }


def program(container: dict[str, Any], without: str | None) -> dict[str, Any]:
    rights = container["securityContext"]
    return {
        "name": container["name"],
        "arguments": container["args"],
        "user": rights["runAsUser"],
        "capabilities": [name for name in rights["capabilities"].get("add", []) if name != without],
        "seccomp": SECCOMP if rights["runAsUser"] == 0 else None,
        "memory": container["resources"]["limits"]["memory"].removesuffix("i"),
    }


def to_the_letter(case: dict[str, Any]) -> dict[str, Any]:
    """The same, under a profile that ends whoever makes a call that it does not allow."""
    bound = [{**container, "seccomp": LETTER} for container in case["containers"]]
    return {**case, "name": f"{case['name']} to the letter", "containers": bound}


@pytest.fixture(scope="module")
def told(roots: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """By case: the guard's status, and the kernel's word on its rights."""
    directory = tmp_path_factory.mktemp("rights")
    image, cases = directory / "image.tar", directory / "cases.json"
    subprocess.run(["tar", "-C", str(roots["node"]), "-cf", str(image), "."], check=True)
    lacking = [case("enforce", name) for name in COSTS]
    cases.write_text(json.dumps([case("observe"), case("enforce"), to_the_letter(case("enforce")), *lacking]))
    strict = directory / LETTER
    strict.write_text(json.dumps(seccomp.to_the_letter(json.loads((DEPLOY / "seccomp" / SECCOMP).read_text()))))
    files = [image, cases, strict, Path(in_machine.__file__), Path(seccomp.__file__), *(DEPLOY / "seccomp").iterdir()]
    machine = Machine(extra_files=tuple((path.name, path) for path in files))
    job = Job(commands=(Command(name="rights", script="python3 in_machine.py", timeout_seconds=780),))
    [command] = machine.run(job, timeout_s=840).commands()
    assert command.exit_code == 0, command.stderr
    return {record["case"]: record for record in map(json.loads, command.stdout.splitlines())}


def missing(record: dict[str, Any]) -> set[str]:
    return {capability["name"] for capability in record["status"]["capabilities"] if not capability["ok"]}


def test_the_enforce_profile_lacks_nothing(told: dict[str, dict[str, Any]]) -> None:
    record = told["enforce"]
    assert missing(record) == set()
    assert record["status"].get("unfit") is None


def test_it_has_what_the_manifest_says_and_no_more(told: dict[str, dict[str, Any]]) -> None:
    kernel = told["enforce"]["kernel"]
    held = {name for name, number in in_machine.NUMBERS.items() if int(kernel["CapEff"], 16) >> number & 1}
    assert int(kernel["CapEff"], 16).bit_count() == len(held) == 4
    assert (kernel["Uid"].split(), kernel["NoNewPrivs"], kernel["Seccomp"]) == (["0"] * 4, "1", "2")


def test_it_makes_no_call_that_its_seccomp_profile_does_not_allow(told: dict[str, dict[str, Any]]) -> None:
    """The first one would end guard or supervisor; in tests/kernel it acts under the same."""
    assert missing(told["enforce to the letter"]) == set()


@pytest.mark.parametrize("name", COSTS)
def test_each_capability_is_needed(told: dict[str, dict[str, Any]], name: str) -> None:
    assert missing(told[f"enforce without {name}"]) - {"supervisor"} == COSTS[name]


def test_the_observe_profile_works_without_any_right(told: dict[str, dict[str, Any]]) -> None:
    record = told["observe"]
    assert (record["kernel"]["Uid"].split(), int(record["kernel"]["CapEff"], 16)) == (["64124"] * 4, 0)
    assert record["status"]["unfit"] == READ_ONLY
    assert record["status"]["totalBytes"] > 900 << 20


def test_the_guards_container_fits_its_limit(told: dict[str, dict[str, Any]]) -> None:
    limit = int(containers(node_pod("enforce"))["guard"]["resources"]["limits"]["memory"].removesuffix("Mi")) << 20
    assert told["enforce"]["memory"] < limit / 2
