from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.make import GIB, MIB, TIB, container, snapshot
from tests.core.strategies import plans, snapshots

from memguard.core.domain import Domain, domains, margin, parse_nodes, reserve
from memguard.core.model import Cgroup, Container, NumaNode, Snapshot
from memguard.core.policy import Match, Plan, Rule, Settings

GUARDED = Plan(rules=(Rule(guard_limit=True),))


def found(look: Snapshot, plan: Plan | None = None) -> dict[str, Domain]:
    return {domain.key: domain for domain in domains(look, plan or Plan())}


@pytest.mark.row("A1")
@given(snapshots, plans)
def test_every_domain_has_a_size_and_at_most_that_available(look: Snapshot, plan: Plan) -> None:
    keys = [domain.key for domain in domains(look, plan)]
    assert keys[0] == "node"
    assert len(keys) == len(set(keys))
    for domain in domains(look, plan):
        assert domain.size_bytes > 0
        assert 0 <= domain.available_bytes <= domain.size_bytes
        assert domain.reserve_bytes >= 0
        assert domain.scale_bytes >= domain.size_bytes


@pytest.mark.row("A1", "A2")
def test_the_node_with_its_swap() -> None:
    domain = found(snapshot([], total=16 * GIB, available=GIB, swap=(8 * GIB, 2 * GIB)))["node"]
    assert (domain.size_bytes, domain.available_bytes) == (16 * GIB, GIB)
    assert domain.scale_bytes == 24 * GIB
    assert domain.reserve_bytes == int(0.06 * 16 * GIB)
    assert domain.headroom_bytes == GIB - domain.reserve_bytes


@pytest.mark.row("A1")
@pytest.mark.parametrize(
    ("size", "expected"),
    [(GIB, int(0.06 * GIB)), (64 * GIB, int(0.06 * 64 * GIB)), (128 * GIB, 4 * GIB), (4 * TIB, 4 * GIB)],
)
def test_the_reserve_is_a_share_with_a_cap(size: int, expected: int) -> None:
    assert reserve(size, Settings()) == expected


@pytest.mark.row("E4")
@pytest.mark.parametrize(
    ("limit", "expected"),
    [(128 * MIB, 16 * MIB), (320 * MIB, 16 * MIB), (GIB, int(0.05 * GIB)), (32 * MIB, 8 * MIB), (0, 0)],
)
def test_the_margin_under_a_limit(limit: int, expected: int) -> None:
    assert margin(limit, Settings()) == expected


LIMITS = [
    # words, limit, plan, guarded
    ("opted in", GIB, GUARDED, True),
    ("not opted in", GIB, Plan(), False),
    ("no limit", None, GUARDED, False),
    ("the smallest that is offered", 128 * MIB, GUARDED, True),
    ("too small for a line", 128 * MIB - 1, GUARDED, False),
    ("another's opt-in", GIB, Plan(rules=(Rule(match=Match(namespace="ops"), guard_limit=True),)), False),
]


@pytest.mark.row("E4", "A1")
@pytest.mark.parametrize(("words", "limit", "plan", "guarded"), LIMITS, ids=[row[0] for row in LIMITS])
def test_a_container_limit_is_a_domain_where_its_rule_says_so(
    words: str, limit: int | None, plan: Plan, guarded: bool
) -> None:
    keys = found(snapshot([container("a", limit_bytes=limit)]), plan)
    assert ("container:a" in keys) == guarded


@pytest.mark.row("E4")
def test_cache_does_not_fill_a_container() -> None:
    full = container("a", anon=200 * MIB, file=824 * MIB, limit_bytes=GIB)
    domain = found(snapshot([full]), GUARDED)["container:a"]
    assert domain.available_bytes == 824 * MIB


KUBEPODS = Cgroup(path="kubepods.slice", kind="kubepods", current_bytes=0, max_bytes=10 * GIB)
POD = Cgroup(path="kubepods.slice/kubepods-x.slice", kind="pod", current_bytes=0, max_bytes=GIB)


def in_pod(name: str, pod: str, **facts: object) -> Container:
    return container(name, pod=pod, cgroup=f"kubepods.slice/kubepods-{pod}.slice/{name}.scope", **facts)


@pytest.mark.row("A1")
def test_slices_count_what_their_containers_cannot_give_back() -> None:
    members = [in_pod("a", "x", anon=100 * MIB, file=50 * MIB), in_pod("b", "x", anon=200 * MIB), in_pod("c", "y")]
    domain = found(snapshot(members, cgroups=(POD,)), GUARDED)["pod:kubepods.slice/kubepods-x.slice"]
    assert domain.available_bytes == GIB - 300 * MIB


@pytest.mark.row("A1", "E1")
def test_what_the_kernel_says_about_a_slice_is_believed() -> None:
    """It also knows what nested cgroups and the pod itself hold: tmpfs, sandboxed runtimes."""
    known = Cgroup(path=POD.path, kind="pod", current_bytes=0, max_bytes=GIB, unreclaimable_bytes=700 * MIB)
    domain = found(snapshot([in_pod("a", "x", anon=MIB)], cgroups=(known,)), GUARDED)[f"pod:{POD.path}"]
    assert domain.available_bytes == 324 * MIB


SLICES = [
    ("kubepods needs no opt-in", KUBEPODS, Plan(), True),
    ("a pod does", POD, Plan(), False),
    ("... which any of its containers may give", POD, GUARDED, True),
    ("no limit, no domain", Cgroup(path="kubepods.slice", kind="kubepods", current_bytes=0), GUARDED, False),
    ("a limit of 0", Cgroup(path="kubepods.slice", kind="kubepods", current_bytes=0, max_bytes=0), GUARDED, False),
    (
        "a QoS slice is no boundary of ours",
        Cgroup(path="kubepods.slice", current_bytes=0, max_bytes=GIB),
        GUARDED,
        False,
    ),
    ("a tiny pod", Cgroup(path=POD.path, kind="pod", current_bytes=0, max_bytes=64 * MIB), GUARDED, False),
]


@pytest.mark.row("A1", "E1")
@pytest.mark.parametrize(("words", "cgroup", "plan", "guarded"), SLICES, ids=[row[0] for row in SLICES])
def test_which_slices_are_domains(words: str, cgroup: Cgroup, plan: Plan, guarded: bool) -> None:
    keys = found(snapshot([in_pod("a", "x")], cgroups=(cgroup,)), plan)
    assert (f"{cgroup.kind}:{cgroup.path}" in keys) == guarded


def domain_of(kind: str, name: str) -> Domain:
    return Domain(kind, name, GIB, GIB, 0)  # type: ignore[arg-type]


MEMBERSHIP = [
    # domain, cgroup of the container, inside
    (domain_of("node", ""), "kubepods.slice/p/c", True),
    (domain_of("node", ""), "system.slice/ssh.service", True),
    (domain_of("node", ""), "", True),
    (domain_of("kubepods", "kubepods.slice"), "kubepods.slice/p/c", True),
    (domain_of("kubepods", "kubepods.slice"), "system.slice/ssh.service", False),
    (domain_of("kubepods", "kubepods.slice"), "kubepods.slice.other/p/c", False),
    (domain_of("kubepods", "kubepods.slice"), "", True),
    (domain_of("pod", "kubepods.slice/p"), "kubepods.slice/p/c", True),
    (domain_of("pod", "kubepods.slice/p"), "kubepods.slice/p/c/nested/deeper", True),
    (domain_of("pod", "kubepods.slice/p"), "kubepods.slice/p2/c", False),
    (domain_of("pod", "kubepods.slice/p"), "", False),
    (domain_of("container", "id-1"), "anything", True),
    (domain_of("container", "id-2"), "anything", False),
]


@pytest.mark.row("C5", "E1")
@pytest.mark.parametrize(("domain", "cgroup", "inside"), MEMBERSHIP, ids=[f"{d.key}-{c}" for d, c, _ in MEMBERSHIP])
def test_who_is_inside(domain: Domain, cgroup: str, inside: bool) -> None:
    assert domain.holds(container("id-1", cgroup=cgroup)) == inside


@dataclass(frozen=True)
class Bound:
    words: str
    numa: dict[str, int] | None
    cpuset: str | None
    on_node_0: bool


BOUND = [
    Bound("bound to node 0", {"0": 60, "1": 40}, "0", True),
    Bound("bound to node 1", {"0": 60, "1": 40}, "1", False),
    Bound("may use all nodes", {"0": 99, "1": 1}, "0-1", False),
    Bound("cpuset not known, nearly all of it there", {"0": 96, "1": 4}, None, True),
    Bound("cpuset not known, spread", {"0": 80, "1": 20}, None, False),
    Bound("where it lives is not known", None, "0", False),
    Bound("a machine of one node", {"0": 100}, "0", False),
    Bound("an empty cpuset says nothing of node 0", {"0": 100, "1": 0}, "", False),
]


@pytest.mark.row("E2", "C5")
@pytest.mark.parametrize("case", BOUND, ids=[case.words for case in BOUND])
def test_a_numa_node_holds_those_that_cannot_go_elsewhere(case: Bound) -> None:
    one = container("a", numa_bytes=case.numa, cpuset_mems=case.cpuset)
    assert domain_of("numa", "0").holds(one) == case.on_node_0


NUMA = (
    NumaNode(node=0, total_bytes=8 * GIB, free_bytes=GIB),
    NumaNode(node=1, total_bytes=8 * GIB, free_bytes=7 * GIB),
)


@pytest.mark.row("E2")
def test_a_numa_node_is_a_domain_only_where_somebody_is_bound_to_it() -> None:
    bound = container("a", numa_bytes={"0": GIB, "1": 0}, cpuset_mems="0")
    free = container("b", numa_bytes={"0": GIB, "1": 0}, cpuset_mems="0-1")
    assert [key for key in found(snapshot([bound, free], numa=NUMA)) if key.startswith("numa")] == ["numa:0"]
    assert [key for key in found(snapshot([free], numa=NUMA)) if key.startswith("numa")] == []
    assert [key for key in found(snapshot([bound], numa=NUMA[:1])) if key.startswith("numa")] == []


@pytest.mark.row("E2")
def test_cache_on_a_numa_node_is_headroom() -> None:
    """A full node 0 is normal."""
    bound = container("a", anon=GIB, file=3 * GIB, numa_bytes={"0": 3 * GIB, "1": GIB}, cpuset_mems="0")
    estimated = found(snapshot([bound], numa=NUMA))["numa:0"]
    assert estimated.available_bytes == GIB + int(0.75 * 3 * GIB)
    known = (NumaNode(node=0, total_bytes=8 * GIB, free_bytes=GIB, reclaimable_bytes=2 * GIB), NUMA[1])
    assert found(snapshot([bound], numa=known))["numa:0"].available_bytes == 3 * GIB


NODES = [
    ("", set()),
    ("0", {0}),
    ("0-2,4", {0, 1, 2, 4}),
    (" 1 , 3-3 ", {1, 3}),
    ("x", set()),
    ("2-1", set()),
    ("-1", set()),
]


@pytest.mark.row("E2")
@pytest.mark.parametrize(("text", "nodes"), NODES)
def test_parse_nodes(text: str, nodes: set[int]) -> None:
    assert parse_nodes(text) == nodes


@given(st.text("0123456789-, ", max_size=30) | st.text(max_size=10))
def test_any_text_is_some_set_of_nodes(text: str) -> None:
    assert len(parse_nodes(text)) < 100_000


def test_the_widest_first() -> None:
    kinds = ["node", "kubepods", "numa", "pod", "container"]
    assert [domain_of(kind, "0").width for kind in kinds] == sorted(domain_of(kind, "0").width for kind in kinds)
