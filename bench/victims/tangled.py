"""Stories in which who is to blame is not who grows, who is biggest, or who is nearest at hand."""

import random

from bench.victims import curves
from bench.victims.curves import growth, ramp, some_shape
from bench.victims.scene import HIGH_PRIORITY, Scene
from bench.victims.story import Plan, crowd, culprit, log_uniform, pod_count, room, stage
from bench.victims.workload import KINDS, MIB, Container


def _rounded(size: float) -> int:
    return max(int(size / MIB), 8) * MIB


def _warm_up(scene: Scene, start: float, end: float, onset: float, seconds: float, **extra: object) -> Container:
    """An innocent that has just started and fills the heap it asked for."""
    rng = scene.rng
    curve = ramp(scene.share(start), scene.share(end), onset, seconds, knee=rng.uniform(2, 5))
    c = scene.add(KINDS["jvm"], scene.share(end), anon=curve, **extra)
    c.request = _rounded(scene.share(end) * rng.uniform(0.85, 1.2))
    c.limit = _rounded(max(scene.share(end) * 1.25, c.request))
    c.age, c.restarts, c.pinned = rng.uniform(3, 30), 0, True
    return c


def lookalikes(rng: random.Random) -> Plan:
    """Beside the culprit stand the biggest, the one whose page cache grows, and one that warms up."""
    scene = stage(rng)
    rate, end = log_uniform(rng, 0.001, 0.006), rng.uniform(0.1, 0.25)
    seconds = rng.uniform(60, 110)
    total = min(rate * seconds, 0.8 * end)
    curve = growth(scene.share(end - total), scene.share(total), 0.0, total / rate, some_shape(rng))
    guilty = culprit(scene, curve, scene.share(end - total) * rng.uniform(0.3, 0.9), scene.share(end))
    taken = end
    cast = rng.sample(("biggest", "cache", "decoy"), rng.choice((1, 2, 3, 3)))
    if "biggest" in cast:
        size = rng.uniform(0.22, 0.38)
        biggest = scene.add(KINDS[rng.choice(("database", "jvm", "cache"))], scene.share(size))
        biggest.request = _rounded(scene.share(size) * rng.uniform(1.0, 1.15))
        biggest.limit, biggest.important, biggest.pinned = None, True, True
        taken += size
    if "cache" in cast:
        reader = scene.add(KINDS[rng.choice(("database", "queue", "batch"))], scene.share(0.04))
        reader.limit = None
        reader.stream = curves.steady(scene.share(rng.uniform(0.001, 0.004)))
        taken += 0.04
    if "decoy" in cast:
        size = rng.uniform(0.05, 0.14)
        _warm_up(scene, 0.1 * size, size, rng.uniform(0, 0.3 * seconds), rng.uniform(15, 50))
        taken += size
    crowd(scene, scene.share(taken), seconds=seconds)
    words = "a leak beside innocent look-alikes: " + ", ".join(sorted(cast))
    return Plan(scene, words, 4 * seconds, 1.0, culprits=[guilty], last=160, hot=rng.uniform(0.01, 0.04),
                cache_full=rng.choice((0.5, 1.0)))  # fmt: skip


def entitled_growth(rng: random.Random) -> Plan:
    """A pod grows within its request, as it may; squatters far over theirs hold the memory that it was promised."""
    scene = stage(rng, swap=False)
    request = rng.uniform(0.25, 0.42)
    start, end = request * rng.uniform(0.4, 0.6), request * rng.uniform(0.85, 0.97)
    seconds = rng.uniform(40, 120)
    kind = KINDS[rng.choice(("database", "jvm", "cache", "jvm"))]
    curve = growth(scene.share(start), scene.share(end - start), 3.0, seconds, some_shape(rng))
    entitled = scene.add(kind, scene.share(end), anon=curve, shmem=curves.steady(0.0))
    entitled.request, entitled.limit, entitled.pinned = _rounded(scene.share(request)), None, True
    entitled.wobble = 0.004
    if rng.random() < 0.4:
        entitled.limit = entitled.request
    squatters = []
    for _ in range(rng.choice((1, 1, 2, 3))):
        size = scene.share(rng.uniform(0.12, 0.3) / (1 if not squatters else 1.6))
        usual = size * rng.uniform(0.08, 0.3)
        calm = curves.wave(size, 0.006 * size, rng.uniform(40, 200), rng.random())
        style = rng.choice(("none", "little", "little"))
        kind = KINDS[rng.choice(("web", "worker", "batch", "jvm"))]
        squatter = culprit(scene, calm, usual, size, kind=kind, request=style)
        squatters.append(squatter)
    held = sum(c.anon(0.0) for c in squatters)
    largest = max(c.anon(0.0) - (c.request or 0) for c in squatters)
    guilty = [c for c in squatters if c.anon(0.0) - (c.request or 0) >= 0.5 * largest]
    crowd(scene, scene.share(end) + held, seconds=seconds)
    words = "a pod grows within its request while squatters hold far more than theirs"
    interval = rng.choice((0.5, 1.0, 1.0, 2.0))
    return Plan(scene, words, 3 * seconds, interval, culprits=guilty, forbidden=[entitled], last=180,
                hot=rng.uniform(0.01, 0.04))  # fmt: skip


def uniform_overcommit(rng: random.Random) -> Plan:
    """Nobody leaks: many ordinary pods use a bit more than they asked for, and together it is too much."""
    scene = stage(rng)
    count = rng.randint(7, 16)
    seconds = rng.uniform(50, 130)
    whole = rng.uniform(0.5, 0.7)
    weights = [rng.lognormvariate(0.0, 0.45) for _ in range(count)]
    rise = log_uniform(rng, 0.0008, 0.004) * seconds / whole
    many: list[tuple[Container, float]] = []
    for weight in weights:
        end = scene.share(whole * weight / sum(weights))
        start = end * (1 - rise * rng.uniform(0.4, 1.6))
        kind = KINDS[rng.choice(("web", "jvm", "worker", "worker"))]
        curve = growth(max(start, 0.3 * end), end - max(start, 0.3 * end), 0.0, seconds, some_shape(rng))
        c = scene.add(kind, end, anon=curve)
        c.request = _rounded(end / rng.uniform(1.15, 1.7))
        c.limit, c.important, c.pinned = None, False, True
        many.append((c, end))
    others = scene.populate(max(room(scene, scene.share(whole)), scene.share(0.1)), max(pod_count(scene) // 2, 5))
    many += [(c, c.anon(0.0) + c.shmem(0.0)) for c in others]
    # whose loss helps and is no outage: over the request by a good part of the largest excess, and not tiny
    plain = [(c, end, end - (c.request or 0)) for c, end in many if not c.important and c.kind.name != "system"]
    plain = [row for row in plain if row[0].pod.priority < HIGH_PRIORITY and not row[0].pod.static]
    largest = max((over for _, _, over in plain), default=0.0)
    guilty = [c for c, end, over in plain if over >= 0.35 * largest and end >= scene.share(0.02)]
    words = "many pods use a bit more than they asked for"
    return Plan(scene, words, 3 * seconds, rng.choice((1.0, 1.0, 2.0)), culprits=guilty, last=180,
                hot=rng.uniform(0.01, 0.04))  # fmt: skip


def flat_culprit(rng: random.Random) -> Plan:
    """The leak is old and has stopped; now the small growth of others, who may grow, fills the node."""
    scene = stage(rng)
    size = rng.uniform(0.18, 0.42)
    usual = scene.share(size * rng.uniform(0.06, 0.25))
    calm = curves.wave(scene.share(size), scene.share(0.002), rng.uniform(60, 300), rng.random())
    kind, style = KINDS[rng.choice(("web", "worker", "jvm", "cache"))], rng.choice(("none", "little", "little"))
    guilty = culprit(scene, calm, usual, scene.share(size), kind=kind, request=style)
    guilty.wobble, guilty.cores = 0.001, guilty.cores * 0.3
    guilty.age = min(rng.uniform(0.3, 12) * 86400, 0.95 * scene.machine.uptime)
    seconds, others, pushed = rng.uniform(50, 130), rng.randint(3, 9), rng.uniform(0.05, 0.16)
    taken = size
    for _ in range(others):
        end = rng.uniform(0.02, 0.06)
        start = max(end - pushed / others * rng.uniform(0.6, 1.4), 0.3 * end)
        curve = growth(scene.share(start), scene.share(end - start), 0.0, seconds, some_shape(rng))
        c = scene.add(KINDS[rng.choice(("web", "jvm", "worker"))], scene.share(end), anon=curve)
        c.request = _rounded(scene.share(end) * rng.uniform(0.85, 1.3))
        c.limit, c.pinned = None, True
        taken += end
    crowd(scene, scene.share(taken), seconds=seconds)
    words = "an old leak, now flat, holds the memory that others need for their ordinary growth"
    return Plan(scene, words, 3 * seconds, rng.choice((0.5, 1.0, 1.0, 2.0)), culprits=[guilty], last=180,
                hot=rng.uniform(0.01, 0.04))  # fmt: skip


def rollout(rng: random.Random) -> Plan:
    """A new version is being rolled out: several replicas warm up at once, and one culprit leaks beside them."""
    scene = stage(rng)
    rate, end = log_uniform(rng, 0.0015, 0.008), rng.uniform(0.12, 0.32)
    seconds = rng.uniform(50, 100)
    total = min(rate * seconds, 0.8 * end)
    curve = growth(scene.share(end - total), scene.share(total), 0.0, total / rate, some_shape(rng))
    guilty = culprit(scene, curve, scene.share(end - total) * rng.uniform(0.4, 0.9), scene.share(end))
    replicas, size = rng.randint(3, 6), rng.uniform(0.02, 0.055)
    first = scene.pod(KINDS["jvm"])
    for turn in range(replicas):
        pod = scene.pod(KINDS["jvm"], priority=first.priority, app=first.owner_name)
        pod.namespace = first.namespace
        onset = turn * rng.uniform(0.5, 6)
        c = _warm_up(scene, 0.15 * size, size * rng.uniform(0.9, 1.1), onset, rng.uniform(25, 70), pod=pod)
        c.begins, c.age = (onset, -onset) if onset > 0 else (-curves.NEVER, rng.uniform(1, 8))
    crowd(scene, scene.share(end + replicas * size), seconds=seconds)
    words = f"{replicas} new replicas warm up beside one leak"
    return Plan(scene, words, 4 * seconds, rng.choice((0.5, 1.0, 1.0)), culprits=[guilty], last=180,
                hot=rng.uniform(0.01, 0.04))  # fmt: skip
