"""Who is who: a pod's containers as the guard is told of them, and what is told of a change."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.agent.pods import key, pod, running, waiting

from memguard.agent.roster import CHUNK_BYTES, Roster, difference, roster
from memguard.core.link import Mapping, encode
from memguard.core.model import Identity, MemoryVolume, Owner
from memguard.guard.roster import Roster as GuardsRoster
from memguard.kube.identities import MOST_LABEL_BYTES, identities
from memguard.kube.objects import Pod


def only(one: Pod) -> Identity:
    [identity] = identities(one)
    return identity


def owned(kind: str, name: str, **meta: Any) -> dict[str, Any]:
    return {"ownerReferences": [{"kind": kind, "name": name, "uid": "u", "controller": True}], **meta}


def test_all_that_is_known_of_a_container() -> None:
    one = only(
        pod(
            meta=owned("ReplicaSet", "cart-7d9", labels={"app": "cart", "pod-template-hash": "7d9"}),
            spec={"priority": 1000, "restartPolicy": "Always"},
            containers=[
                {
                    "name": "app",
                    "resources": {"requests": {"memory": "64Mi"}},
                    "securityContext": {"privileged": True},
                }
            ],
            statuses=[running("app", "a", restartCount=3)],
        )
    )
    assert one == Identity(
        id=key("a"),
        namespace="shop",
        pod="cart",
        pod_uid="uid-cart",
        name="app",
        owner=Owner(kind="Deployment", name="cart"),
        qos="Burstable",
        priority=1000,
        privileged=True,
        static=False,
        restart_policy="Always",
        restart_count=3,
        request_bytes=64 << 20,
        labels={"app": "cart", "pod-template-hash": "7d9"},
    )


@pytest.mark.parametrize(
    ("meta", "owner"),
    [
        ({}, None),
        (owned("Job", "backup-28"), Owner(kind="Job", name="backup-28")),
        (owned("DaemonSet", "logs"), Owner(kind="DaemonSet", name="logs")),
        (owned("StatefulSet", "db"), Owner(kind="StatefulSet", name="db")),
        (owned("ReplicaSet", "cart-7d9"), Owner(kind="ReplicaSet", name="cart-7d9")),
        (owned("ReplicaSet", "cart", labels={"pod-template-hash": "7d9"}), Owner(kind="ReplicaSet", name="cart")),
        (owned("Node", "node-a", annotations={"kubernetes.io/config.mirror": "h"}), None),
        ({"ownerReferences": [{"kind": "Job", "name": "j", "uid": "u"}]}, None),
    ],
)
def test_the_workload_is_the_controllers(meta: dict[str, Any], owner: Owner | None) -> None:
    assert only(pod(meta=meta)).owner == owner


@pytest.mark.parametrize(
    ("policy", "init", "restart_policies"),
    [
        # A clean end of an init container is success, whatever the pod's policy: no stop signal for it.
        ("Always", {"name": "prepare"}, {"app": "Always", "prepare": "OnFailure", "shell": "Never"}),
        ("OnFailure", {"name": "prepare"}, {"app": "OnFailure", "prepare": "OnFailure", "shell": "Never"}),
        ("Never", {"name": "prepare"}, {"app": "Never", "prepare": "Never", "shell": "Never"}),
        (
            "Never",
            {"name": "prepare", "restartPolicy": "Always"},
            {"app": "Never", "prepare": "Always", "shell": "Never"},
        ),
    ],
)
def test_each_kind_is_restarted_in_its_own_way(policy: str, init: Any, restart_policies: dict[str, str]) -> None:
    found = identities(
        pod(
            spec={"restartPolicy": policy, "initContainers": [init], "ephemeralContainers": [{"name": "shell"}]},
            status={
                "initContainerStatuses": [running("prepare", "b")],
                "ephemeralContainerStatuses": [running("shell", "c")],
            },
        )
    )
    by_name = {one.name: one for one in found}
    assert {name: one.restart_policy for name, one in by_name.items()} == restart_policies
    kind = "sidecar" if init.get("restartPolicy") else "init"
    assert {name: one.type for name, one in by_name.items()} == {
        "app": "container",
        "prepare": kind,
        "shell": "ephemeral",
    }


@pytest.mark.parametrize(
    ("annotations", "static"),
    [({"kubernetes.io/config.mirror": "hash"}, True), ({"kubernetes.io/config.source": "file"}, False)],
)
def test_only_kubelets_own_mirrors_are_static(annotations: dict[str, str], *, static: bool) -> None:
    """Nobody protects a pod by writing that it came from a file."""
    assert only(pod(meta={"annotations": annotations})).static is static


def test_pods_are_named_as_their_cgroups() -> None:
    static = {"annotations": {"kubernetes.io/config.mirror": "m", "kubernetes.io/config.hash": "hash"}}
    mirrored = {"annotations": {"kubernetes.io/config.mirror": "mirrored"}}
    boasting = {"annotations": {"kubernetes.io/config.source": "file", "kubernetes.io/config.hash": "h" * 200_000}}
    found = roster([pod("a"), pod("b", meta=static), pod("c", meta=mirrored), pod("d", meta=boasting)])
    assert found.pods == ("hash", "mirrored", "uid-a", "uid-d")


@pytest.mark.parametrize(
    "status",
    [
        waiting("app", "a"),
        running("app", "a", state={"terminated": {"exitCode": 0, "reason": "Completed"}}),
        {"name": "app", "state": {"waiting": {"reason": "ContainerCreating"}}},
        running("other", "a"),
    ],
)
def test_what_does_not_run_is_nobody(status: dict[str, Any]) -> None:
    assert list(identities(pod(statuses=[status]))) == []


@pytest.mark.parametrize("reference", ["containerd://", "cri-o://", "docker://"])
def test_the_runtime_is_no_part_of_the_id(reference: str) -> None:
    assert only(pod(statuses=[running("app", "a", containerID=reference + key("f"))])).id == key("f")


def test_memory_that_outlives_the_container() -> None:
    volumes = [{"name": "ram", "emptyDir": {"medium": "Memory"}}, {"name": "disk", "emptyDir": {}}, {"name": "other"}]
    mounts = [{"name": "ram"}, {"name": "ram"}, {"name": "disk"}, {"name": "other"}]
    found = pod(containers=[{"name": "app", "volumeMounts": mounts}], spec={"volumes": volumes})
    assert only(found).memory_volumes == (MemoryVolume(kind="emptyDir"),)


@pytest.mark.parametrize(("asked", "request_bytes"), [("1.5Gi", 3 << 29), (None, 0), ("lots", None)])
def test_a_request_that_is_not_made_is_one_of_nothing(asked: str | None, request_bytes: int | None) -> None:
    requests = {"requests": {"memory": asked}} if asked else {}
    assert only(pod(containers=[{"name": "app", "resources": requests}])).request_bytes == request_bytes


def test_labels_beyond_all_measure_are_not_known() -> None:
    labels = {f"l{number}": "x" * 60 for number in range(100)}
    assert sum(map(len, labels.values())) > MOST_LABEL_BYTES
    assert only(pod(meta={"labels": labels})).labels is None


# --- what is told


def some(letters: str, **facts: Any) -> dict[str, Identity]:
    return {letter: Identity(id=letter, namespace="shop", **facts) for letter in letters}


rosters = st.builds(
    lambda containers, pods: Roster(containers=containers, pods=tuple(sorted(pods)), listed=True),
    st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 2)).map(
        lambda found: {key: Identity(id=key, restart_count=count) for key, count in found.items()}
    ),
    st.sets(st.sampled_from("uvw")),
)


@given(st.lists(rosters, min_size=1, max_size=6))
def test_who_follows_what_is_told_knows_all(states: list[Roster]) -> None:
    guards, before = GuardsRoster(), None
    for now in states:
        for mapping in difference(before, now):
            guards.follow(mapping)
        before = now
        assert guards.known == now.containers
        assert guards.pods == frozenset(now.pods)


@given(rosters)
def test_what_is_told_is_not_told_again(now: Roster) -> None:
    assert list(difference(now, now)) == []


def test_a_restart_is_one_that_is_gone_and_one_that_is_new() -> None:
    before = Roster(containers=some("ab"), pods=("u",), listed=True)
    now = Roster(containers=some("bc"), pods=("u",), listed=True)
    assert list(difference(before, now)) == [
        Mapping(containers=(now.containers["c"],), gone=("a",), pods=("u",), complete=False)
    ]


def test_what_is_only_remembered_takes_nothing_away() -> None:
    remembered = Roster(containers=some("ab"), pods=("u",))
    listed = Roster(containers=some("b"), pods=("u",), listed=True)
    assert [one.complete for one in difference(None, remembered)] == [False]
    assert [one.complete for one in difference(remembered, listed)] == [True]
    assert [one.complete for one in difference(None, listed)] == [True]


def test_a_crowded_node_is_told_in_several_messages() -> None:
    labels = {"l": "x" * (MOST_LABEL_BYTES - 1)}
    volumes = (MemoryVolume(kind="emptyDir"),) * 2000
    containers = {str(n): Identity(id=str(n), labels=labels, memory_volumes=volumes) for n in range(200)}
    now = Roster(containers=containers, pods=("u",), listed=True)
    messages = list(difference(None, now))
    assert [one.complete for one in messages] == [True] + [False] * (len(messages) - 1)
    assert max(len(encode(one)) for one in messages) < CHUNK_BYTES + 1024
    assert sum(len(encode(one)) for one in messages[:-1]) > (len(messages) - 1) * CHUNK_BYTES * 0.8, "nor too small"
    guards = GuardsRoster()
    for one in messages:
        guards.follow(one)
    assert guards.known == containers
