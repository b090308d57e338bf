"""Has incidents happen in the machine, gives the recorded containers their names, and files the recordings."""

import json
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.kernel.runs import ROOT, commit
from bench.victims.recording.archive import FOLDER, Recording, keep
from bench.victims.recording.incidents import INCIDENTS, memory_mib, script, told, truth
from bench.victims.snapshot import stamp
from bench.victims.workload import Container
from msgspec.structs import replace
from tests.machine.guest.spec import Command, Job
from tests.machine.image import MachineError
from tests.machine.machine import Machine
from tests.machine.qemu import Record

from memguard import __version__
from memguard.core.model import Cpu, Identity, MemoryVolume, Owner
from memguard.core.policy import Plan, Rule
from memguard.core.replay import replay
from memguard.core.trace import Header, Reading, decode_line, encode_line

INSIDE = Path(__file__).parent / "inside"
#: What a recording depends on.
RECORDING = ("bench/victims/recording", "bench/victims/*.py", "operator/memguard/kernel", "tests/machine")
#: On the guest's clock; a swarm that thrashes takes its time.
INCIDENT_SECONDS = 600.0
FEWEST_SNAPSHOTS, MOST_SNAPSHOTS = 12, 60
#: What stands beside a snapshot, one for each of its containers.
LISTS = ("worst", "scanned")

Case = tuple[str, int]


def record(cases: Sequence[Case], timeout_seconds: float, tell: Callable[[str], None], folder: Path = FOLDER) -> bool:
    """Records these, one boot for each size of machine, and files each as soon as it is there; were all filed?"""
    measured, filed = commit(ROOT, RECORDING), 0

    def take(found: Record) -> None:
        nonlocal filed
        if found["kind"] in ("command", "error"):
            line, whole = _filed(_answer(found), measured, folder)
            filed += whole
            tell(line)

    for size in dict.fromkeys(memory_mib(seed) for _, seed in cases):
        try:
            _boot([case for case in cases if memory_mib(case[1]) == size], size, timeout_seconds, take)
        except MachineError as error:
            tell(str(error).partition(". ")[0])
    return filed == len(cases)


def _boot(cases: Sequence[Case], size: int, timeout_seconds: float, take: Callable[[Record], None]) -> None:
    scripts = {one.name: json.loads(one.encode()) for one in (script(*case) for case in cases)}
    commands = tuple(
        Command(name=name, script=f"python3 -m recorder {name}", timeout_seconds=INCIDENT_SECONDS) for name in scripts
    )
    with TemporaryDirectory(prefix="memguard-scripts-") as directory:
        path = Path(directory, "scripts.json")
        path.write_text(json.dumps(scripts), encoding="utf-8")
        machine = Machine(extra_files=(("recorder", INSIDE), ("scripts.json", path)))
        job = Job(commands=commands)
        machine.run(job, clock="virtual", memory_mb=size, timeout_s=timeout_seconds, on_record=take)


def _answer(found: Record) -> dict[str, Any]:
    if found["kind"] == "error":
        return {"name": found["name"], "problem": found["error"]}
    command = found["result"]
    if command["exit_code"] is None:
        return {
            "name": command["name"],
            "problem": f"not over after {INCIDENT_SECONDS:.0f} s: {command['stderr'][-500:]}",
        }
    if command["exit_code"]:
        return {"name": command["name"], "problem": command["stderr"][-1500:]}
    return dict(json.loads(command["stdout"]))


def _filed(answer: dict[str, Any], measured: str, folder: Path) -> tuple[str, bool]:
    """What to tell, and whether it was filed."""
    name = answer["name"]
    problem = answer.get("problem") or _wrong(answer)
    if problem:
        return f"{name}: not filed: {problem}", False
    kind, _, seed = name.rpartition("-")
    try:
        found = recording(kind, int(seed), answer, measured)
    except ValueError as error:
        return f"{name}: not filed: {error}", False
    size = keep(found, folder)
    killed = [found.truth.roles.get(who, "a unit of the system") for who in found.killed]
    words = f"{name}: {len(answer['lines'])} snapshots, {size / 1024:.0f} KiB, room {answer['roomMib']} MiB"
    return words + (f", the kernel took {', '.join(killed)}" if killed else ""), True


def _wrong(answer: dict[str, Any]) -> str:
    """Why it is no recording of what it should be."""
    kind, _, seed = answer["name"].rpartition("-")
    if answer["early"]:
        return f"loads that could not start: {answer['early']}"
    if len(answer["lines"]) < FEWEST_SNAPSHOTS:
        return f"only {len(answer['lines'])} snapshots"
    if answer["exhausted"] != script(kind, int(seed)).ends_exhausted:
        return "memory was " + ("exhausted" if answer["exhausted"] else "never exhausted")
    return ""


def recording(kind: str, seed: int, answer: dict[str, Any], measured: str) -> Recording:
    """The answer with names, under the plan of its story."""
    found = told(kind, seed)
    names = {c.id: identity(c) for c in found.plan.scene.containers}
    plan = Plan(rules=(Rule(guard_limit=True),)) if found.guards_limits else Plan()
    readings, beside = recorded(answer, names, plan)
    first, last = readings[0].snapshot.taken_at, readings[-1].snapshot.taken_at
    ended = stamp(last) if answer["exhausted"] and found.plan.needs_victim else None
    return Recording(
        name=f"{kind}-{seed}",
        lines=[encode_line(Header(at=first, version=__version__, plan=plan)), *map(encode_line, readings)],
        beside=beside,
        truth=truth(kind, seed, ended),
        where="machine",
        commit=measured,
        killed=[_id(cgroup, names) for cgroup in answer["killed"]],
    )


def recorded(answer: dict[str, Any], names: dict[str, Identity], plan: Plan) -> tuple[list[Reading], list[Any]]:
    """The last readings, thinned, with what stands beside each: memguard's decisions may not change by that."""
    whole = [named(line.encode(), names) for line in answer["lines"]]
    since: dict[str, datetime | None] = {}
    thin = [thinned(reading, since) for reading in whole]
    if _decided(whole, plan) != _decided(thin, plan):
        raise ValueError(f"{answer['name']}: the thinned trace is decided otherwise")
    rows = [_aligned(row, line, names) for row, line in zip(answer["beside"], answer["lines"], strict=True)]
    return thin[-MOST_SNAPSHOTS:], rows[-MOST_SNAPSHOTS:]


def _decided(readings: list[Reading], plan: Plan) -> list[tuple[datetime, str, str]]:
    return [(found.taken_at, found.victim, found.action) for found in replay(readings, plan).decisions]


def named(line: bytes, names: dict[str, Identity]) -> Reading:
    """A reading whose containers are known as the agent's plan would have them known; strangers are left out."""
    reading = decode_line(line)
    assert isinstance(reading, Reading)
    containers = tuple(c.known_as(names[c.id]) for c in reading.snapshot.containers if c.id in names)
    return Reading(snapshot=replace(reading.snapshot, containers=containers))


def _aligned(row: dict[str, Any], line: str, names: dict[str, Identity]) -> dict[str, Any]:
    """The row without strangers: its lists are in the order of the containers."""
    kept = [c["id"] in names for c in json.loads(line)["snapshot"]["containers"]]
    return row | {name: [value for value, mine in zip(row[name], kept, strict=True) if mine] for name in LISTS}


def thinned(reading: Reading, since: dict[str, datetime | None]) -> Reading:
    """Without what says nothing: pods that have no limit, one NUMA node's shares, microseconds of CPU time, and when a
    container began as it was reckoned anew each time."""
    snapshot = reading.snapshot
    containers = tuple(
        replace(
            c,
            numa_bytes=None,
            started_at=since.setdefault(c.id, c.started_at),
            cpu=c.cpu and Cpu(total_seconds=round(c.cpu.total_seconds, 3), recent_cores=_rounded(c.cpu.recent_cores)),
        )
        for c in snapshot.containers
    )
    cgroups = tuple(c for c in snapshot.cgroups if c.max_bytes is not None or c.kind == "kubepods")
    return Reading(snapshot=replace(snapshot, containers=containers, cgroups=cgroups))


def _rounded(cores: float | None) -> float | None:
    return None if cores is None else round(cores, 3)


def identity(c: Container) -> Identity:
    """What Kubernetes would say of a container of the simulated cluster."""
    pod = c.pod
    return Identity(
        id=c.id,
        namespace=pod.namespace,
        pod=pod.name,
        pod_uid=pod.uid,
        name=c.name,
        owner=Owner(kind=pod.owner_kind, name=pod.owner_name) if pod.owner_kind else None,
        qos=pod.qos,
        priority=pod.priority,
        privileged=c.privileged,
        static=pod.static,
        restart_policy=pod.restart_policy,
        restart_count=c.restarts,
        request_bytes=c.request or 0,
        labels=pod.labels,
        type=c.type,
        memory_volumes=(MemoryVolume(kind=c.volume),) if c.volume else (),
    )  # type: ignore[arg-type]


def _id(cgroup: str, names: dict[str, Identity]) -> str:
    return next((who for who in names if who in cgroup), cgroup)


def cases(kinds: Iterable[str], seeds: Iterable[int]) -> list[Case]:
    """All of these kinds with all of these seeds."""
    return [(kind, seed) for kind in kinds or INCIDENTS for seed in seeds]
