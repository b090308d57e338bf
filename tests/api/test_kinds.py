"""The kinds themselves: nothing of the core's decision is lost, and what another version wrote is no harm."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.api.make import NOW, VICTIM, decision
from tests.core.strategies import structs

from memguard.api.decision import (
    DecidedCandidate,
    DecidedFactor,
    DecidedVictim,
    MemoryGuardDecision,
    MemoryGuardDecisionSpec,
    first_status,
    outcome_status,
    record,
)
from memguard.api.definitions import DEFINITIONS
from memguard.api.meta import API_VERSION, Desired
from memguard.api.node_memory import NodeMemory
from memguard.api.policies import MemoryGuardPolicy
from memguard.core.advice import Advice
from memguard.core.decision import Decision, Outcome, Ranked, Victim
from memguard.core.policies import MemoryGuardPolicySpec
from memguard.core.score import Points


def fields(kind: type[msgspec.Struct]) -> set[str]:
    return {field.encode_name for field in msgspec.structs.fields(kind)}


PAIRS = [
    (Decision, MemoryGuardDecisionSpec, {"node", "takenAt", "policy", "summary"}),
    (Victim, DecidedVictim, set()),
    (Ranked, DecidedCandidate, set()),
    (Points, DecidedFactor, set()),
]


@pytest.mark.parametrize(("core", "api", "more"), PAIRS, ids=[pair[1].__name__ for pair in PAIRS])
def test_the_record_has_every_field_of_the_decision(core: Any, api: Any, more: set[str]) -> None:
    assert fields(api) == fields(core) | more


@pytest.mark.row("T2")
def test_a_record_says_all_that_was_decided() -> None:
    plain = record(decision(not_done_because=None), namespace="shop", node="node-a", taken_at=NOW, policy="shop/carts")
    made = msgspec.convert(plain, MemoryGuardDecision)
    assert (made.metadata.name, made.metadata.namespace) == ("d-1", "shop")
    assert (made.api_version, made.kind) == (API_VERSION, "MemoryGuardDecision")
    assert (made.spec.node, made.spec.taken_at, made.spec.policy) == ("node-a", NOW, "shop/carts")
    assert made.spec.summary == "node has 58 MiB left, score 712"
    plain, spec = msgspec.to_builtins(decision()), msgspec.to_builtins(made.spec)
    assert {name: spec[name] for name in plain} == plain


DOMAINS = [
    ("node", "node has"),
    ("numa:1", "NUMA node 1 has"),
    ("pod:kubepods.slice/kubepods-pod1.slice", "pod has"),
    (f"container:{'f' * 64}", "container has"),
]


@pytest.mark.parametrize(("domain", "words"), DOMAINS)
def test_the_summary_names_the_boundary(domain: str, words: str) -> None:
    made = record(decision(domain=domain), namespace="shop", node="n", taken_at=NOW)
    assert made["spec"]["summary"].startswith(words)


texts = st.sampled_from(["", "x", "ä" * 5000])
candidates = structs(Ranked, id=texts, title=texts, score=st.integers(0, 1000), badness=st.floats(0, 2), excluded=texts)
decisions = st.builds(
    decision,
    domain=texts,
    trigger=texts,
    reason=texts,
    not_done_because=st.none() | texts,
    victim=structs(Victim, id=texts, workload=texts, cgroup=texts),
    candidates=st.lists(candidates, max_size=20).map(tuple),
    factors=st.dictionaries(st.text(max_size=3), st.just(Points(0.5, 1.0, 100)), max_size=40),
    timing=st.dictionaries(st.text(max_size=3), st.floats(0, 1e9), max_size=40),
)


@given(decisions)
def test_no_decision_is_too_long_to_be_recorded(one: Decision) -> None:
    written = record(one, namespace="shop", node="node-a", taken_at=NOW)
    assert msgspec.convert(written, MemoryGuardDecision).spec.id == one.id
    assert len(msgspec.json.encode(written)) < 64 << 10


def test_the_phases() -> None:
    assert first_status(decision()).phase == "Acted"
    assert first_status(decision(mode="Observe")).phase == "Observed"
    outcome = Outcome(
        id="d-1", victim=VICTIM, action="kill", complete=True, seconds=0.04, expected_bytes=1, freed_bytes=901775360,
        headroom_bytes=0,
    )  # fmt: skip
    done = outcome_status(outcome, NOW)
    assert (done.phase, done.freed_bytes, done.freed, done.seconds) == ("Done", 901775360, "860 MiB", 0.04)
    assert outcome_status(msgspec.structs.replace(outcome, complete=False), NOW).phase == "Incomplete"


@pytest.mark.parametrize("definition", DEFINITIONS, ids=[one.plural for one in DEFINITIONS])
def test_a_kind_names_itself(definition: Any) -> None:
    defaults = {field.name: field.default for field in msgspec.structs.fields(definition.kind)}
    assert defaults["kind"] == definition.kind.__name__
    assert defaults["api_version"] == API_VERSION


def test_another_versions_status_does_not_hide_what_the_author_wrote() -> None:
    strange = b"""{"metadata": {"name": "a", "namespace": "shop", "managedFields": [{}]}, "spec": {"mode": "Enforce"},
                   "status": {"conditions": "none", "clipped": 7}}"""
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(strange, type=MemoryGuardPolicy)
    found = msgspec.json.decode(strange, type=Desired[MemoryGuardPolicySpec])
    assert (found.metadata.name, found.spec.mode) == ("a", "Enforce")


def test_a_node_without_advice_is_left_to_itself() -> None:
    found = msgspec.json.decode(b'{"metadata": {"name": "node-a"}}', type=NodeMemory)
    assert found.spec == Advice()
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(b'{"metadata": {"name": "a"}}', type=MemoryGuardPolicy)
