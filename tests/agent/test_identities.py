"""Who is who: a pod's containers as the guard is told of them, and what is told of a change."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.agent.pods import key, pod, running, waiting

from memguard.agent.roster import CHUNK_BYTES, Roster, difference, roster
from memguard.core.link import Mapping, encode
from memguard.core.model import Identity, MemoryVolume, Owner
from memguard.guard.roster import Roster as GuardsRoster
from memguard.kube.identities import HASH, MIRROR, MOST_LABEL_BYTES, MOST_MEMORY_VOLUMES, identities, thin_pod
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


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("Deployment", "\x1b[2J\x1b]0;mine\x07"),
        ("Deployment", "cart\nmemguard_decisions_total 7"),
        ("Deployment", "\u202etrac"),
        ("Deployment", "a/b"),
        ("Deployment", ""),
        ("Deployment", "x" * 254),
        ("Job\x00", "cart"),
        ("K" * 64, "cart"),
        ("Käfer", "cart"),
    ],
)
def test_an_owner_that_no_object_can_be_is_none(kind: str, name: str) -> None:
    """The API server takes any text there."""
    assert only(pod(meta=owned(kind, name))).owner is None


@pytest.mark.row("E1")
def test_whatever_a_pod_claims_the_guard_is_told_little_and_told_it() -> None:
    """etcd takes 1.5 MB: locked by the guard for each pod, or six times that in a message that is not sent at all."""
    endless = owned("\x01" * 100, "\x01" * 1_400_000, labels={f"l{n}": "x" * 60 for n in range(20_000)})
    volumes = [{"name": f"v{n}", "emptyDir": {"medium": "Memory"}} for n in range(5_000)]
    mounts = [{"name": one["name"]} for one in volumes]
    one = pod(meta=endless, spec={"volumes": volumes}, containers=[{"name": "app", "volumeMounts": mounts}])
    other = pod("search", statuses=[running("app", "b")])
    [told] = difference(None, roster([one, other]))
    assert {identity.id for identity in told.containers} == {key("a"), key("b")}
    assert len(encode(told)) < 2048


def test_labels_beyond_all_measure_are_not_known() -> None:
    labels = {f"l{number}": "x" * 60 for number in range(100)}
    assert sum(map(len, labels.values())) > MOST_LABEL_BYTES
    assert only(pod(meta={"labels": labels})).labels is None


texts = st.text(max_size=6)
claims = st.fixed_dictionaries(
    {},
    optional={
        "labels": st.one_of(
            st.dictionaries(texts, texts, max_size=3),
            st.just({f"l{n}": "x" * 60 for n in range(200)}),
            st.just({"pod-template-hash": "7d9"}),
        ),
        "annotations": st.dictionaries(
            st.sampled_from((MIRROR, HASH, "note")), st.one_of(texts, st.just("x" * 300)), max_size=3
        ),
        "ownerReferences": st.lists(
            st.fixed_dictionaries(
                {
                    "kind": st.one_of(st.sampled_from(("ReplicaSet", "Node", "K" * 300)), texts),
                    "name": st.one_of(st.sampled_from(("cart-7d9", "x" * 300)), texts),
                    "uid": st.just("u"),
                    "controller": st.booleans(),
                }
            ),
            max_size=3,
        ),
    },
)
mounts = st.lists(st.fixed_dictionaries({"name": st.sampled_from("abcdefg")}), max_size=9)
volumes = st.lists(
    st.fixed_dictionaries(
        {"name": st.sampled_from("abcdefg")}, optional={"emptyDir": st.sampled_from(({}, {"medium": "Memory"}))}
    ),
    max_size=9,
)


@given(claims, volumes, mounts, mounts)
@example(
    {},
    [{"name": name, "emptyDir": {"medium": "Memory"}} for name in "abcdefg"],
    [{"name": "g"}],
    [{"name": name} for name in "abcdef"],
)
def test_what_is_kept_of_a_pod_is_enough(
    meta: dict[str, Any], there: list[Any], mine: list[Any], others: list[Any]
) -> None:
    one = pod(
        meta=meta,
        spec={
            "volumes": there,
            "initContainers": [{"name": "init", "volumeMounts": others}],
            "ephemeralContainers": [{"name": "shell", "volumeMounts": mine[::-1] + others}],
        },
        containers=[{"name": "app", "volumeMounts": mine}],
        status={
            "initContainerStatuses": [running("init", "b")],
            "ephemeralContainerStatuses": [running("shell", "c")],
        },
    )
    seen, kept = list(identities(one)), list(identities(thin_pod(one)))
    assert [bool(who.memory_volumes) for who in seen] == [bool(who.memory_volumes) for who in kept]
    assert [replace(who, memory_volumes=()) for who in seen] == [replace(who, memory_volumes=()) for who in kept]
    assert roster([one]).pods == roster([thin_pod(one)]).pods


def test_what_is_kept_of_a_pod_is_little() -> None:
    """A tenant's pods are 1.5 MB each, if it likes, and an agent keeps those of its node."""
    endless = owned("\x01" * 10_000, "\x01" * 10_000, labels={f"l{n}": "x" * 60 for n in range(20_000)})
    meta = endless | {"annotations": {MIRROR: "x" * 200_000, "note": "x" * 60_000}}
    there = [{"name": f"v{n}", "emptyDir": {"medium": "Memory"}} for n in range(5_000)]
    containers = [{"name": "app", "volumeMounts": [{"name": one["name"]} for one in there]}]
    one = pod(meta=meta, spec={"volumes": there}, containers=containers)
    assert len(msgspec.json.encode(thin_pod(one))) < 16_000


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
    volumes = (MemoryVolume(kind="emptyDir"),) * MOST_MEMORY_VOLUMES
    containers = {str(n): Identity(id=str(n), labels=labels, memory_volumes=volumes) for n in range(600)}
    now = Roster(containers=containers, pods=("u",), listed=True)
    messages = list(difference(None, now))
    assert [one.complete for one in messages] == [True] + [False] * (len(messages) - 1)
    assert max(len(encode(one)) for one in messages) < CHUNK_BYTES + 1024
    assert sum(len(encode(one)) for one in messages[:-1]) > (len(messages) - 1) * CHUNK_BYTES * 0.8, "nor too small"
    guards = GuardsRoster()
    for one in messages:
        guards.follow(one)
    assert guards.known == containers
