"""What people read in `kubectl describe`, and what VPA's recommender learns."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, get_args

import pytest
from tests.agent.guards import decision, kernel_kill, observed, outcome, victim

from memguard.agent.entries import Told
from memguard.agent.notices import ALARMS, broken_policy, node_reference, notices, vpa_notice
from memguard.core.decision import Alarm, AlarmKind
from memguard.core.link import News
from memguard.core.policy import Action
from memguard.core.quantity import parse_bytes
from memguard.kube.events import LARGEST_NOTE_BYTES, Notice
from memguard.kube.objects import ObjectReference
from memguard.service.notices import DECISION, DONE, OBSERVED

AT = datetime(2026, 11, 23, 6, tzinfo=UTC)
POLICY = ObjectReference(api_version="memguard.io/v1alpha1", kind="MemoryGuardPolicy", namespace="shop", name="strict")
NODE = node_reference("node-a", "uid-node")


def told(offender: bool = False, **fact: Any) -> Told:
    return Told(session="s", news=News(number=7, at=AT, **fact), policy="shop/strict", offender=offender)


def found(entry: Told) -> list[Notice]:
    return list(notices(entry, {"shop/strict": POLICY}.get, NODE))


def test_who_was_ended_and_by_which_policy() -> None:
    one = decision()
    pod, policy = found(told(decision=one))
    assert (pod.regarding.kind, pod.regarding.name, pod.regarding.uid) == ("Pod", "cart", "uid-cart")
    assert (policy.regarding, policy.related) == (POLICY, pod.regarding)
    assert pod.related == POLICY
    for notice in (pod, policy):
        assert (notice.type, notice.reason, notice.action) == ("Warning", "MemoryGuardKilled", "Kill")
        assert notice.id == one.id, "told once, however often it is sent"
        assert notice.note == f"{one.reason} [{one.id}]"
        assert notice.annotations == {DECISION: one.id}


def test_what_is_only_observed_is_counted_and_no_warning() -> None:
    for notice in found(told(decision=observed())):
        assert (notice.type, notice.reason, notice.id) == ("Normal", "MemoryGuardWouldKill", "")
        assert notice.note.endswith("Not done: the plan only observes")


def test_the_policy_that_is_compiled_in_has_no_object() -> None:
    entry = Told(session="s", news=News(number=1, at=AT, decision=decision()), policy="cluster/default")
    assert [one.regarding.kind for one in found(entry)] == ["Pod"]


def test_who_is_not_mapped_has_no_pod_to_tell() -> None:
    unmapped = victim(namespace=None, pod=None)
    assert [one.regarding.kind for one in found(told(decision=decision(victim=unmapped)))] == ["MemoryGuardPolicy"]
    assert found(told(kernel_kill=kernel_kill(victim=unmapped))) == []
    assert found(told(kernel_kill=kernel_kill(victim=None))) == []


@pytest.mark.parametrize("action", ["terminate", "kill", "evict"])
def test_every_way_to_end_a_container_has_its_reason(action: Action) -> None:
    assert found(told(decision=decision(action=action)))[0].reason == DONE[action]
    assert found(told(decision=observed(action=action)))[0].reason == OBSERVED[action]


def test_a_long_reason_leaves_room_for_the_decisions_name() -> None:
    one = decision(reason="x" * 3000)
    for entry in (told(decision=one), told(decision=observed(reason="x" * 3000))):
        note = found(entry)[0].note
        assert one.id[:20] in note[: LARGEST_NOTE_BYTES - 3]


def test_only_an_outcome_that_failed_is_worth_a_word() -> None:
    assert found(told(outcome=outcome())) == []
    [notice] = found(told(outcome=outcome(complete=False, seconds=12.34)))
    assert (notice.reason, notice.id) == ("MemoryGuardIncomplete", outcome().id)
    assert "app is still there 12.3 s later" in notice.note


@pytest.mark.parametrize(("group", "words"), [(True, "the whole container"), (False, "2 of its processes")])
def test_the_kernels_kill_is_told_by_a_name_that_stays(group: bool, words: str) -> None:
    [notice] = found(told(kernel_kill=kernel_kill(2, group=group)))
    assert (notice.reason, notice.id, notice.regarding.name) == ("KernelOOMKill", "kernel-s-7", "cart")
    assert words in notice.note


@pytest.mark.parametrize("kind", get_args(AlarmKind))
def test_an_alarm_is_the_nodes(kind: AlarmKind) -> None:
    [notice] = found(told(alarm=Alarm(reason="growth that is nobody's", kind=kind, decision="d")))
    assert (notice.reason, notice.regarding, notice.annotations) == (ALARMS[kind], NODE, {DECISION: "d"})


def test_a_broken_policy_is_told_once_by_all_nodes_together() -> None:
    policy = ObjectReference(kind="MemoryGuardPolicy", namespace="shop", name="strict", uid="uid-1")
    first, second = broken_policy(policy, "41", "no"), broken_policy(policy, "42", "no")
    assert (first.type, first.reason, first.regarding) == ("Warning", "PolicyIgnored", policy)
    assert first.id == "ignored-uid-1-41" != second.id


# --- VPA


def observers(notice: Notice) -> list[tuple[str, str, str, int]]:
    """The rules of vertical-pod-autoscaler's OOM observer for an Event: who used how much."""
    if notice.reason != "Evicted" or notice.regarding.kind != "Pod":
        return []
    names = ("offending_containers", "offending_containers_usage", "starved_resource")
    lists = [notice.annotations[name].split(",") if name in notice.annotations else [] for name in names]
    if len({len(one) for one in lists}) != 1:
        return []
    pod = notice.regarding
    return [
        (pod.namespace, pod.name, container, parse_bytes(usage))
        for container, usage, resource in zip(*lists, strict=True)
        if resource == "memory"
    ]


def test_vpa_learns_of_an_offender() -> None:
    notice = vpa_notice(told(offender=True, decision=decision()))
    assert notice is not None
    assert observers(notice) == [("shop", "cart", "app", decision().expected_bytes)]
    assert notice.id == decision().id


@pytest.mark.parametrize(
    "entry",
    [
        told(offender=False, decision=decision()),
        told(offender=True, decision=observed()),
        told(offender=True, decision=decision(victim=victim(pod=None))),
        told(offender=True, decision=decision(victim=victim(name=None))),
        told(offender=True, outcome=outcome()),
    ],
)
def test_vpa_learns_nothing_of_others(entry: Told) -> None:
    assert vpa_notice(entry) is None


def test_our_own_event_teaches_vpa_nothing() -> None:
    assert [observers(one) for one in found(told(offender=True, decision=decision()))] == [[], []]
