"""The watcher against the real API server, through a proxy that fails: nothing is lost and nothing is told twice."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from e2e.lab.control_plane import ControlPlane
from tests.cluster.clients import (
    CONFIG_MAPS,
    OURS,
    ConfigMap,
    client_of,
    config_map,
    connect,
    new_namespace,
    pod,
    proxy_of,
    wait_until,
)
from tests.cluster.proxy import (
    DEADLINE_SECONDS,
    EXPIRED,
    GONE,
    Cut,
    Fault,
    Hang,
    Insert,
    Lose,
    Proxy,
    Refuse,
    Seen,
    Until,
)

from memguard.errors import UnreachableError
from memguard.kube.client import Client
from memguard.kube.codec import Key
from memguard.kube.connection import TokenFile
from memguard.kube.resources import PODS, Selection
from memguard.kube.retry import Backoff
from memguard.kube.store import Change
from memguard.kube.watch import Watcher

ROOT = Path(__file__).resolve().parents[2]
#: Retries are spread over milliseconds here.
SOON = Backoff(base_seconds=0.02, cap_seconds=0.1)
QUIET_SECONDS = 1.0


@dataclass
class Told:
    """What a watcher told, and what one knows who only listened to it."""

    changes: list[Change[ConfigMap]] = field(default_factory=list)
    known: dict[Key, ConfigMap] = field(default_factory=dict)
    versions: list[tuple[str, str]] = field(default_factory=list)

    def __call__(self, change: Change[ConfigMap]) -> None:
        self.changes.append(change)
        for one in change.deleted:
            assert self.known.pop(_key(one)).metadata.uid == one.metadata.uid
        for one in change.upserted:
            self.versions.append((one.metadata.uid, one.metadata.resource_version))
            self.known[_key(one)] = one


@dataclass
class Watched:
    """A watcher that runs, and who listens to it."""

    watcher: Watcher[ConfigMap]
    told: Told

    def has(self, *names: str) -> bool:
        return sorted(name for _, name in self.watcher.objects()) == sorted(names)


@dataclass
class Stage:
    """A namespace of a real API server, the way to it, and the way through the proxy."""

    plane: ControlPlane
    client: Client
    through: Client
    proxy: Proxy
    namespace: str

    def make(self, *names: str) -> None:
        for name in names:
            self.client.create(CONFIG_MAPS, config_map(name), self.namespace)

    def change(self, name: str, value: str) -> None:
        self.client.merge_patch(CONFIG_MAPS, name, {"data": {"x": value}}, self.namespace)

    def delete(self, *names: str) -> None:
        for name in names:
            self.client.delete(CONFIG_MAPS, name, self.namespace)

    @property
    def selection(self) -> Selection[ConfigMap]:
        return Selection(CONFIG_MAPS, self.namespace, fields=OURS)

    @property
    def truth(self) -> dict[Key, ConfigMap]:
        return {_key(one): one for one in self.client.list_all(self.selection).objects}

    @contextmanager
    def watched(self, client: Client | None = None, **options: object) -> Iterator[Watched]:
        """Watched through the proxy, or by another client; ends within the deadline."""
        told = Told()
        settings = {"backoff": SOON, "quiet_seconds": QUIET_SECONDS, "page": 2, **options}
        watcher = Watcher(client or self.through, self.selection, told, **settings)  # type: ignore[arg-type]
        thread = threading.Thread(target=watcher.run)
        thread.start()
        try:
            yield Watched(watcher, told)
        finally:
            watcher.stop()
            thread.join(DEADLINE_SECONDS)
            assert not thread.is_alive()

    def wait_until_it_agrees(self, watched: Watched) -> None:
        wait_until(lambda: watched.watcher.objects() == self.truth)


@contextmanager
def staged(plane: ControlPlane) -> Iterator[Stage]:
    with (
        client_of(connect(plane)) as client,
        proxy_of(plane) as proxy,
        client_of(connect(plane, proxy.url), timeout_seconds=1) as through,
    ):
        yield Stage(plane, client, through, proxy, new_namespace(client))
        assert proxy.pending == 0


@pytest.fixture
def stage(control_plane: ControlPlane) -> Iterator[Stage]:
    with staged(control_plane) as stage:
        yield stage


def is_watch(seen: Seen) -> bool:
    return seen.is_watch


def is_list(seen: Seen) -> bool:
    return seen.is_list


def _key(one: ConfigMap) -> Key:
    return one.metadata.namespace, one.metadata.name


def test_what_is_there_and_what_happens_is_told(stage: Stage) -> None:
    stage.make("a", "b", "c")
    with stage.watched() as watched:
        assert watched.watcher.synced.wait(DEADLINE_SECONDS)
        assert watched.has("a", "b", "c")
        stage.change("a", "1")
        stage.delete("b")
        stage.make("d")
        stage.wait_until_it_agrees(watched)
        assert watched.watcher.fresh_seconds() < DEADLINE_SECONDS
        assert (watched.watcher.lists, watched.watcher.failures) == (1, 0)
    first, *later = watched.told.changes
    assert first.listed
    assert [one.metadata.name for one in first.upserted] == ["a", "b", "c"]
    names = [[one.metadata.name for one in (*change.upserted, *change.deleted)] for change in later]
    assert names == [["a"], ["b"], ["d"]]


def test_an_empty_selection_is_told_too(stage: Stage) -> None:
    with stage.watched() as watched:
        assert watched.watcher.synced.wait(DEADLINE_SECONDS)
    assert watched.told.changes == [Change(listed=True)]


def test_one_that_no_longer_matches_is_gone(stage: Stage) -> None:
    stage.make("a", "b")
    one = stage.client.merge_patch(CONFIG_MAPS, "a", {"metadata": {"labels": {"app": "x"}}}, stage.namespace)
    told = Told()
    watcher = Watcher(stage.client, Selection(CONFIG_MAPS, stage.namespace, labels="app=x"), told)
    thread = threading.Thread(target=watcher.run)
    thread.start()
    wait_until(lambda: watcher.objects() == {(stage.namespace, "a"): one})
    stage.client.merge_patch(CONFIG_MAPS, "a", {"metadata": {"labels": {"app": "y"}}}, stage.namespace)
    wait_until(lambda: not watcher.objects())
    watcher.stop()
    thread.join(DEADLINE_SECONDS)
    assert [len(change.deleted) for change in told.changes] == [0, 1]


def test_a_quiet_watch_ends_when_told(stage: Stage) -> None:
    with stage.watched(quiet_seconds=2 * DEADLINE_SECONDS) as watched:
        stage.proxy.wait_for(lambda: stage.proxy.count(is_watch) == 1)
    assert watched.watcher.failures == 0


def test_nothing_is_known_before_the_first_list(stage: Stage) -> None:
    stage.proxy.fail(is_list, Refuse(503), times=2)
    with stage.watched() as watched:
        assert watched.watcher.synced.wait(DEADLINE_SECONDS)
        assert watched.watcher.failures == 2
    assert stage.proxy.count(is_list) == 3


@pytest.mark.parametrize(
    ("fault", "lists"),
    [
        (Cut(lines=0), 1),
        (Cut(lines=1), 1),
        (Cut(lines=1, silent=True), 1),
        (Hang(), 1),
        (Lose(), 1),
        (Refuse(429, headers={"Retry-After": "0"}), 1),
        (Refuse(500), 1),
        (Refuse(503), 1),
        (Insert({"type": "ERROR", "object": {"kind": "Status", "code": 500, "message": "etcd"}}, lines=1), 1),
        (Refuse(409), 2),
        (Refuse(410, "Expired"), 2),
        (GONE, 2),
        (Insert({"type": "ERROR", "object": EXPIRED}, lines=1), 2),
        (Insert(b"this is no event\n", lines=1), 2),
        (Insert(b'{"type":"ADDED","object":{}}\n', lines=1), 2),
    ],
    ids=str,
)
def test_it_comes_through(fault: Fault, lists: int, stage: Stage) -> None:
    """`lists`: only where the place is lost all is listed again; else the watch goes on from where it was."""
    stage.make("a")
    stage.proxy.fail(is_watch, fault)
    with stage.watched() as watched:
        stage.proxy.wait_for(lambda: stage.proxy.count(is_watch) == 1)
        stage.make("b", "c", "d")
        stage.delete("a")
        stage.wait_until_it_agrees(watched)
        stage.proxy.wait_for(lambda: stage.proxy.count(is_watch) >= 2)
        stage.make("e")
        wait_until(lambda: watched.has("b", "c", "d", "e"))
        assert watched.watcher.last_error is None
        assert watched.watcher.lists == lists
        assert watched.watcher.failures >= 1
    assert watched.told.known == stage.truth
    assert len(set(watched.told.versions)) == len(watched.told.versions)


def test_what_vanished_while_the_place_was_lost_is_told_with_the_next_list(stage: Stage) -> None:
    stage.make("gone", "kept", "renewed")
    old = stage.truth
    stage.proxy.fail(is_watch, Hang())
    stage.proxy.fail(is_watch, Refuse(410, "Expired"))
    with stage.watched() as watched:
        stage.proxy.wait_for(lambda: stage.proxy.count(is_watch) == 1)
        stage.delete("gone", "renewed")
        stage.make("renewed")
        stage.wait_until_it_agrees(watched)
        change = watched.told.changes[1]
    assert change.listed
    assert change.deleted == (old[stage.namespace, "gone"], old[stage.namespace, "renewed"])
    assert change.upserted == (stage.truth[stage.namespace, "renewed"],)


def test_a_bookmark_moves_the_place_from_where_it_goes_on(stage: Stage) -> None:
    stage.make("a")
    with stage.watched() as watched:
        assert watched.watcher.synced.wait(DEADLINE_SECONDS)
    place = stage.client.list_all(stage.selection).resource_version
    bookmark = {"type": "BOOKMARK", "object": {"kind": "ConfigMap", "metadata": {"resourceVersion": place}}}
    seen = len(stage.proxy.seen)
    stage.proxy.fail(is_watch, Insert(bookmark))
    with stage.watched() as watched:
        stage.proxy.wait_for(lambda: sum(map(is_watch, stage.proxy.seen[seen:])) == 2)
    assert [one.query["resourceVersion"] for one in stage.proxy.seen[seen:] if one.is_watch][1] == place
    assert watched.watcher.lists == 1


def test_the_servers_own_end_of_a_watch_is_no_failure(stage: Stage) -> None:
    """Two seconds before it ends one the server sends a bookmark, which tells that we are up to date."""
    with stage.watched(watch_seconds=3, quiet_seconds=DEADLINE_SECONDS) as watched:
        stage.proxy.wait_for(lambda: stage.proxy.count(is_watch) == 2)
        stage.make("a")
        wait_until(lambda: watched.has("a"))
        assert (watched.watcher.lists, watched.watcher.failures) == (1, 0)


def test_a_token_that_ends_while_it_watches_is_read_again(stage: Stage, tmp_path: Path) -> None:
    account = f"{stage.namespace}:default"
    rights = ("--clusterrole=cluster-admin", f"--serviceaccount={account}")
    stage.plane.kubectl("create", "clusterrolebinding", stage.namespace, *rights)
    old, new = (stage.plane.service_account_token(stage.namespace, "default", seconds=life) for life in (3600, 7200))
    file = tmp_path / "token"
    file.write_text(old)
    with (
        client_of(connect(stage.plane, stage.proxy.url, TokenFile(str(file)))) as client,
        stage.watched(client) as watched,
    ):
        stage.proxy.wait_for(lambda: stage.proxy.count(is_watch) == 1)
        stage.proxy.fail(lambda seen: seen.authorization == f"Bearer {old}", Refuse(401))
        file.write_text(new)
        stage.proxy.cut_all()
        stage.make("a")
        wait_until(lambda: watched.has("a"))
        assert watched.watcher.lists == 1
    assert stage.proxy.seen[-1].authorization == f"Bearer {new}"


@pytest.mark.parametrize("seed", range(4))
def test_whatever_fails_it_ends_with_the_servers_truth(seed: int, stage: Stage) -> None:
    """Objects come, change and go while requests fail in every way; who only listened knows the same as the server."""
    draw = random.Random(seed)
    faults: list[Fault] = [
        Cut(lines=0), Cut(lines=2), Cut(lines=1, silent=True), GONE, Insert(b"{\n", lines=1), Hang(), Lose(),
        Refuse(429, headers={"Retry-After": "0"}), Refuse(500), Refuse(410, "Expired"), Refuse(401),
    ]  # fmt: skip
    with stage.watched(quiet_seconds=0.3) as watched:
        for turn in range(150):
            if turn % 10 == 0:
                stage.proxy.fail(lambda seen: True, draw.choice(faults))
            _something_happens(stage, f"a{draw.randrange(8)}", turn)
        wait_until(lambda: stage.proxy.pending == 0)
        stage.wait_until_it_agrees(watched)
        assert watched.watcher.failures >= 1
    assert watched.told.known == stage.truth
    assert len(set(watched.told.versions)) == len(watched.told.versions)


def _something_happens(stage: Stage, name: str, turn: int) -> None:
    if (stage.namespace, name) not in stage.truth:
        stage.make(name)
    elif turn % 3:
        stage.change(name, str(turn))
    else:
        stage.delete(name)


def test_a_full_node_fits(stage: Stage) -> None:
    """110 pods in a fresh process: measured 24.7 MiB, of which the interpreter is 9; the whole agent has 45."""
    for number in range(110):
        stage.client.create(PODS, pod(f"p{number}", app="x"), stage.namespace)
    plane = stage.plane
    script = Path(__file__).with_name("hold_pods.py")
    command = [sys.executable, script, plane.url, plane.certificates.authority, plane.token(), stage.namespace]
    ran = subprocess.run(
        command, capture_output=True, text=True, check=True, env={"PYTHONPATH": str(ROOT / "operator")}
    )
    held, resident_kib = ran.stdout.split()
    assert int(held) == 110
    assert int(resident_kib) < 32 << 10


def test_the_real_server_forgets(tmp_path: Path) -> None:
    """It compacts each second here, instead of each five minutes: continuations and watches from before are gone."""
    plane = ControlPlane(
        tmp_path / "plane",
        controller_manager=False,
        scheduler=False,
        api_server_options=("--etcd-compaction-interval=1s",),
    )
    try:
        plane.start()
        with staged(plane) as stage:
            _a_list_that_outlives_its_continuation(stage)
            _a_watch_that_outlives_its_server(stage)
    finally:
        plane.remove()


def _a_list_that_outlives_its_continuation(stage: Stage) -> None:
    stage.make("a", "b", "c")
    stage.proxy.fail(lambda seen: "continue" in seen.query, Until(410))
    with client_of(connect(stage.plane, stage.proxy.url), timeout_seconds=DEADLINE_SECONDS) as patient:
        listing = patient.list_all(stage.selection, page=2)
    assert [one.metadata.name for one in listing.objects] == ["a", "b", "c"]
    assert stage.proxy.count(is_list) == 4


def _a_watch_that_outlives_its_server(stage: Stage) -> None:
    with stage.watched() as watched:
        assert watched.watcher.synced.wait(DEADLINE_SECONDS)
        lists = watched.watcher.lists
        stage.proxy.fail(is_watch, Hang())
        stage.proxy.cut_all()
        stage.proxy.wait_for(lambda: stage.proxy.pending == 0)
        stage.delete("a")
        stage.make("d")
        stage.plane.process("kube-apiserver").stop()
        stage.proxy.cut_all()
        wait_until(lambda: isinstance(watched.watcher.last_error, UnreachableError))
        stage.plane.start()
        wait_until(lambda: watched.has("b", "c", "d"))
        assert watched.watcher.lists == lists + 1
    assert watched.told.known == stage.truth
