"""Guards played through a trace: peers' rankings at one shared trigger, daemons at their own, and what follows."""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import inf

from bench.victims.corpus import Truth
from bench.victims.peers import PEERS, Peer
from bench.victims.trace import Trace, View, freed, size
from bench.victims.triggers import DAEMONS, Habit, Trigger
from bench.victims.verdict import LETHAL, Decision, Verdict, judge, victims_of

#: What all rankings share when only whom they choose is compared: this share of the domain is left.
TRIGGER = 0.06
#: So many victims are more than any node has.
MOST_VICTIMS = 400


@dataclass(slots=True)
class Player:
    """One guard's run through a trace: who is dead by its hand."""

    trace: Trace
    dead: dict[str, str]

    def ends(self, index: int, peer: Peer) -> Decision | None:
        """Whom the peer chooses at a snapshot, dead from then on; None where it chooses nobody."""
        return self._ends(self.trace.view(index, self.dead), self.trace.at[index], peer)

    def ends_after(self, peer: Peer, *, by_kernel: bool = False) -> Decision | None:
        """The same when the trace is over and what the dead gave back is gone again."""
        return self._ends(self.trace.after(self.dead), self.trace.at[-1], peer, by_kernel=by_kernel)

    def _ends(self, view: View, at: datetime, peer: Peer, *, by_kernel: bool = False) -> Decision | None:
        victim = peer.rule(view)
        if victim is None:
            return None
        subject = victim if peer.dies == "container" else self.trace.truth.pods[victim]
        return self.dies(Decision(at, subject, "evict" if peer.dies == "eviction" else "kill", by_kernel))

    def dies(self, decision: Decision) -> Decision:
        """Its victims are dead from then on."""
        self.dead |= dict.fromkeys(victims_of(self.trace.truth, decision), decision.action)
        return decision


def at_shared_trigger(name: str, trace: Trace) -> list[Decision]:
    """A ranking's victims, one at each snapshot in which too little is left."""
    player, found = Player(trace, {}), []
    for index in range(len(trace.snapshots)):
        if trace.view(index, player.dead).left <= TRIGGER:
            decision = player.ends(index, PEERS[name])
            found += [decision] if decision else []
    return found


def at_own_trigger(name: str, trace: Trace) -> list[Decision]:
    """A daemon's victims by its own trigger and pace. When it first looks is chance, but fixed for an incident."""
    player, found = Player(trace, {}), []
    rng = random.Random(f"{trace.truth.kind}/{trace.truth.seed}")
    habits = [_Running(habit, habit.trigger(), rng.random() * habit.poll_seconds) for habit in DAEMONS[name]]
    for index in range(len(trace.snapshots)):
        for running in habits:
            found += running.acts(index, player)
    return found


@dataclass(slots=True)
class _Running:
    habit: Habit
    trigger: Trigger
    next_look: float
    held_until: float = -inf

    def acts(self, index: int, player: Player) -> Iterator[Decision]:
        now = player.trace.seconds(index)
        if now < self.next_look:
            return
        self.next_look = now + self.habit.poll_seconds
        waits, due = now < self.held_until, self.trigger(player.trace.view(index, player.dead))
        while due and not waits:
            decision = player.ends(index, PEERS[self.habit.ranking])
            if decision is None:
                return
            yield decision
            self.held_until = now + self.habit.hold_seconds
            due = self.habit.burst and self.trigger(player.trace.view(index, player.dead))


#: Whom the guard would choose next at the trace's end, when these are dead; None: nobody.
Next = Callable[[Player], Decision | None]


def peer_next(name: str) -> Next:
    """A ranking asked again."""
    return lambda player: player.ends_after(PEERS[name])


def follow(trace: Trace, decisions: Sequence[Decision], ask: Next) -> list[Decision]:
    """Who dies after the trace's end, until a right one has.

    The trace stops where memory was exhausted, but what was wrong goes on: those who grew take what a wrong victim
    freed, and the guard is asked again. Where it came too late, or knows nobody, the kernel chooses; and always under
    a pod's or a container's own limit, at which nobody else's end gives the kernel pause.
    """
    truth, player = trace.truth, Player(trace, {})
    early, ours = in_time(truth, decisions), not truth.domain.startswith(("pod/", "container/"))
    for decision in early:
        player.dies(decision)
    found: list[Decision] = []
    while truth.needs_victim and not player.dead.keys() & set(truth.culprits) and len(found) < MOST_VICTIMS:
        decision = (ask(player) if early and ours else None) or player.ends_after(PEERS["kernel"], by_kernel=True)
        if decision is None:
            break
        found.append(decision)
    return found


def in_time(truth: Truth, decisions: Sequence[Decision]) -> list[Decision]:
    """Those that end somebody before memory is exhausted."""
    end = datetime.fromisoformat(truth.exhausted_at) if truth.exhausted_at else None
    return [d for d in decisions if d.action in LETHAL and (end is None or d.taken_at < end)]


def verdict(trace: Trace, decisions: Sequence[Decision], ask: Next) -> Verdict:
    """The judge's word on a guard's decisions in a trace and what follows from them."""
    early, further = in_time(trace.truth, decisions), follow(trace, decisions, ask)
    return judge(trace.truth, early, further, _over_freed(trace, [*early, *further]))


def _over_freed(trace: Trace, victims: Sequence[Decision]) -> float:
    whole = sum(trace.freed_ratio(decision) for decision in victims)
    return max(whole - _least(trace, victims), 0.0)


def _least(trace: Trace, victims: Sequence[Decision]) -> float:
    """What the cheapest right victim gives back, files included, when the first one dies."""
    truth = trace.truth
    if not (truth.culprits and victims):
        return 0.0
    snapshot = trace.snapshots[trace.index(victims[0].taken_at)]
    right = [c for c in snapshot["containers"] if c["id"] in truth.culprits]
    cheapest = min(right, key=lambda c: truth.cost[c["id"]], default=None)
    return freed(cheapest, "evict", truth.domain) / size(snapshot, truth) if cheapest else 0.0
