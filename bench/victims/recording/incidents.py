"""The incidents that are recorded. Who is to blame, who must live and what a loss costs is said here, before any
recording, and nowhere changed after it.

The cluster is the simulation's (scene.py): the same habits, requests, priorities and costs. Only memory is real.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from bench.victims.corpus import Truth, truth_of
from bench.victims.curves import steady as flat
from bench.victims.machine import Machine
from bench.victims.names import cgroup_path
from bench.victims.recording.script import MOST_READERS, UNREST, Growth, Load, Place, Script, Swap, place, steady
from bench.victims.scene import PRIORITIES, Scene
from bench.victims.story import Plan, culprit
from bench.victims.workload import KINDS, MIB, Container

SEEDS = range(4)
#: Machines by seed, in MiB.
SIZES_MIB = (1024, 1536, 2048, 1024)
#: What is left of them to the programs on them, about.
USABLE = 0.85
SNAPSHOTS = 40
SHORTEST_INTERVAL, LONGEST_INTERVAL = 0.1, 1.0
#: What the others hold, of what is usable; and where the node itself is not to be in danger.
CROWD, ROOMY = (0.4, 0.7), (0.3, 0.42)
READING_KINDS = ("database", "queue", "batch")
HOG = Load("hog")
#: As kubelet and the runtime: they hold little, and read their files now and then.
SYSTEM_LOADS = (Load("warm", ("max=24", "period_ms=500")),)


@dataclass(slots=True)
class Told:
    """One incident before it happens: the plan with the truth, and what the machine does beside the steady crowd."""

    plan: Plan
    grows: dict[str, tuple[Load, ...]] = field(default_factory=dict)
    pod_limits: dict[str, int] = field(default_factory=dict)
    outside: tuple[Load, ...] = ()
    swap: Swap = ""
    room: float | None = None
    guards_limits: bool = False


Incident = Callable[[random.Random, Scene], Told]


def memory_mib(seed: int) -> int:
    """The machine's size."""
    return SIZES_MIB[seed % len(SIZES_MIB)]


def told(kind: str, seed: int) -> Told:
    """The incident of this kind and seed: always the same."""
    rng = random.Random(f"recorded/{kind}/{seed}")
    machine = Machine(total=memory_mib(seed) * MIB, cpus=1)
    scene = Scene(rng, machine, PRIORITIES[seed % len(PRIORITIES)], thrift=rng.uniform(0.5, 1.1))
    found = INCIDENTS[kind](rng, scene)
    scene.close()
    for c in scene.containers:
        c.low_bytes = c.min_bytes = 0
    return found


def truth(kind: str, seed: int, exhausted_at: str | None = None) -> Truth:
    """Who is to blame, who must live, what each loss costs: all but the moment is known before.

    Processes' sizes are read from the machine.
    """
    return replace(truth_of(kind, seed, told(kind, seed).plan, exhausted_at), largest_process_share={})


def script(kind: str, seed: int) -> Script:
    """What the machine is to do."""
    found = told(kind, seed)
    plan, rng = found.plan, random.Random(f"script/{kind}/{seed}")
    readers = sorted(plan.scene.containers, key=lambda c: (c.id not in found.grows, c.kind.name not in READING_KINDS))
    readers = [c for c in readers if c.kind.name in READING_KINDS][:MOST_READERS]
    places = [_placed(c, found, readers, rng) for c in plan.scene.containers]
    system = Place(
        "system.slice/kubelet.service", (*SYSTEM_LOADS, Load("churn", ("window=12", "rate=3"))), -999, disk=0
    )
    leak = (Place("system.slice/backup.service", found.outside),) if found.outside else ()
    return Script(
        name=f"{kind}-{seed}", places=(*places, system, *leak), domain=plan.domain, interval=plan.interval,
        seconds=plan.seconds, swap=found.swap, room=found.room,
        ends_exhausted=plan.needs_victim or bool(found.outside),
    )  # fmt: skip


def _placed(c: Container, found: Told, readers: list[Container], rng: random.Random) -> Place:
    loads = steady(c)
    reads = c in readers
    if reads:
        window = max(c.anon(0.0) * c.kind.hot, 16 * MIB)
        loads += (Load("churn", (f"window={window / MIB:.0f}", f"rate={rng.uniform(4, 20):.0f}")),)
    elif c.kind.name in ("web", "jvm") and rng.random() < 0.5:
        loads += (_unrest(c, rng),)
    return place(
        c, loads=(*loads, *found.grows.get(c.id, ())), pod_limit_bytes=found.pod_limits.get(c.id),
        disk=readers.index(c) + 1 if reads else None, fills=c is next(iter(readers), None),
    )  # fmt: skip


def _unrest(c: Container, rng: random.Random) -> Load:
    size = max(c.anon(0.0) * rng.uniform(*UNREST), 2 * MIB)
    times = (f"hold_ms={rng.uniform(300, 3000):.0f}", f"gap_ms={rng.uniform(500, 6000):.0f}", "repeat=1000")
    return Load("spike", (f"max={size / MIB:.0f}", "rate=40", *times))


# -- what most of them share -------------------------------------------------------------------------------------
def _pace(rng: random.Random) -> tuple[float, float]:
    """Seconds before it begins, and that it then takes: some fill the machine within seconds, others take long."""
    seconds = rng.choice((rng.uniform(4, 9), rng.uniform(9, 20), rng.uniform(20, 45)))
    return rng.uniform(0.15, 0.35) * seconds, seconds


def _interval(seconds: float) -> float:
    return min(max(round(seconds / SNAPSHOTS, 2), SHORTEST_INTERVAL), LONGEST_INTERVAL)


def _crowd(scene: Scene, share: float) -> list[Container]:
    """Ordinary pods that hold this share of what is usable; one of them reads a lot."""
    rng = scene.rng
    reader = scene.add(KINDS[rng.choice(("database", "queue"))], scene.share(USABLE * share * rng.uniform(0.12, 0.3)))
    made = scene.populate(scene.share(USABLE * share) - reader.anon(0.0), rng.randint(7, 11))
    for c in (reader, *made):
        c.anon, c.shmem = flat(c.anon(0.0) + c.shmem(0.0)), flat(0.0)
    return [reader, *made]


def _culprit(scene: Scene, crowd: float, **extra: Any) -> Container:
    """Whoever is to blame, before it grows; in the end it holds what the crowd does not."""
    end = scene.share(1.0 - USABLE * crowd)
    usual = scene.share(scene.rng.uniform(0.01, 0.05))
    found = culprit(scene, flat(usual), usual, end, **extra)
    found.shmem = flat(0.0)
    return found


def _leak(
    rng: random.Random, scene: Scene, words: str, load: Load = HOG, *, crowd: tuple[float, float] = CROWD, **extra: Any
) -> Told:
    """One container grows until nothing is left; the others hold a share of the node."""
    share = rng.uniform(*crowd)
    guilty = _culprit(scene, share, **extra)
    _crowd(scene, share)
    onset, seconds = _pace(rng)
    plan = Plan(scene, words, 3 * (onset + seconds), _interval(onset + seconds), culprits=[guilty])
    return Told(plan, {guilty.id: (replace(load, growth=Growth(seconds, onset)),)})


def _calm(
    rng: random.Random, scene: Scene, words: str, load: Callable[[float, float, float], Load], **extra: Any
) -> Told:
    """Somebody grows, and nobody need die; `load` is made of delay, seconds and what is left."""
    share = rng.uniform(0.4, 0.7)
    size = scene.share(0.95 - USABLE * share)
    kind = KINDS[rng.choice(extra.pop("kinds"))]
    c = scene.add(kind, size, anon=flat(scene.share(0.02)), shmem=flat(0.0), limit=None)
    _crowd(scene, share)
    (onset, seconds), left = _pace(rng), rng.uniform(0.03, 0.1)
    told_of = words.format(left=left)
    whole = 1.6 * (onset + seconds)
    plan = Plan(scene, told_of, whole, _interval(whole), needs_victim=False)
    return Told(plan, {c.id: (load(onset, seconds, left),)})


# -- somebody is to blame ----------------------------------------------------------------------------------------
def leak_4k(rng: random.Random, scene: Scene) -> Told:
    return _leak(rng, scene, "one container leaks")


def leak_thp(rng: random.Random, scene: Scene) -> Told:
    return _leak(rng, scene, "one container leaks, in huge pages", Load("hog", ("pages=thp",)))


def swarm(rng: random.Random, scene: Scene) -> Told:
    words, kind = "fifty processes of one container grow together", KINDS[rng.choice(("worker", "web", "batch"))]
    return _leak(rng, scene, words, Load("hog", ("processes=50",)), kind=kind)


def shared_memory(rng: random.Random, scene: Scene) -> Told:
    found = _leak(rng, scene, "files in memory grow in one container (emptyDir: only eviction frees them)", Load("shm"))
    found.plan.culprits[0].volume = "emptyDir"
    return found


def in_database(rng: random.Random, scene: Scene) -> Told:
    """The one that reads most and whose loss costs most is also the one that leaks."""
    found = _leak(rng, scene, "the database itself leaks", kind=KINDS["database"])
    found.plan.culprits[0].anon = flat(scene.share(rng.uniform(0.04, 0.1)))
    return found


def two_pods(rng: random.Random, scene: Scene) -> Told:
    """Two replicas with the same fault: either is a right one."""
    share = rng.uniform(0.4, 0.65)
    kind = KINDS[rng.choice(("web", "worker", "jvm"))]
    first = _culprit(scene, share, kind=kind)
    twin = scene.pod(kind, priority=first.pod.priority, app=first.pod.owner_name)
    twin.namespace = first.pod.namespace
    second = _culprit(scene, share, kind=kind, pod=twin)
    second.name, second.request, second.limit = first.name, first.request, first.limit
    _crowd(scene, share)
    onset, seconds = _pace(rng)
    words = "two replicas leak together"
    plan = Plan(scene, words, 3 * (onset + seconds), _interval(onset + seconds), culprits=[first, second])
    loads = {c.id: (Load("hog", (), Growth(seconds, onset, share=0.5)),) for c in (first, second)}
    return Told(plan, loads)


def swap_file(rng: random.Random, scene: Scene) -> Told:
    found = _leak(rng, scene, "one container leaks, into a swap file too", Load("hog", ("data=half",)))
    found.swap = "swap_file"
    return found


def zram(rng: random.Random, scene: Scene) -> Told:
    found = _leak(rng, scene, "one container leaks, into zram too", Load("hog", ("data=half",)))
    found.swap = "zram"
    return found


def churn_beside(rng: random.Random, scene: Scene) -> Told:
    """Somebody else reads more than there is memory, all the time."""
    found = _leak(rng, scene, "one container leaks while another streams through the page cache")
    reader = scene.add(KINDS["batch"], scene.share(0.03), anon=flat(scene.share(0.03)), shmem=flat(0.0), limit=None)
    stream = ("window=4096", f"rate={rng.uniform(60, 150):.0f}")
    found.grows[reader.id] = (Load("churn", stream, Growth(0.0, 0.0, share=0.0)),)
    return found


def best_effort_beside(rng: random.Random, scene: Scene) -> Told:
    """The one without a request is big and steady, the one with a request far beyond it grows."""
    found = _leak(rng, scene, "a burstable container leaks beside a bigger best-effort one", request="little")
    size = scene.share(rng.uniform(0.1, 0.16))
    scene.add(KINDS[rng.choice(("batch", "worker"))], size, anon=flat(size), shmem=flat(0.0), request=None, limit=None)
    return found


def sidecar(rng: random.Random, scene: Scene, crowd: tuple[float, float] = CROWD) -> Told:
    """The important container of a pod is innocent, the little one beside it leaks."""
    kind = KINDS[rng.choice(("database", "jvm", "queue"))]
    pod = scene.pod(kind, priority=scene.priorities["high"])
    size = scene.share(rng.uniform(0.08, 0.16))
    main = scene.add(kind, size, pod=pod, anon=flat(size), shmem=flat(0.0))
    main.important = True
    extra = {"kind": KINDS["sidecar"], "pod": pod, "request": "little", "crowd": crowd}
    found = _leak(rng, scene, "the sidecar of an important pod leaks", **extra)
    found.plan.forbidden.append(main)
    return found


def kubepods_limit(rng: random.Random, scene: Scene) -> Told:
    """What kubelet leaves to the pods is full, the node is not."""
    found = _leak(rng, scene, "a leak fills kubepods.slice to its limit; the node has memory left")
    found.plan.domain, found.room = "kubepods", rng.uniform(0.4, 0.65)
    return found


def container_limit(rng: random.Random, scene: Scene) -> Told:
    """Its own limit is what it runs into."""
    found = _leak(rng, scene, "a container leaks into its own limit; the node has memory left", crowd=ROOMY)
    (guilty,) = found.plan.culprits
    guilty.limit = int(guilty.anon(0.0) + scene.share(rng.uniform(0.14, 0.2))) // MIB * MIB
    guilty.request = max(int(guilty.limit * rng.uniform(0.3, 0.8)) // MIB, 8) * MIB
    found.plan.domain, found.guards_limits = f"container/{guilty.id}", True
    return found


def pod_limit(rng: random.Random, scene: Scene) -> Told:
    """The pod has a limit, and the sidecar of its important container leaks into it."""
    found = sidecar(rng, scene, ROOMY)
    (guilty,), main = found.plan.culprits, found.plan.forbidden[0]
    found.plan.story = "a sidecar leaks into the limit of its pod; the node has memory left"
    for c in (guilty, main):
        c.limit, c.request, c.pinned = None, max(int(c.anon(0.0)) // MIB, 8) * MIB, True
    limit = int(guilty.anon(0.0) + main.anon(0.0) + scene.share(rng.uniform(0.12, 0.18))) // MIB * MIB
    found.pod_limits, found.guards_limits = {guilty.id: limit, main.id: limit}, True
    found.plan.domain = f"pod/{cgroup_path(guilty.pod.uid, 'Burstable', guilty.id).rpartition('/')[0]}"
    return found


# -- nobody is to blame ------------------------------------------------------------------------------------------
def outside(rng: random.Random, scene: Scene) -> Told:
    """A unit of the system eats the node: no container's death would end that."""
    _crowd(scene, rng.uniform(0.4, 0.7))
    onset, seconds = _pace(rng)
    words = "a unit of the system leaks: no container is to blame"
    plan = Plan(scene, words, 3 * (onset + seconds), _interval(onset + seconds), needs_victim=False)
    return Told(plan, outside=(Load("hog", (), Growth(seconds, onset)),))


def cache_churn(rng: random.Random, scene: Scene) -> Told:
    """Streaming reads through a full page cache: all of it can be taken back."""
    made = _crowd(scene, rng.uniform(0.5, 0.85))
    seconds = rng.uniform(15, 30)
    stream = ("window=4096", f"rate={rng.uniform(80, 200):.0f}")
    plan = Plan(scene, "streaming reads through a full page cache", seconds, _interval(seconds), needs_victim=False)
    return Told(plan, {made[0].id: (Load("churn", stream, Growth(0.0, 0.0, share=0.0)),)})


def plateau(rng: random.Random, scene: Scene) -> Told:
    def heap(delay: float, seconds: float, left: float) -> Load:
        return Load("warm", ("period_ms=500",), Growth(seconds, delay, left=left))

    return _calm(rng, scene, "a heap warms up and levels off with {left:.1%} left", heap, kinds=("jvm", "cache"))


def batch_ends(rng: random.Random, scene: Scene) -> Told:
    def job(delay: float, seconds: float, left: float) -> Load:
        return Load("batch", (f"seconds={seconds + rng.uniform(0.5, 4):.2f}",), Growth(seconds, delay, left=left))

    return _calm(rng, scene, "a batch job ends in time with {left:.1%} left", job, kinds=("batch",))


def spike_recovers(rng: random.Random, scene: Scene) -> Told:
    def spike(delay: float, seconds: float, left: float) -> Load:
        times = (f"hold_ms={rng.uniform(500, 4000):.0f}", "gap_ms=60000", "repeat=1")
        return Load("spike", times, Growth(0.6 * seconds, delay, left=left))

    words = "a spike recovers with {left:.1%} left"
    return _calm(rng, scene, words, spike, kinds=("web", "jvm", "worker"))


INCIDENTS: dict[str, Incident] = {
    "leak-4k": leak_4k,
    "leak-thp": leak_thp,
    "swarm": swarm,
    "shared-memory": shared_memory,
    "in-database": in_database,
    "two-pods": two_pods,
    "swap-file": swap_file,
    "zram": zram,
    "churn-beside": churn_beside,
    "best-effort-beside": best_effort_beside,
    "sidecar": sidecar,
    "kubepods-limit": kubepods_limit,
    "container-limit": container_limit,
    "pod-limit": pod_limit,
    "outside": outside,
    "cache-churn": cache_churn,
    "plateau": plateau,
    "batch-ends": batch_ends,
    "spike-recovers": spike_recovers,
}
#: Those of the test cluster stand in cluster.py, with what they need of it.
CLUSTER_KINDS = ("cluster-leak", "cluster-sidecar", "cluster-best-effort", "cluster-job")
