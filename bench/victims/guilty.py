"""Stories with one plain culprit: something grows that should not, each in its own way."""

import math
import random

from bench.victims import curves
from bench.victims.curves import Curve, growth, some_shape, steady
from bench.victims.scene import Scene
from bench.victims.story import Plan, crowd, culprit, log_uniform, pod_count, stage
from bench.victims.workload import GIB, KINDS, MIB, Container


def _pace(rng: random.Random, rate: float) -> tuple[float, int | None]:
    """Snapshot interval that suits a rate (share of the node per second), and how many snapshots to keep."""
    if rate > 0.02:
        interval = rng.choice((0.1, 0.1, 0.5))
    elif rate > 0.01:
        interval = rng.choice((0.1, 0.5, 1.0))
    elif rate > 0.004:
        interval = rng.choice((0.5, 1.0, 1.0))
    else:
        interval = rng.choice((0.5, 1.0, 1.0, 1.0, 2.0))
    return interval, rng.randint(80, 160) if interval == 0.1 else None


def _leak(scene: Scene, rate: float, end: float, seconds: float, onset: float = 0.0) -> tuple[Curve, float]:
    """A leak that reaches `end` (share) after `seconds` at `rate` on average; returns the curve and its usual size."""
    total = min(rate * seconds, 0.9 * end)
    start, rng = end - total, scene.rng
    usual = max(start * (1.0 if onset else rng.uniform(0.3, 0.9)), 0.01)
    curve = growth(scene.share(start), scene.share(total), onset, total / rate, some_shape(rng))
    return curve, scene.share(usual)


def _plain(
    rng: random.Random, scene: Scene, words: str, rates: tuple[float, float], ends: tuple[float, float], **extra: object
) -> Plan:
    """One leak in an ordinary container, the rest of the node innocent."""
    rate, end = log_uniform(rng, *rates), rng.uniform(*ends)
    interval, last = _pace(rng, rate)
    seconds = rng.uniform(60, 150) * (1.5 if interval == 2.0 else 0.6 if interval == 0.5 else 1.0)
    onset = rng.uniform(5, 25) if rate > 0.004 else 0.0
    curve, usual = _leak(scene, rate, end, seconds, onset)
    guilty = culprit(scene, curve, usual, scene.share(end), **extra)  # type: ignore[arg-type]
    crowd(scene, scene.share(end), seconds=seconds)
    return Plan(scene, words, 3 * seconds + onset, interval, culprits=[guilty], last=last, hot=rng.uniform(0.01, 0.05))


def slow_leak(rng: random.Random) -> Plan:
    return _plain(rng, stage(rng), "one container leaks slowly, for hours already", (0.0003, 0.0016), (0.08, 0.42))


def fast_leak(rng: random.Random) -> Plan:
    return _plain(rng, stage(rng), "one container leaks fast", (0.005, 0.04), (0.12, 0.5))


def high_adj_leak(rng: random.Random) -> Plan:
    words = "a best-effort container (oom_score_adj 1000) leaks"
    return _plain(rng, stage(rng), words, (0.001, 0.01), (0.08, 0.35), request="none")


def many_processes(rng: random.Random) -> Plan:
    """Each of its processes is small: whoever looks at processes finds another one bigger."""
    scene, workers = stage(rng), rng.randint(40, 300)
    words = "a pool of many small worker processes leaks, a little in each"
    extra = {"kind": KINDS["worker"], "processes": steady(workers), "largest_process": 1.5 / workers}
    return _plain(rng, scene, words, (0.001, 0.012), (0.1, 0.4), **extra)


def high_priority_leak(rng: random.Random) -> Plan:
    scene = stage(rng, ranks=rng.choice((1, 2)))
    kind = KINDS[rng.choice(("web", "jvm", "worker"))]
    pod = scene.pod(kind, priority=rng.choice((100_000, 1_000_000, 1_000_000_000)))
    return _plain(rng, scene, "a container of high priority leaks", (0.0008, 0.012), (0.1, 0.4), kind=kind, pod=pod)


def low_adj_leak(rng: random.Random) -> Plan:
    """A big request gives a low oom_score_adj: the kernel looks elsewhere."""
    scene = stage(rng)
    request = rng.uniform(0.15, 0.3)
    end = request * rng.uniform(1.3, 1.8)
    plan = _plain(rng, scene, "a container with a big request leaks beyond it", (0.001, 0.01), (end, end))
    plan.culprits[0].request, plan.culprits[0].pinned = int(scene.share(request)) // MIB * MIB, True
    return plan


def burst(rng: random.Random) -> Plan:
    """Steady for long, then a great deal within seconds."""
    scene = stage(rng)
    amount, rise, onset = rng.uniform(0.12, 0.4), rng.uniform(1.5, 9), rng.uniform(15, 45)
    base = rng.uniform(0.01, 0.06)
    curve = growth(scene.share(base), scene.share(amount), onset, rise, curves.linear)
    end = scene.share(base + amount)
    guilty = culprit(scene, curve, scene.share(base), end)
    crowd(scene, end, seconds=onset + rise)
    interval = 0.1 if rise < 3 else rng.choice((0.1, 0.5, 0.5, 1.0) if rise > 6 else (0.1, 0.5))
    last = rng.randint(80, 160) if interval == 0.1 else None
    words = "one container takes a great deal within seconds"
    return Plan(scene, words, onset + 12 * rise, interval, culprits=[guilty], last=last, hot=rng.uniform(0.01, 0.04))


def fork_swarm(rng: random.Random) -> Plan:
    """Processes breed: twice as many every few seconds, each small."""
    scene = stage(rng)
    onset, seconds, end = rng.uniform(10, 30), rng.uniform(6, 35), rng.uniform(0.1, 0.38)
    steep, base = rng.uniform(2.5, 5.0), 0.008
    crop = min(max(int(scene.share(end) / (rng.uniform(3, 24) * MIB)), 30), 2500)

    def breed(x: float) -> float:
        inside = min(x, 1.0)
        return math.expm1(steep * inside) / math.expm1(steep) + max(x - 1.0, 0.0) * steep

    curve = growth(scene.share(base), scene.share(end - base), onset, seconds, breed)
    kind = KINDS[rng.choice(("worker", "batch", "web"))]
    guilty = culprit(scene, curve, scene.share(base), scene.share(end), kind=kind)
    guilty.processes = growth(4, crop, onset, seconds, breed)
    guilty.largest_process, guilty.cores = 1.5 / crop, 0.2
    guilty.busy = growth(1.0, scene.machine.cpus * 2, onset, seconds, lambda x: min(x, 1.0))
    crowd(scene, scene.share(end), seconds=onset + seconds)
    interval = rng.choice((0.5, 1.0) if seconds > 15 else (0.1, 0.5))
    last = rng.randint(80, 160) if interval == 0.1 else None
    words = "processes breed in one container"
    return Plan(scene, words, onset + 3 * seconds, interval, culprits=[guilty], last=last, hot=rng.uniform(0.01, 0.04))


def swap_hog(rng: random.Random) -> Plan:
    """Cold memory that goes to swap as fast as it is made: resident hardly grows, swap does."""
    scene = stage(rng, swap=True)
    machine = scene.machine
    end = rng.uniform(0.2, 0.4) + 0.5 * machine.swap_total / machine.total
    rate = log_uniform(rng, 0.002, 0.009)
    curve, usual = _leak(scene, rate, end, rng.uniform(60, 120))
    guilty = culprit(scene, curve, usual, scene.share(end), kind=KINDS[rng.choice(("worker", "jvm", "batch", "web"))])
    guilty.cold = rng.uniform(0.85, 0.97)
    crowd(scene, scene.share(end), seconds=120)
    words = "one container fills the swap with cold memory"
    interval = rng.choice((1.0, 1.0, 2.0))
    return Plan(scene, words, 400, interval, culprits=[guilty], last=180, hot=rng.uniform(0.01, 0.04))


def shm_hog(rng: random.Random) -> Plan:
    """Files in memory: an emptyDir of medium Memory outlives the container, a private /dev/shm doesn't."""
    scene = stage(rng)
    rate, end, base = log_uniform(rng, 0.001, 0.015), rng.uniform(0.1, 0.4), rng.uniform(0.01, 0.04)
    interval, last = _pace(rng, rate)
    total = min(rate * rng.uniform(60, 120), 0.9 * (end - base))
    usual = scene.share(base)
    guilty = culprit(scene, curves.wave(usual, 0.02 * usual, 90, rng.random()), usual, scene.share(end))
    guilty.shmem = growth(scene.share(end - base - total), scene.share(total), 5.0, total / rate, some_shape(rng))
    guilty.volume = "emptyDir" if rng.random() < 0.65 else None
    crowd(scene, scene.share(end), seconds=total / rate)
    words = "files in memory grow in one container" + (" (emptyDir: only eviction frees them)" if guilty.volume else "")
    keep = ("memoryVolumes",)
    return Plan(scene, words, 3 * total / rate + 10, interval, culprits=[guilty], last=last, keep=keep, hot=0.02)


def numa_local(rng: random.Random) -> Plan:
    """One NUMA node runs dry under containers that are bound to it, the other has plenty."""
    scene = stage(rng, swap=False, numa=2, least_gib=16)
    part = 0.5
    rate, end = log_uniform(rng, 0.0006, 0.004), rng.uniform(0.08, 0.25)
    interval, last = _pace(rng, rate)
    curve, usual = _leak(scene, rate, end, rng.uniform(60, 120))
    guilty = culprit(scene, curve, usual, scene.share(end))
    guilty.home, guilty.bound = 0, True
    here = scene.share(part * FULL_PART - end)
    there = scene.share(part * rng.uniform(0.3, 0.6))
    made = scene.populate(here + there, pod_count(scene))
    rng.shuffle(made)
    held = 0.0
    for c in made:
        # as under the static memory manager: whoever lives on node 0 is bound to it, the others mostly to the other
        size = c.anon(0.0) + c.shmem(0.0) + c.kernel_base
        c.home = 0 if held + size <= here else 1
        held += size if c.home == 0 else 0.0
        c.bound = c.home == 0 or rng.random() < 0.6
    _top_up(scene, here - held)
    words = "one NUMA node runs dry by a leak bound to it; the other has plenty"
    return Plan(scene, words, 500, interval, culprits=[guilty], domain="numa/0", last=last or 200, keep=("numa",),
                hot=rng.uniform(0.005, 0.02))  # fmt: skip


FULL_PART = 0.98


def _top_up(scene: Scene, missing: float) -> None:
    """What the shuffle left open on NUMA node 0 becomes one more bound container."""
    if missing > 4 * MIB:
        filler = scene.add(KINDS["cache"], missing)
        filler.home, filler.bound = 0, True


def sidecar_leak(rng: random.Random) -> Plan:
    """The important container of a pod is innocent, the little one beside it leaks."""
    scene = stage(rng)
    kind = KINDS[rng.choice(("database", "jvm", "web", "queue"))]
    priority = rng.choice((scene.priorities["high"], scene.priorities["top"]))
    pod = scene.pod(kind, priority=priority)
    size = scene.share(rng.uniform(0.06, 0.2))
    main = scene.add(kind, size, pod=pod)
    main.important = True
    rate, end = log_uniform(rng, 0.0006, 0.012), rng.uniform(0.06, 0.3)
    interval, last = _pace(rng, rate)
    curve, usual = _leak(scene, rate, end, rng.uniform(60, 120))
    usual = min(usual, 0.25 * GIB)
    guilty = culprit(scene, curve, usual, scene.share(end), kind=KINDS["sidecar"], pod=pod, request="little")
    guilty.type = "sidecar" if rng.random() < 0.6 else "container"
    guilty.age = main.age
    crowd(scene, scene.share(end) + size, seconds=100)
    words = "the sidecar of an important pod leaks"
    return Plan(scene, words, 500, interval, culprits=[guilty], forbidden=[main], last=last or 180, keep=("type",),
                hot=rng.uniform(0.01, 0.04))  # fmt: skip


def restart_loop(rng: random.Random) -> Plan:
    """It leaks, falls over, comes back under a new id and leaks again; the last time it takes the node along."""
    scene = stage(rng)
    rate, end = log_uniform(rng, 0.004, 0.02), rng.uniform(0.12, 0.4)
    base = rng.uniform(0.01, 0.03)
    kind = KINDS[rng.choice(("web", "jvm", "worker"))]
    pod, shape = scene.pod(kind), some_shape(rng)
    lives: list[Container] = []
    begin, restarts, request = -rng.uniform(5, 300), rng.randint(0, 6), rng.choice(("none", "little", "fair"))
    onset, falls = 0.0, rng.randint(1, 3)
    for turn in range(falls + 1):
        final = turn == falls
        peak = end if final else end * rng.uniform(0.35, 0.8)
        seconds = (peak - base) / rate
        curve = growth(scene.share(base), scene.share(peak - base), onset, seconds, shape)
        life = culprit(scene, curve, scene.share(base), scene.share(end), kind=kind, pod=pod, request=request)
        life.begins, life.age, life.restarts = begin, -begin, restarts + turn
        if lives:
            life.name, life.request, life.limit = lives[0].name, lives[0].request, lives[0].limit
        life.ends = curves.NEVER if final else onset + seconds
        lives.append(life)
        begin = onset = onset + seconds + rng.uniform(1, 6)
    crowd(scene, scene.share(end), seconds=onset)
    words = f"a container leaks and falls over {falls} times, then takes the node along"
    interval = rng.choice((0.5, 1.0, 1.0)) if onset < 90 else 1.0
    return Plan(scene, words, onset + 6 * end / rate, interval, culprits=lives, last=200, hot=rng.uniform(0.01, 0.04))


def kubepods_limit(rng: random.Random) -> Plan:
    """kubepods.slice has its own memory.max, and it breaks while the node itself has memory left."""
    scene = stage(rng, swap=False, numa=1)
    limit = rng.uniform(0.8, 0.93)
    scene.machine.kubepods_max = int(scene.share(limit)) // MIB * MIB
    rate, end = log_uniform(rng, 0.001, 0.01), rng.uniform(0.1, 0.38)
    interval, last = _pace(rng, rate)
    curve, usual = _leak(scene, rate, end, rng.uniform(60, 110))
    guilty = culprit(scene, curve, usual, scene.share(end))
    scene.populate(scene.share(0.99 * limit - end), pod_count(scene))
    words = "a leak fills kubepods.slice to its limit; the node has memory left"
    return Plan(scene, words, 500, interval, culprits=[guilty], domain="kubepods", last=last or 180, keep=("cgroups",),
                hot=rng.uniform(0.01, 0.03))  # fmt: skip


def cold_start(rng: random.Random) -> Plan:
    """The guard has just started: it sees the last few snapshots only."""
    teller = rng.choice(
        (slow_leak, fast_leak, burst, high_adj_leak, many_processes, low_adj_leak, fork_swarm, swap_hog)
    )
    plan = teller(rng)
    plan.interval = rng.choice((0.5, 0.5, 1.0))
    plan.last = rng.randint(3, 7)
    plan.story = f"the guard has just started: {plan.story}"
    return plan
