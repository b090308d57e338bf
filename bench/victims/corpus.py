"""Tells incidents and files them: a gzipped trace, and beside it the truth, which nothing in the trace reveals."""

import gzip
import json
import random
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import sha256
from pathlib import Path

import msgspec
from bench.victims import guilty, innocent, tangled
from bench.victims.danger import exhausted, left
from bench.victims.scene import HIGH_PRIORITY
from bench.victims.snapshot import Writer, choose_omitted, stamp
from bench.victims.story import Plan, Story
from bench.victims.workload import Container

KINDS: dict[str, Story] = {
    "slow-leak": guilty.slow_leak,
    "fast-leak": guilty.fast_leak,
    "burst": guilty.burst,
    "fork-swarm": guilty.fork_swarm,
    "swap-hog": guilty.swap_hog,
    "shm-hog": guilty.shm_hog,
    "numa-local": guilty.numa_local,
    "kubepods-limit": guilty.kubepods_limit,
    "sidecar-leak": guilty.sidecar_leak,
    "high-priority-leak": guilty.high_priority_leak,
    "high-adj-leak": guilty.high_adj_leak,
    "low-adj-leak": guilty.low_adj_leak,
    "many-processes": guilty.many_processes,
    "restart-loop": guilty.restart_loop,
    "cold-start": guilty.cold_start,
    "look-alikes": tangled.lookalikes,
    "entitled-growth": tangled.entitled_growth,
    "uniform-overcommit": tangled.uniform_overcommit,
    "flat-culprit": tangled.flat_culprit,
    "rollout": tangled.rollout,
    "cache-growth": innocent.cache_growth,
    "jvm-plateau": innocent.jvm_plateau,
    "batch-ends": innocent.batch_ends,
    "spike-recovers": innocent.spike_recovers,
    "streaming-noise": innocent.streaming_noise,
    "near-full-flat": innocent.near_full_flat,
}
TRAIN_SEED, TEST_SEED = 0, 1000
ATTEMPTS = 40
FEWEST_SNAPSHOTS, MOST_SNAPSHOTS = 12, 420
BEGINNING = datetime(2026, 3, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Truth:
    """What really happened. Ids are container ids; `pods` says who dies with whom; costs are what a loss costs."""

    kind: str
    seed: int
    story: str
    domain: str
    needs_victim: bool
    culprits: list[str]
    forbidden: list[str]
    exhausted_at: str | None
    outlives_container: list[str]
    cost: dict[str, float]
    pods: dict[str, str]
    roles: dict[str, str]
    largest_process_share: dict[str, float]


@dataclass(frozen=True, slots=True)
class Incident:
    """A trace, one JSON object per line, and its truth."""

    lines: list[bytes]
    truth: Truth


class UntoldError(Exception):
    """No attempt at this kind and seed gave a trace within its plan."""


def tell(kind: str, seed: int, *, complete: bool = False) -> Incident:
    """The incident of this kind and seed, always the same one; `complete`: the same, with no reading left out."""
    for attempt in range(ATTEMPTS):
        rng = random.Random(f"{kind}/{seed}/{attempt}")
        incident = _tell_once(kind, seed, KINDS[kind](rng), rng, complete=complete)
        if incident is not None:
            return incident
    raise UntoldError(f"{kind}, seed {seed}: no trace within the plan in {ATTEMPTS} attempts; loosen the story")


def _tell_once(kind: str, seed: int, plan: Plan, rng: random.Random, *, complete: bool) -> Incident | None:
    """Runs the plan until memory is exhausted or its time is over; None where it did not come out as planned."""
    node = plan.scene.ready(cache_full=plan.cache_full, hot=plan.scene.share(plan.hot))
    node.stall_noise = plan.stall_noise
    origin = BEGINNING + timedelta(seconds=rng.uniform(0, 200 * 86400))
    omitted = choose_omitted(rng, plan.keep)
    writer = Writer(node, plan.scene.name, origin, frozenset() if complete else omitted)
    lines: list[bytes] = []
    shares: list[float] = []
    drop = 0.04 if rng.random() < 0.1 else 0.0
    t, at, over = 0.0, origin, False
    while t <= plan.seconds and not over:
        node.step(t, plan.interval)
        over = exhausted(node)
        if over or rng.random() >= drop:
            lines.append(msgspec.json.encode(writer.snapshot(t)))
            shares.append(left(node, plan.domain))
            at = writer.at(t)
        t += plan.interval + rng.gauss(0, 0.002 * plan.interval)
    lines, shares = lines[-(plan.last or 0) :], shares[-(plan.last or 0) :]
    if not _as_planned(plan, shares, over=over):
        return None
    return Incident(lines, truth_of(kind, seed, plan, stamp(at) if over else None))


def _as_planned(plan: Plan, shares: list[float], *, over: bool) -> bool:
    """The end is the one that the story promises, and the trace shows the way to it (a cold start may lack that)."""
    fewest = min(plan.last or FEWEST_SNAPSHOTS, FEWEST_SNAPSHOTS)
    if not fewest <= len(shares) <= MOST_SNAPSHOTS:
        return False
    if plan.needs_victim:
        return over and bool(plan.culprits) and (fewest < FEWEST_SNAPSHOTS or shares[0] > 0.03)
    return not over and plan.low[0] <= min(shares) <= plan.low[1]


def truth_of(kind: str, seed: int, plan: Plan, exhausted_at: str | None) -> Truth:
    """What follows from the plan."""
    visible = [c for c in plan.scene.containers if not c.hidden]
    culprits = {c.id for c in plan.culprits}
    forbidden = {c.id for c in visible if _outage(c)} | {c.id for c in plan.forbidden}
    return Truth(
        kind=kind,
        seed=seed,
        story=plan.story,
        domain=plan.domain,
        needs_victim=plan.needs_victim,
        culprits=[c.id for c in plan.culprits],
        forbidden=sorted(forbidden - culprits),
        exhausted_at=exhausted_at,
        outlives_container=[c.id for c in visible if c.volume],
        cost={c.id: round(_cost(c, visible), 2) for c in visible},
        pods={c.id: c.pod.uid for c in visible},
        roles={c.id: "culprit" if c.id in culprits else c.kind.name for c in visible},
        largest_process_share={c.id: round(c.largest_process, 4) for c in visible},
    )


def _outage(c: Container) -> bool:
    """Its death would be an outage: the system's, the important data's, what people gave the highest priority."""
    return c.important or c.pod.static or c.kind.name == "system" or c.pod.priority >= HIGH_PRIORITY


def _cost(c: Container, everybody: list[Container]) -> float:
    """By its kind; work that is lost costs by its age, one of several replicas half, high priority one and a half."""
    cost = c.kind.cost
    if c.kind.name == "batch":
        cost += min(max(c.age, 0.0) / 3600, 10)
    if c.pod.owner_name and len({o.pod.uid for o in everybody if o.pod.owner_name == c.pod.owner_name}) > 1:
        cost *= 0.5
    return cost * (1.5 if c.pod.priority >= HIGH_PRIORITY or c.important else 1.0)


# -- files -------------------------------------------------------------------------------------------------------
def _file_one(folder: Path, work: tuple[str, int]) -> tuple[str, int, int]:
    kind, seed = work
    incident = tell(kind, seed)
    # the name must not tell the kind either
    stem = folder / f"{seed:04d}-{sha256(f'{kind}/{seed}'.encode()).hexdigest()[:10]}"
    data = b"\n".join(incident.lines) + b"\n"
    stem.with_suffix(".jsonl.gz").write_bytes(gzip.compress(data, compresslevel=1, mtime=0))
    stem.with_suffix(".truth.json").write_text(json.dumps(asdict(incident.truth), indent=1), encoding="utf-8")
    return kind, len(incident.lines), len(data)


def write_corpus(
    folder: Path, first_seed: int, per_kind: int, kinds: list[str], jobs: int
) -> Iterator[tuple[str, int, int]]:
    """Files `per_kind` incidents of each kind; yields kind, snapshots and bytes of each. Old files are removed."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in (*folder.glob("*.jsonl.gz"), *folder.glob("*.truth.json")):
        old.unlink()
    work = [(kind, first_seed + turn) for kind in kinds for turn in range(per_kind)]
    with ProcessPoolExecutor(jobs) as pool:
        yield from pool.map(partial(_file_one, folder), work, chunksize=2)


def read_corpus(folder: Path) -> list[tuple[Path, Truth]]:
    """Traces with their truths, sorted by kind and seed."""
    found = []
    for path in folder.glob("*.truth.json"):
        truth = Truth(**json.loads(path.read_text(encoding="utf-8")))
        found.append((path.with_name(path.name.replace(".truth.json", ".jsonl.gz")), truth))
    order = list(KINDS)
    return sorted(found, key=lambda pair: (order.index(pair[1].kind), pair[1].seed))


def read_lines(trace: Path) -> list[bytes]:
    with gzip.open(trace, "rb") as stream:
        return [line for line in stream.read().splitlines() if line.strip()]
