"""How the memory of one program moves: curves over the trace's time, in bytes.

A curve is a plain function of t (seconds since the trace began). Growth shapes run from 0 at x = 0 to 1 at x = 1 and
go on growing after that, since a leak doesn't know that the node is full.
"""

import math
import random
from collections.abc import Callable

Curve = Callable[[float], float]

NEVER = math.inf


def nothing(_t: float) -> float:
    return 0.0


def one(_t: float) -> float:
    return 1.0


def steady(level: float) -> Curve:
    return lambda _t: level


def drift(level: float, per_second: float) -> Curve:
    return lambda t: max(level + per_second * t, 0.0)


def sawtooth(low: float, high: float, period: float, phase: float) -> Curve:
    """A collector's heap: climbs from low to high, falls at once."""
    return lambda t: low + (high - low) * ((t / period + phase) % 1.0)


def wave(level: float, amplitude: float, period: float, phase: float) -> Curve:
    return lambda t: level + amplitude * math.sin(2 * math.pi * (t / period + phase))


def spike(level: float, height: float, *, onset: float, rise: float, hold: float, fall: float) -> Curve:
    """Up, hold, down again: a big request, a report, a reload of a table."""

    def at(t: float) -> float:
        since = t - onset
        if since <= 0:
            return level
        if since <= rise:
            return level + height * since / rise
        if since <= rise + hold:
            return level + height
        return level + height * max(0.0, 1 - (since - rise - hold) / fall)

    return at


def ramp(start: float, end: float, onset: float, seconds: float, *, knee: float = 3.0) -> Curve:
    """A warm-up: fast at first, slower and slower, level at the end (knee 0: a straight line that stops)."""

    def at(t: float) -> float:
        x = min(max((t - onset) / seconds, 0.0), 1.0)
        y = x if knee == 0 else (1 - math.exp(-knee * x)) / (1 - math.exp(-knee))
        return start + (end - start) * y

    return at


def growth(level: float, total: float, onset: float, seconds: float, shape: Curve) -> Curve:
    """From level by total within seconds along the shape, then on."""
    return lambda t: level + total * shape(max(t - onset, 0.0) / seconds)


def plus(*curves: Curve) -> Curve:
    return lambda t: sum(curve(t) for curve in curves)


def linear(x: float) -> float:
    return x


def accelerating(x: float) -> float:
    return x**1.7


def stairs(steps: int) -> Curve:
    """Memory that comes in chunks: a table that doubles, a batch of requests."""
    return lambda x: (math.floor(x * steps) + min(1.0, (x * steps) % 1.0 * 4)) / steps


def bumpy(rng: random.Random, pieces: int = 24) -> Curve:
    """A leak fed by traffic: every piece of time has its own slope, some none at all."""
    slopes = [rng.choice((0.0, 0.4, 1.0, 1.3, 2.2)) * rng.uniform(0.7, 1.3) for _ in range(pieces)]
    mean = sum(slopes) / pieces or 1.0
    reached = [0.0]
    for slope in slopes:
        reached.append(reached[-1] + slope / mean / pieces)

    def at(x: float) -> float:
        place = x * pieces
        rounds, place = divmod(place, pieces)
        index = min(int(place), pieces - 1)
        return rounds + reached[index] + (reached[index + 1] - reached[index]) * (place - index)

    return at


def some_shape(rng: random.Random) -> Curve:
    """The shapes that leaks have in the wild; the straight line is the commonest."""
    kind = rng.choices(("linear", "bumpy", "accelerating", "stairs"), (5, 4, 2, 2))[0]
    if kind == "bumpy":
        return bumpy(rng)
    if kind == "stairs":
        return stairs(rng.randint(6, 18))
    return accelerating if kind == "accelerating" else linear
