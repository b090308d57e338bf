"""Guards in whole incidents: only in trouble, only the living, what follows, and memguard as its command decides."""

import functools
import itertools
import json
import subprocess
import sys
from pathlib import Path

import pytest
from bench.victims import ablation, corpus, play
from bench.victims.corpus import Truth, tell
from bench.victims.judge import decisions_of
from bench.victims.ours import Ours
from bench.victims.peers import PEERS
from bench.victims.trace import Trace
from bench.victims.triggers import DAEMONS
from bench.victims.verdict import Decision, victims_of

from memguard.core.policy import Plan, Settings
from memguard.core.replay import replay
from memguard.core.score import FACTORS
from memguard.core.trace import PlanChange, decode_lines

CASES = [("fast-leak", 40), ("flat-culprit", 41), ("restart-loop", 42), ("numa-local", 43), ("kubepods-limit", 44),
         ("swap-hog", 45), ("shm-hog", 46), ("near-full-flat", 47), ("sidecar-leak", 48)]  # fmt: skip


@functools.cache
def told(kind: str, seed: int) -> tuple[Trace, Ours]:
    incident = tell(kind, seed)
    trace = Trace(tell(kind, seed, complete=True).lines, incident.truth)
    return trace, Ours(incident.lines, trace)


@pytest.fixture(params=CASES, ids=lambda case: case[0])
def case(request: pytest.FixtureRequest) -> tuple[Trace, Ours]:
    return told(*request.param)


@pytest.mark.parametrize("name", PEERS)
def test_a_ranking_is_asked_in_trouble_about_the_living(name: str) -> None:
    for trace, _ in (told(*one) for one in CASES):
        decisions = play.at_shared_trigger(name, trace)
        dead = [who for decision in decisions for who in victims_of(trace.truth, decision)]
        assert len(dead) == len(set(dead))
        alive = {"oomd-swap", "systemd-oomd-swap", "talos"}  # those that may know nobody
        assert decisions or name in alive or not trace.truth.needs_victim


@pytest.mark.parametrize("name", DAEMONS)
def test_a_daemon_keeps_its_pace(name: str) -> None:
    for trace, _ in (told(*one) for one in CASES):
        decisions = play.at_own_trigger(name, trace)
        assert decisions == play.at_own_trigger(name, trace)
        if len(DAEMONS[name]) == 1 and not DAEMONS[name][0].burst:
            pace = max(DAEMONS[name][0].poll_seconds, DAEMONS[name][0].hold_seconds)
            gaps = [(b.taken_at - a.taken_at).total_seconds() for a, b in itertools.pairwise(decisions)]
            assert all(gap >= pace for gap in gaps)


def test_koordlet_kills_until_enough_is_free() -> None:
    trace, _ = told("fast-leak", 40)
    moments = [d.taken_at for d in play.at_own_trigger("koordlet", trace)]
    assert len(set(moments)) < len(moments)


def test_the_story_goes_on_until_a_right_one_is_dead(case: tuple[Trace, Ours]) -> None:
    trace, _ = case
    for name in PEERS:
        decisions = play.at_shared_trigger(name, trace)
        further = play.follow(trace, decisions, play.peer_next(name))
        dead = [who for d in (*decisions, *further) for who in victims_of(trace.truth, d)]
        assert set(dead) & set(trace.truth.culprits) or not trace.truth.needs_victim
        early = [who for d in play.in_time(trace.truth, decisions) for who in victims_of(trace.truth, d)]
        assert not further or not set(early) & set(trace.truth.culprits)


def test_who_comes_too_late_leaves_it_to_the_kernel() -> None:
    trace, ours = told("fast-leak", 40)
    late = [Decision(trace.at[-1], trace.truth.culprits[0])]
    for decisions in ([], late):
        further = play.follow(trace, decisions, ours.next())
        assert further
        assert all(decision.by_kernel for decision in further)


def test_what_the_dead_held_goes_to_those_who_grew() -> None:
    trace, _ = told("fast-leak", 40)
    culprit = trace.truth.culprits[0]
    bystander = max(
        (c for c in trace.snapshots[-1]["containers"] if c["id"] != culprit), key=lambda c: c["memory"]["anonBytes"]
    )
    more = trace.refilled({bystander["id"]: "kill"})
    assert max(more, key=lambda who: more[who]) == culprit
    assert bystander["id"] not in more
    assert sum(more.values()) <= bystander["memory"]["currentBytes"]
    assert not any(trace.refilled({}).values())
    assert trace.after({}) == trace.view(len(trace.snapshots) - 1, {})


def test_the_cheapest_right_victim_frees_nothing_beyond(case: tuple[Trace, Ours]) -> None:
    trace, _ = case
    truth = trace.truth
    if not truth.needs_victim:
        victim = trace.snapshots[-1]["containers"][0]["id"]
        found = play.verdict(trace, [Decision(trace.at[-1], victim)], play.peer_next("kernel"))
        assert found.over_freed_ratio is not None
        assert found.over_freed_ratio > 0
        return
    living = {c["id"] for c in trace.snapshots[-2]["containers"]} & set(truth.culprits)
    cheapest = min(living, key=lambda who: truth.cost[who])
    found = play.verdict(trace, [Decision(trace.at[-2], cheapest)], play.peer_next("kernel"))
    assert (found.over_freed_ratio, found.victims, found.right) == (0.0, 1, True)


@pytest.mark.row("G2")
def test_memguard_here_decides_as_its_replay_does(case: tuple[Trace, Ours]) -> None:
    """From the first snapshot on, under the documented weights and under others."""
    trace, ours = case
    incident = tell(trace.truth.kind, trace.truth.seed)
    for weights in ({}, {"growth": 0.0}, {"excess": 2.0, "memory": 0.9}):
        lines = [PlanChange(plan=Plan(settings=Settings(weights=weights))), *decode_lines(incident.lines)]
        whole = [Decision(d.taken_at, d.victim, d.action) for d in replay(lines).decisions]
        assert ours.by_itself(weights) == whole


def test_memguard_here_decides_as_its_command_does(tmp_path: Path) -> None:
    list(corpus.write_corpus(tmp_path, 40, 1, ["fast-leak"], jobs=1))
    ((trace, truth),) = corpus.read_corpus(tmp_path)
    command = [sys.executable, "-m", "memguard", "replay", str(trace), "-o", "json"]
    ran = subprocess.run(command, capture_output=True, check=True, text=True)
    assert isinstance(truth, Truth)
    _, ours = told("fast-leak", 40)
    assert ours.by_itself() == decisions_of(json.loads(ran.stdout)) != []


def test_without_requests_nobody_is_over_or_under_one() -> None:
    """Entitled growth: with requests the squatter dies, without them whoever grows."""
    incident = tell("entitled-growth", 0)
    trace = Trace(tell("entitled-growth", 0, complete=True).lines, incident.truth)
    knowing, blind = (Ours(incident.lines, trace, requests=known).at_shared_trigger()[0] for known in (True, False))
    assert knowing.victim in trace.truth.culprits
    assert blind.victim not in trace.truth.culprits


def test_the_score_alone_chooses_at_the_shared_trigger(case: tuple[Trace, Ours]) -> None:
    trace, ours = case
    decisions = ours.at_shared_trigger()
    assert decisions or not trace.truth.needs_victim
    if decisions:
        first = min(n for n in range(len(trace.snapshots)) if trace.view(n, {}).left <= play.TRIGGER)
        assert decisions[0].taken_at == trace.at[first]


@pytest.mark.row("S10")
def test_the_ablation_changes_each_factor_three_ways() -> None:
    found = dict(ablation.variants())
    assert len(found) == 3 * len(FACTORS) + 1
    assert found["growth halved"] == {"growth": 0.6}
    assert set(found["leading only"]) == {factor.name for factor in FACTORS} - set(ablation.LEADING)


def test_a_change_is_told_by_what_it_turns() -> None:
    trace, ours = told("fast-leak", 40)
    right = play.verdict(trace, ours.by_itself(), ours.next())
    wrong = play.verdict(trace, [], ours.next())
    assert ablation.changes([right, wrong, wrong], [wrong, right, right]) == (2, 1)
