"""Stories in which nobody should die: the node comes near the danger, or looks so, and all is well without help."""

import random

from bench.victims import curves
from bench.victims.curves import bumpy, growth, linear, plus, ramp, spike
from bench.victims.scene import Scene
from bench.victims.story import FULL, Plan, log_uniform, pod_count, room, stage
from bench.victims.workload import KINDS, MIB


def _calm_room(scene: Scene, taken: float, left: float) -> float:
    """Bytes for the crowd so that the share `left` of the node stays available at the worst."""
    return max(room(scene, taken) - scene.share(left - (1 - FULL)), scene.share(0.15))


def _plan(scene: Scene, words: str, seconds: float, interval: float, low: tuple[float, float], **extra: object) -> Plan:
    return Plan(scene, words, seconds, interval, needs_victim=False, low=low, **extra)  # type: ignore[arg-type]


def cache_growth(rng: random.Random) -> Plan:
    """Page cache fills what was free; all of it can be taken back."""
    scene = stage(rng)
    left, seconds = rng.uniform(0.08, 0.5), rng.uniform(70, 150)
    made = scene.populate(_calm_room(scene, 0.0, left), pod_count(scene))
    readers = rng.sample(made, rng.randint(1, 3))
    for c in readers:
        c.limit = None
        c.stream = curves.steady(scene.share(left / seconds * rng.uniform(0.5, 2.5) / len(readers)))
    scene.passers_by(seconds)
    words = "page cache grows until it fills what is free"
    full = rng.choice((0.0, 0.1, 0.4))
    return _plan(scene, words, seconds, rng.choice((0.5, 1.0, 1.0, 2.0)), (0.05, 0.6), cache_full=full,
                 hot=0.3 * left)  # fmt: skip


def jvm_plateau(rng: random.Random) -> Plan:
    """Heaps warm up, slower and slower, and level off just before it gets dangerous."""
    scene = stage(rng, swap=False)
    left, seconds = rng.uniform(0.025, 0.1), rng.uniform(20, 80)
    replicas = rng.choice((1, 1, 2, 3))
    taken = 0.0
    for _ in range(replicas):
        end = rng.uniform(0.1, 0.32) / replicas
        heap = ramp(0.1 * scene.share(end), scene.share(end), rng.uniform(0, 10), seconds, knee=rng.uniform(2.0, 5))
        depth = scene.share(end) * rng.uniform(0.005, 0.03)
        teeth = curves.sawtooth(-depth, 0.0, rng.uniform(5, 20), rng.random())
        c = scene.add(KINDS["jvm"], scene.share(end), anon=plus(heap, teeth), wobble=0.002)
        c.request = int(scene.share(end) * rng.uniform(0.6, 1.05)) // MIB * MIB
        c.limit = int(scene.share(end) * rng.uniform(1.06, 1.35)) // MIB * MIB if rng.random() < 0.75 else None
        c.age, c.restarts = rng.uniform(3, 40), 0
        taken += end
    scene.populate(_calm_room(scene, scene.share(taken), left), pod_count(scene))
    words = f"{replicas} heaps warm up and level off with {left:.0%} left"
    return _plan(scene, words, seconds + rng.uniform(40, 70), rng.choice((0.5, 1.0, 1.0)), (0.015, 0.13), last=180,
                 hot=rng.uniform(0.2, 0.6) * left)  # fmt: skip


def batch_ends(rng: random.Random) -> Plan:
    """A job grows until its work is done, and that is soon enough."""
    scene = stage(rng, swap=False)
    left = rng.uniform(0.022, 0.1)
    rate = (left - 0.01) / log_uniform(rng, 3, 40)
    seconds = rng.uniform(25, 80)
    total = min(rate * seconds, 0.3)
    seconds = total / rate if total == 0.3 else seconds
    onset = rng.uniform(2, 15)
    shape = rng.choice((linear, bumpy(rng)))
    base = rng.uniform(0.005, 0.03)
    work = growth(scene.share(base), scene.share(total), onset, seconds, shape)
    c = scene.add(KINDS["batch"], scene.share(base + total), anon=work)
    if c.limit:
        c.limit = int(scene.share(base + total) * 1.3) // MIB * MIB
    c.ends = onset + seconds
    c.age = rng.uniform(1, 120)
    c.pod.restart_policy = rng.choice(("Never", "OnFailure"))
    scene.populate(_calm_room(scene, scene.share(base + total), left), pod_count(scene))
    words = f"a batch job ends in time with {left:.1%} left"
    return _plan(scene, words, onset + seconds + rng.uniform(15, 40), rng.choice((0.5, 1.0, 1.0)), (0.013, 0.13),
                 last=180, hot=rng.uniform(0.2, 0.6) * left)  # fmt: skip


def spike_recovers(rng: random.Random) -> Plan:
    """A big request, a report, a reload: up, a moment, and down again."""
    scene = stage(rng, swap=False)
    left, height = rng.uniform(0.025, 0.1), rng.uniform(0.05, 0.22)
    onset, rise, hold, fall = rng.uniform(8, 30), rng.uniform(2, 14), rng.uniform(1, 15), rng.uniform(1, 6)
    base = rng.uniform(0.02, 0.12)
    curve = spike(scene.share(base), scene.share(height), onset=onset, rise=rise, hold=hold, fall=fall)
    c = scene.add(KINDS[rng.choice(("web", "jvm", "worker", "cache"))], scene.share(base), anon=curve, wobble=0.002)
    if c.limit:
        c.limit = int(scene.share(base + height) * rng.uniform(1.08, 1.6)) // MIB * MIB
    scene.populate(_calm_room(scene, scene.share(base + height), left), pod_count(scene))
    words = f"a spike of {height:.0%} recovers with {left:.1%} left"
    return _plan(scene, words, onset + rise + hold + fall + rng.uniform(20, 40), rng.choice((0.5, 0.5, 1.0)),
                 (0.013, 0.13), last=180, hot=rng.uniform(0.2, 0.6) * left)  # fmt: skip


def streaming_noise(rng: random.Random) -> Plan:
    """Healthy streaming reads: no free memory, busy kswapd, noisy PSI, and plenty available."""
    scene = stage(rng)
    left = rng.uniform(0.12, 0.55)
    made = scene.populate(_calm_room(scene, 0.0, left), pod_count(scene))
    for c in rng.sample(made, rng.randint(1, 4)):
        c.limit = None if rng.random() < 0.6 else c.limit
        c.stream = curves.wave(scene.share(0.006), scene.share(0.005), rng.uniform(7, 40), rng.random())
        c.kind = KINDS["queue"]
    words = "healthy streaming reads with noisy pressure"
    return _plan(scene, words, rng.uniform(60, 120), rng.choice((0.5, 1.0, 2.0)), (0.08, 0.65), hot=0.4 * left,
                 stall_noise=rng.uniform(0.01, 0.05))  # fmt: skip


def near_full_flat(rng: random.Random) -> Plan:
    """A busy node that has stood just above the danger for days and goes on standing there."""
    scene = stage(rng, swap=False)
    left = rng.uniform(0.03, 0.065)
    scene.populate(_calm_room(scene, 0.0, left), pod_count(scene))
    for c in scene.containers:
        size = c.anon(0.0)
        c.anon = curves.wave(size, size * rng.uniform(0, 0.006), rng.uniform(20, 200), rng.random())
        c.wobble *= 0.15
    words = f"busy and full but flat, {left:.1%} left"
    return _plan(scene, words, rng.uniform(90, 170), rng.choice((0.5, 1.0, 1.0, 2.0)), (0.015, 0.09),
                 hot=rng.uniform(0.2, 0.6) * left, last=200)  # fmt: skip
