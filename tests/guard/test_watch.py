"""All containers: who comes and goes, who moved, and who must be asked when memory is short."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.make import memory
from tests.guard.wards import NOW, plan
from tests.guard.world import stat_text
from tests.kernel_files.trees import MIB, make_cgroup, remove_cgroup

from memguard.core.model import Container
from memguard.core.policy import Match, Plan, Rule
from memguard.guard import watch as module
from memguard.guard.ward import Terms, Ward
from memguard.guard.watch import GROWERS, MOVED_BYTES, Watch, growers, sampled, shortlist


class Node:
    """A watch over cgroups of files."""

    def __init__(self, root: Path, proc: Path, under: Plan | None = None) -> None:
        self.root = root
        self.watch = Watch(Terms(under or plan()), str(root), str(proc), swap=False, numa=False)

    def add(self, path: str, *, anon: int = MIB, cache: int = 0, **facts: object) -> Ward:
        self.files(path, anon, cache)
        identity = Container(id=path, cgroup=path, namespace="shop", pod=path, name="app", memory=memory())
        identity = identity if not facts else type(identity)(**{**_fields(identity), **facts})  # type: ignore[arg-type]
        ward = self.watch.add(path, identity, NOW, 100.0)
        assert ward is not None
        return ward

    def files(self, path: str, anon: int, cache: int = 0) -> Path:
        return make_cgroup(self.root, path, memory__current=f"{anon + cache}\n", memory__stat=stat_text(anon, cache))

    def holds(self, path: str, anon: int, cache: int = 0) -> None:
        (self.root / path / "memory.current").write_text(f"{anon + cache}\n")
        (self.root / path / "memory.stat").write_text(stat_text(anon, cache))


def _fields(one: Container) -> dict[str, object]:
    return {name: getattr(one, name) for name in one.__struct_fields__}


@pytest.fixture
def node(root: Path, proc: Path) -> Iterator[Node]:
    found = Node(root, proc)
    yield found
    found.watch.close()


def ids(wards: list[Ward]) -> list[str]:
    return [ward.id for ward in wards]


# --- who is there


def test_one_comes_and_goes(node: Node) -> None:
    before = len(os.listdir("/proc/self/fd"))
    ward = node.add("a")
    assert (len(node.watch), node.watch.wards) == (1, {"a": ward})
    assert node.watch.remove("a") is ward
    assert len(node.watch) == 0
    assert len(os.listdir("/proc/self/fd")) == before
    assert node.watch.remove("a") is None


def test_it_comes_once(node: Node) -> None:
    ward = node.add("a")
    assert node.watch.add("a", ward.container, NOW, 100.0) is None


def test_one_that_is_gone_already_leaves_nothing(node: Node) -> None:
    before = len(os.listdir("/proc/self/fd"))
    assert node.watch.add("none", Container(id="x", memory=memory()), NOW, 100.0) is None
    assert len(os.listdir("/proc/self/fd")) == before
    assert len(node.watch) == 0


@pytest.mark.parametrize("name", [b"\xff", b"app.slice/\xe2\x28", "gr\u00fc\u00df-\U0001f600".encode()])
def test_only_names_that_can_be_written_down(node: Node, name: bytes) -> None:
    path = os.fsdecode(name)
    node.files(path, MIB)
    added = node.watch.add(path, Container(id=path, cgroup=path, memory=memory()), NOW, 100.0)
    is_text = name == path.encode(errors="replace")
    assert (added is not None) is is_text


def test_it_is_known_who_is_inside(node: Node) -> None:
    for path in ("pods/a", "pods/b", "pods2/c"):
        node.add(path)
    assert ids(node.watch.inside("pods")) == ["pods/a", "pods/b"]
    assert ids(node.watch.inside("pods/a")) == ["pods/a"]
    assert ids(node.watch.inside("po")) == []


def test_a_new_plan_finds_everybody(node: Node) -> None:
    for path in ("a", "b"):
        node.add(path)
    rules = (Rule(match=Match(pod="a"), protected=True, notify_signal="SIGUSR1"),)
    node.watch.follow(Terms(Plan(mode="Enforce", rules=rules)), lambda path, _: node.watch.wards[path].container)
    assert [ward.forbidden for ward in node.watch.wards.values()] == ["a policy protects it", None]
    assert ids(node.watch.asking) == ["a"]
    node.watch.remove("a")
    assert node.watch.asking == []


@pytest.mark.row("A4")
def test_everybody_is_studied_in_turn(node: Node) -> None:
    for path in "abcde":
        node.add(path)
    studied = [node.watch.study_next(NOW, 101.0 + index) for index in range(25)]
    assert {ward.id for ward in studied if ward} == set("abcde")
    last = [ward.id for ward in studied[-10:] if ward]
    assert sorted(last) == sorted("abcde" * 2), "one after the other, nobody twice as often"


def test_the_newest_is_studied_soon_again(node: Node) -> None:
    """Its runtime has not written its limits yet."""
    for path in "abcde":
        node.add(path)
    for _ in range(20):
        node.watch.study_next(NOW, 101.0)
    node.add("new")
    assert [node.watch.study_next(NOW, 102.0 + index) for index in range(2)] == [node.watch.wards["new"]] * 2


def test_nobody_to_study(node: Node) -> None:
    assert node.watch.study_next(NOW, 100.0) is None
    node.add("a")
    node.watch.remove("a")
    assert node.watch.study_next(NOW, 100.0) is None


@pytest.mark.usefixtures("kernfs")
def test_the_vanished_are_nobodys_trouble(node: Node) -> None:
    for path in "abc":
        node.add(path, anon=10 * MIB)
    node.watch.sweep()
    remove_cgroup(node.root / "b")
    assert "b" not in ids(node.watch.sweep())
    assert "b" not in ids(node.watch.front)
    assert ids(node.watch.glance_at_front()) != []
    for _ in range(10):
        node.watch.study_next(NOW, 101.0)
    node.watch.remove("b")
    assert list(node.watch.wards) == ["a", "c"]


# --- who moved


def learned(node: Node) -> None:
    sampled(node.watch.wards.values())


def test_only_who_moved_is_worth_a_sample(node: Node) -> None:
    for path in "abc":
        node.add(path, anon=10 * MIB)
    node.watch.sweep()
    learned(node)
    node.holds("a", 10 * MIB + MOVED_BYTES)
    node.holds("b", 10 * MIB + MOVED_BYTES - 1)
    node.holds("c", 5 * MIB)
    assert sorted(ids(node.watch.sweep())) == ["a", "c"]
    learned(node)
    assert node.watch.sweep() == []


def test_slow_growth_adds_up(node: Node) -> None:
    """Half a MiB at each sweep is a MiB at every second."""
    node.add("a", anon=10 * MIB)
    node.watch.sweep()
    learned(node)
    seen = []
    for step in range(1, 7):
        node.holds("a", 10 * MIB + step * MOVED_BYTES // 2)
        moved = node.watch.sweep()
        sampled(moved)
        seen.append(ids(moved))
    assert seen == [[], ["a"]] * 3


@pytest.mark.row("A3")
def test_growth_hidden_behind_the_cache_is_found(node: Node) -> None:
    """Its memory.current does not move; it is among those with the most cache, so its memory.stat is read."""
    for index in range(10):
        node.add(f"quiet-{index}", anon=200 * MIB)
    node.add("hider", anon=10 * MIB, cache=300 * MIB)
    node.watch.sweep()
    learned(node)
    node.holds("hider", 110 * MIB, cache=200 * MIB)
    assert ids(node.watch.sweep()) == ["hider"]
    assert node.watch.front[0].id == "hider"
    assert ids(growers(node.watch.front)) == ["hider"]


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 400)), min_size=1, max_size=12))
def test_the_front_holds_whoever_a_decision_must_be_among(sizes: list[tuple[int, int]]) -> None:
    wards = {}
    for index, (before, after) in enumerate(sizes):
        ward = Ward.__new__(Ward)
        ward.container = Container(id=str(index), memory=memory(), request_bytes=before * MIB // 2)
        ward.footprint_bytes = ward.current_bytes = after * MIB
        ward.risen_bytes, ward.discount_bytes, ward.sampled_bytes = (after - before) * MIB, 0, before * MIB
        ward.swept_bytes = before * MIB
        wards[str(index)] = ward
    watch = Watch(Terms(Plan()), "/none", "/none", swap=False, numa=False)
    watch.wards = wards
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Ward, "glance", lambda _: True)
        patch.setattr(Ward, "read", lambda _: True)
        watch.sweep()
    chosen = [shortlist(watch.front), watch.front]
    for few in chosen:
        assert max(wards.values(), key=lambda ward: ward.footprint_bytes).footprint_bytes in [
            ward.footprint_bytes for ward in few
        ]
        assert max(ward.excess_bytes for ward in wards.values()) in [ward.excess_bytes for ward in few]
    fastest = max(wards.values(), key=lambda ward: ward.risen_bytes)
    if fastest.risen_bytes >= MOVED_BYTES:
        assert fastest.risen_bytes == chosen[0][0].risen_bytes or fastest.risen_bytes in [
            ward.risen_bytes for ward in chosen[0]
        ]
    assert len(watch.front) <= GROWERS + module.LARGEST + module.OVER_REQUEST
    nobody_grows = fastest.risen_bytes < MOVED_BYTES
    assert len(shortlist(watch.front)) <= (len(watch.front) if nobody_grows else GROWERS + 2)


def test_a_look_right_after_a_sweep_knows_who_grew(node: Node) -> None:
    """A decision may come at any moment: who grew must not look calm because nothing happened since a moment ago."""
    for path in "abc":
        node.add(path, anon=100 * MIB)
    for step in range(1, 4):
        node.holds("b", 100 * MIB + step * 2 * MIB)
        node.watch.sweep()
        for _ in range(3):
            assert ids(growers(node.watch.glance_at_front())) == ["b"]
    for _ in range(2):
        node.watch.sweep()
    assert growers(node.watch.glance_at_front()) == []


def test_an_empty_node_has_no_front(node: Node) -> None:
    assert node.watch.sweep() == []
    assert node.watch.front == []
    assert shortlist([]) == growers([]) == []


@pytest.mark.row("G4")
def test_a_sweep_reads_few_memory_stats_however_many_there_are(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    for index in range(60):
        node.add(f"c{index}", anon=index * MIB, cache=(60 - index) * MIB)
    node.watch.sweep()
    reads: list[Ward] = []
    read: Callable[[Ward], bool] = Ward.read
    monkeypatch.setattr(Ward, "read", lambda ward: (reads.append(ward), read(ward))[1])
    for index in range(60):
        node.holds(f"c{index}", index * 2 * MIB)
    node.watch.sweep()
    for ward in shortlist(node.watch.glance_at_front()):
        ward.read()
    assert len(reads) <= 20
