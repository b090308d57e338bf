"""How a story ended: every figure of table, picture and demo.json, drawn from one cell's measurements.

Pure: from a CellResult to an Ending. Nothing here knows how a story should end, but for `complaints`.
"""

from __future__ import annotations

from typing import Literal

import msgspec
from tests.machine.guest.result import CellResult

from demo.journal import Decision, clock, first_decision
from demo.stories import LEAD_SECONDS, Story
from demo.trail import Curve, Trail
from memguard.cli.words import many

MIB = 1 << 20
MomentKind = Literal["would", "line", "hold", "stop", "kill", "dry", "kernel", "exit", "back"]
Hand = Literal["memguard", "kernel", "nobody"]


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened; seconds since the growth began."""

    at_seconds: float
    kind: MomentKind
    words: str


class Ending(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One story's figures. Times are seconds since the growth began, None for what never happened."""

    name: str
    title: str
    plot: str
    culprit: str
    died: tuple[str, ...]  # the whole containers that are gone
    hand: Hand
    manner: str  # of the death, in words
    late_seconds: float | None  # from the line (of the node: the reserve's edge) to the stop signal or the kill
    left_bytes: int  # at the worst moment
    of_node: bool  # the node's memory runs out, not a container's limit
    limit_bytes: int  # what there is altogether: the node's memory, or the container's limit
    line_bytes: int  # of use: beyond it lies the reserve
    others_worst_seconds: float | None  # longest that an innocent waited for 1 MiB of memory
    kernel_oom_kills: int  # processes
    reason: str  # memguard's sentence
    timing: dict[str, float]  # of the decision: seconds from the wake-up to each step
    complaints: tuple[str, ...]  # what should have been otherwise
    moments: tuple[Moment, ...]
    braked: tuple[tuple[float, float], ...]  # from, to: held by memory.high at its line
    curves: tuple[Curve, ...]

    @property
    def good(self) -> bool:
        """Did it end as it should?"""
        return not self.complaints

    @property
    def past_the_line(self) -> bool:
        """Did our own samples see the line crossed? MemAvailable flickers: memguard may see it first, and end it."""
        return self.left_bytes < self.limit_bytes - self.line_bytes

    def moment(self, *kinds: MomentKind) -> Moment | None:
        """The first of these kinds."""
        return next((moment for moment in self.moments if moment.kind in kinds), None)


def tell(story: Story, cell: CellResult, total_bytes: int) -> Ending:
    """The ending of a story that was played; `total_bytes` is the machine's memory."""
    trail = Trail(cell, story.culprit, total_bytes, LEAD_SECONDS)
    decision = first_decision(cell.guard.log)
    hand = _hand(cell, decision)
    moments = tuple(_moments(cell, trail, decision, hand))
    struck = next((m.at_seconds for m in moments if m.kind in {"stop", "kill", "kernel"}), None)
    crossed = next((m.at_seconds for m in moments if m.kind == "line"), None)
    return Ending(
        name=story.name,
        title=story.title,
        plot=story.plot,
        culprit=story.culprit.title,
        died=tuple(story.culprit.title for name in cell.culprits_died if name == story.culprit.cell_name),
        hand=hand,
        manner=_manner(cell, decision, hand),
        late_seconds=None if struck is None or crossed is None else struck - crossed,
        left_bytes=trail.left_bytes,
        of_node=trail.of_node,
        limit_bytes=trail.limit_bytes,
        line_bytes=trail.line_bytes,
        others_worst_seconds=cell.latency.worst_ms / 1000 if cell.latency else None,
        kernel_oom_kills=cell.kernel_oom_kills,
        reason=decision.reason if decision else "",
        timing=decision.timing if decision else {},
        complaints=tuple(complaints(story, cell)),
        moments=tuple(sorted(moments, key=lambda moment: moment.at_seconds)),
        braked=trail.braked(),
        curves=trail.curves(),
    )


def complaints(story: Story, cell: CellResult) -> list[str]:
    """Everything that is not as it should be at this story's end; nothing, if all went well."""
    decision = first_decision(cell.guard.log)
    culprit = story.culprit
    clean = [p.exit_code for c in cell.containers if c.name == culprit.cell_name for p in c.processes] == [0]
    observed = story.ends == "kernel"
    checks = (
        (cell.culprits_died == (culprit.cell_name,), f"{culprit.title} should have died, and lives"),
        (cell.culprits_whole, f"{culprit.title} did not end whole: some of its processes live on"),
        (not cell.innocents_touched, f"innocents were hit: {', '.join(cell.innocents_touched)}"),
        (not cell.idle_touched, f"{cell.idle_touched} bystanders were hit"),
        (
            observed or not cell.kernel_oom_kills,
            f"the kernel's OOM killer killed {many(cell.kernel_oom_kills, 'process')}",
        ),
        (not observed or cell.kernel_oom_kills > 0, "the kernel's OOM killer should have come, and did not"),
        (decision is not None, "memguard decided nothing"),
        (clock(cell) is not None, "the clocks of journal and timeline could not be compared"),
        (decision is None or decision.victim == culprit.title, f"memguard chose {decision and decision.victim}"),
        (decision is None or (decision.mode == "Observe") == observed, "memguard acted in the wrong mode"),
        (story.ends != "stopped" or clean, f"{culprit.title} should have exited by itself, and was killed"),
        (not cell.guard.died_early, "memguard itself ended before the story did"),
        (not cell.leftovers, f"memguard left behind {', '.join(cell.leftovers)}"),
    )
    return [complaint for fine, complaint in checks if not fine]


def _hand(cell: CellResult, decision: Decision | None) -> Hand:
    if cell.kernel_oom_kills:
        return "kernel"
    return "memguard" if decision and decision.mode == "Enforce" and cell.culprits_died else "nobody"


def _manner(cell: CellResult, decision: Decision | None, hand: Hand) -> str:
    if hand == "kernel":
        return "its OOM killer"
    if hand == "nobody" or decision is None:
        return "nobody died"
    if decision.action != "terminate":
        return "cgroup.kill"
    return "SIGTERM, and it exited by itself" if cell.exit_at is not None else "SIGTERM, and a kill when time was up"


def _moments(cell: CellResult, trail: Trail, decision: Decision | None, hand: Hand) -> list[Moment]:
    """What happened, as far as it did."""
    deeds = _deeds(cell, decision)
    # memguard's own word that the line was crossed counts, also when no sample fell into that moment.
    found_at = [at for at, kind, _ in deeds if kind == "line"]
    crossed = min((at for at in (trail.crossed_at, *found_at) if at is not None), default=None)
    found: list[tuple[float | None, MomentKind, str]] = [
        (crossed, "line", "the reserve is touched" if trail.of_node else "the line is crossed"),
        (trail.dry_at, "dry", "nothing is left"),
        *((at, kind, words) for at, kind, words in deeds if kind != "line"),
        (trail.peaked_at if hand == "kernel" else None, "kernel", "the kernel kills it"),
        (None if cell.exit_at is None else cell.exit_at - LEAD_SECONDS, "exit", "it exits by itself"),
        (trail.back_at, "back", "its memory is back"),
    ]
    return [Moment(at_seconds=round(at, 5), kind=kind, words=words) for at, kind, words in found if at is not None]


def _deeds(cell: CellResult, decision: Decision | None) -> list[tuple[float, MomentKind, str]]:
    """What memguard found and did, or would have done, by its journal; that is written right after the deed."""
    when = clock(cell)
    if decision is None or when is None:
        return []
    at = when(decision.at) - LEAD_SECONDS
    woken = at - decision.timing.get("acted", 0.0)
    deeds: list[tuple[float, MomentKind, str]] = [(woken, "line", "")] if decision.at_the_line else []
    if decision.mode == "Observe":
        return [*deeds, (at, "would", f"memguard would {decision.action} it now")]
    if "held" in decision.timing:
        deeds.append((woken + decision.timing["held"], "hold", "held: it stands still"))
    stopped = decision.action == "terminate"
    return [*deeds, (at, "stop", "SIGTERM") if stopped else (at, "kill", "killed, whole")]
