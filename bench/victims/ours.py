"""memguard in this process: what `memguard replay` decides, and the score alone at the trigger that peers share.

Several sets of weights are judged on one incident, for the ablation. No weight can change what is remembered before
anybody may be chosen, so that every set begins at the first snapshot in which pressure calls for action.
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec
from bench.victims.play import TRIGGER, Next, Player
from bench.victims.trace import Trace
from bench.victims.verdict import Decision

from memguard.core.domain import Domain, domains
from memguard.core.history import Gauge, History, after_victim, stall_ratio
from memguard.core.ladder import choose_action
from memguard.core.model import Container, Snapshot
from memguard.core.policy import Plan
from memguard.core.pressure import assess
from memguard.core.replay import Replayer, without
from memguard.core.select import Ranking, rank
from memguard.core.trace import Header, Reading, decode_lines

Weights = Mapping[str, float]
DOCUMENTED: Weights = {}


class Ours:
    """memguard on one incident: `lines` as its guard would read them, with readings missing; `trace` for the books.

    Without `requests` it knows nobody's: as on a machine without Kubernetes. The plan is the trace's, where it has one.
    """

    def __init__(self, lines: Iterable[bytes], trace: Trace, *, requests: bool = True) -> None:
        self._trace = trace
        known = list(decode_lines(lines))
        self._documented = next((line.plan for line in known if isinstance(line, Header)), Plan())
        readings = (line for line in known if isinstance(line, Reading))
        self._readings = [reading if requests else _without_requests(reading) for reading in readings]
        self._histories = list(_observed(self._readings, self._documented))

    def by_itself(self, weights: Weights = DOCUMENTED) -> list[Decision]:
        """The decisions of `memguard replay` under these weights."""
        replayer = Replayer(self._plan(weights))
        start = next((n for n, (_, calm) in enumerate(self._histories) if not calm), len(self._readings))
        if start > 0:
            replayer.history = self._histories[start - 1][0]
        found = (replayer.feed(reading) for reading in self._readings[start:])
        return [Decision(d.taken_at, d.victim, d.action) for d in found if d is not None]

    def at_shared_trigger(self, weights: Weights = DOCUMENTED) -> list[Decision]:
        """The score's victims, one at each snapshot in which too little is left: whom, and not when, is what counts."""
        player, found = Player(self._trace, {}), []
        for index in range(len(self._readings)):
            if self._trace.view(index, player.dead).left <= TRIGGER:
                decision = self._chosen(index, player, weights)
                found += [decision] if decision else []
        return found

    def next(self, weights: Weights = DOCUMENTED) -> Next:
        """The score asked again when the trace is over and what the dead gave back is gone again."""

        def ask(player: Player) -> Decision | None:
            more, last = self._trace.refilled(player.dead), self._readings[-1].snapshot
            living = tuple(_grown(c, more.get(c.id, 0)) for c in last.containers if c.id not in player.dead)
            full = msgspec.structs.replace(last, containers=living)
            return self._ends(full, self._histories[-1][0], player, weights)

        return ask

    def _chosen(self, index: int, player: Player, weights: Weights) -> Decision | None:
        history, snapshot = self._histories[index][0], self._readings[index].snapshot
        if player.dead:  # as the replay does: what the dead gave back is no trend
            evicted = {who for who, action in player.dead.items() if action == "evict"}
            snapshot = without(snapshot, player.dead.keys(), evicted)
            history = after_victim(history, snapshot.seconds, foreign=False)
        return self._ends(snapshot, history, player, weights)

    def _ends(self, snapshot: Snapshot, history: History, player: Player, weights: Weights) -> Decision | None:
        plan, wanted = self._plan(weights), self._trace.truth.domain
        domain = next(d for d in domains(snapshot, plan) if d.key.replace(":", "/").startswith(wanted))
        ranking = _ranked(history, snapshot, plan, domain)
        best = ranking.best
        if best is None:
            return None
        action = choose_action(ranking, best, plan.rule_for(best.container))
        return player.dies(Decision(snapshot.taken_at, best.container.id, action))

    def _plan(self, weights: Weights) -> Plan:
        settings = msgspec.structs.replace(self._documented.settings, weights=dict(weights))
        return msgspec.structs.replace(self._documented, settings=settings)


def _grown(container: Container, by: int) -> Container:
    memory = container.memory
    anon = None if memory.anon_bytes is None else memory.anon_bytes + by
    grown = msgspec.structs.replace(memory, anon_bytes=anon, current_bytes=memory.current_bytes + by)
    return msgspec.structs.replace(container, memory=grown) if by else container


def _without_requests(reading: Reading) -> Reading:
    """The class goes too: BestEffort would say that there is none."""
    containers = tuple(msgspec.structs.replace(c, request_bytes=None, qos=None) for c in reading.snapshot.containers)
    return msgspec.structs.replace(reading, snapshot=msgspec.structs.replace(reading.snapshot, containers=containers))


def _observed(readings: Sequence[Reading], plan: Plan) -> Iterable[tuple[History, bool]]:
    """The history after each reading with nobody dead, and whether nobody could have been chosen at it."""
    replayer = Replayer(plan, victims_go="none")
    for reading in readings:
        replayer.feed(reading)
        ranking = replayer.ranking
        yield replayer.history, ranking is None or not ranking.pressure.calls_for_action


def _ranked(history: History, snapshot: Snapshot, plan: Plan, domain: Domain) -> Ranking:
    """As though the pressure were such that any score suffices."""
    stall = stall_ratio(history) if domain.kind == "node" else 0.0
    gauge = history.gauges.get(domain.key, Gauge())
    pressure = assess(domain, gauge, stall, plan.settings)
    return rank(history, snapshot, plan, domain, msgspec.structs.replace(pressure, threshold_score=0.0))
