"""The forms, tables and the worked example of docs/score.md, from the code that scores and chooses.

A generated part stands between `<!-- generated: NAME -->` and `<!-- end -->`; everything else is written by hand.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from inspect import getsource
from pathlib import Path

import msgspec
from tools.markdown import code, filled, table

import memguard.core.pressure
import memguard.core.score
import memguard.core.select
from memguard.core.domain import Domain, reserve
from memguard.core.exclusion import SYSTEM_PRIORITY
from memguard.core.explain import sentence, size
from memguard.core.feedback import HALF_LIFE_SECONDS, POINTS_PER_INCIDENT
from memguard.core.history import Gauge, History
from memguard.core.ladder import choose_action
from memguard.core.policy import GIB, LEARNED_POINTS, MIB, Plan, Settings
from memguard.core.pressure import assess
from memguard.core.score import FACTORS, factor_points
from memguard.core.select import SMALLEST_FREED, Ranking, judge
from memguard.core.trace import decode_snapshot

PAGE = Path(__file__).resolve().parents[2] / "docs" / "score.md"
JSON = re.compile(r"```json\n(.*?)```", re.DOTALL)


def formula(module_doc: str | None) -> str:
    """The indented or equation lines of a module's docstring: the form as the code states it."""
    lines = [line for line in (module_doc or "").splitlines() if re.match(r"\s*(\w+)?\s+(=|[-+]) ", line)]
    return code("\n".join(line.strip() if "=" in line else f"        {line.strip()}" for line in lines))


def weights(_text: str) -> str:
    """Every factor with its weight, range and the points that it can make a difference of."""
    span = sum(factor.weight * (factor.high - factor.low) for factor in FACTORS)
    rows = (
        (factor.name, factor.weight, f"{factor.low:g} to {factor.high:g}",
         round(1000 * factor.weight * (factor.high - factor.low) / span), factor.words)
        for factor in FACTORS
    )  # fmt: skip
    return table(("factor", "weight", "value", "points at most", "what it measures"), rows)


def bounds(_text: str) -> str:
    """The form of the score with its bounds in figures."""
    low = sum(factor.weight * factor.low for factor in FACTORS)
    high = sum(factor.weight * factor.high for factor in FACTORS)
    return code(f"score = round(1000 * (sum of weight * value - ({low:g})) / ({high:g} - ({low:g})))")


def pressure(_text: str) -> str:
    """The form of the pressure."""
    return formula(memguard.core.pressure.__doc__)


def badness(_text: str) -> str:
    """The form of the badness."""
    return formula(memguard.core.select.__doc__)


def thresholds(_text: str) -> str:
    """From which score on a container is a candidate, by what is left and how fast it goes."""
    total = 16 * GIB
    shares, rates = (0.08, 0.06, 0.05, 0.04, 0.03, 0.02, 0.015, 0.01, 0.0), (0, 10, 100, 1000)

    def threshold(share: float, rate: int) -> str:
        left = int(share * total)
        gauge = Gauge(tuple((float(t), left + rate * MIB * (19 - t)) for t in range(20)))
        domain = Domain("node", "", total, left, reserve(total, Settings()))
        found = assess(domain, gauge, 0.0, Settings())
        return f"{found.threshold_score:.0f}" if found.calls_for_action else "nobody"

    head = ["available", *(f"falling {rate} MiB/s" if rate else "not falling" for rate in rates)]
    return table(head, ([f"{share:.1%}", *(threshold(share, rate) for rate in rates)] for share in shares))


#: Settings whose line in policy.py does not say enough by itself; the others' meaning is the comment above them there.
MEANING = {
    "reserve_cap_bytes": "the same, at most: a kill on a big node takes no longer",
    "margin_ratio": "under a container's or pod's own limit, this share of it is the reserve",
    "margin_bytes": "the same, at least",
    "weights": "other weights than those above, by factor",
    "protected_namespaces": "never touched",
}
COMMENTED = re.compile(r"((?: +#: .*\n)+) +(\w+):")


def settings(_text: str) -> str:
    """The figures that a plan may change, with their defaults."""
    comments = {
        found[2]: " ".join(re.findall(r"#: (.*)", found[1])) for found in COMMENTED.finditer(getsource(Settings))
    }
    rows = (
        (field.encode_name, _shown(field.name, field.default), (comments | MEANING).get(field.name, ""))
        for field in msgspec.structs.fields(Settings)
    )
    return table(("setting", "default", "meaning"), rows)


def _shown(name: str, default: object) -> str:
    if isinstance(default, tuple):
        return ", ".join(default)
    if isinstance(default, int) and name.endswith("_bytes"):
        return size(default)
    return f"{default:.3g}" if isinstance(default, int | float) else "none"


def limits(_text: str) -> str:
    """Figures of the exclusions and of what is learned."""
    rows = (
        ("a priority of the system's own", f"{SYSTEM_PRIORITY:,} or more"),
        ("frees too little", f"less than {SMALLEST_FREED:.1%} of the need"),
        ("what was learned moves a score by", f"at most {LEARNED_POINTS} points either way"),
        ("one remembered incident", f"{POINTS_PER_INCIDENT:g} points"),
        ("half of it is forgotten in", f"{HALF_LIFE_SECONDS / 3600:g} hours"),
    )
    return table(("what", "figure"), rows)


def example(text: str) -> Ranking:
    """The ranking of the document's worked example, its first JSON block."""
    found = JSON.search(text)
    if found is None:
        raise SystemExit("docs/score.md has lost the snapshot of its worked example")
    return judge(History(), decode_snapshot(found[1].encode(), "docs/score.md"), Plan())[1]


def situation(text: str) -> str:
    """Domain and pressure of the worked example."""
    ranking = example(text)
    found = ranking.pressure
    rows = (
        ("D, the domain's RAM and swap", size(ranking.domain.scale_bytes)),
        ("available", size(ranking.domain.available_bytes)),
        ("reserve", size(ranking.domain.reserve_bytes)),
        ("level", f"{found.level:.3f}"),
        ("pressure", f"{found.pressure:.3f}"),
        ("threshold", f"{found.threshold_score:.1f}"),
        ("need", size(found.need_bytes)),
    )
    return table(("figure", "value"), rows)


def points(text: str) -> str:
    """Every factor of the worked example: value and points."""
    ranking = example(text)
    tables = [factor_points(candidate.scored) for candidate in ranking.candidates]
    names = dict.fromkeys(name for found in tables for name in found)
    rows: list[list[object]] = [
        [name, *(f"{found[name].value:+.3f} → {found[name].points}" for found in tables)] for name in names
    ]
    rows.append(["**score**", *(f"**{candidate.scored.score}**" for candidate in ranking.candidates)])
    return table(["factor", *(candidate.container.pod or "" for candidate in ranking.candidates)], rows)


def choice(text: str) -> str:
    """Badness, exclusions and the choice of the worked example."""
    ranking = example(text)
    rows = (
        (candidate.container.pod, candidate.scored.score, size(candidate.freed_bytes), f"{candidate.badness:.3f}",
         candidate.excluded or "")
        for candidate in ranking.candidates
    )  # fmt: skip
    victim = ranking.victim
    done = choose_action(ranking, victim, Plan().rule_for(victim.container)) if victim else "nothing"
    listed = table(("pod", "score", "a kill frees", "badness", "excluded, because"), rows)
    return f"{listed}\n> {sentence(ranking)}\n>\n> Action: {done}.\n"


PARTS: dict[str, Callable[[str], str]] = {
    part.__name__: part
    for part in (weights, bounds, pressure, badness, thresholds, settings, limits, situation, points, choice)
}


def outputs() -> Iterator[tuple[Path, str]]:
    """The document with what it should hold."""
    yield PAGE, render(PAGE.read_text())


def render(text: str) -> str:
    """The document with its generated parts written anew."""
    return filled(text, "generated", lambda name: PARTS[name](text))
