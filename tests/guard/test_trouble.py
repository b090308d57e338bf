"""What others do to a guard at work: they restart, rename, nest without end, take its files away; it guards on."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.guard.conftest import Serve
from tests.guard.test_loop import (
    ENFORCE,
    GRACE,
    LIMITS,
    OBSERVE,
    TUNING,
    Process,
    configured,
    names,
    process,  # noqa: F401 - a fixture
)
from tests.guard.world import World, identity, pod_path
from tests.kernel_files.trees import MIB

from memguard.errors import UnfitError
from memguard.guard import heir
from memguard.guard.janitor import spawn_janitor
from memguard.guard.loop import HOUSEKEEPING_SECONDS
from memguard.kernel import inotify
from memguard.kernel.cgroup import Cgroup
from memguard.kernel.compaction import KNOB
from memguard.kernel.record import Records
from memguard.kernel.sweep import sweep

KILLED = "cgroup.kill"


@contextmanager
def nested(above: Path, name: bytes, levels: int) -> Iterator[None]:
    """Directories in each other, deeper than any path could name."""
    fd = os.open(above, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir(name, dir_fd=fd)
        child = os.open(name, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = child
    os.close(fd)
    try:
        yield
    finally:
        subprocess.run(["rm", "-rf", os.fsencode(above) + b"/" + name], check=True)


# --- names


def test_a_new_configuration_may_name_what_was_not_watched(world: World, serve: Serve) -> None:
    world.cgroup("system.slice", memory__max="max\n")
    old, new = (world.container(n, anon=100 * MIB, path=f"system.slice/{n}.service") for n in (7, 8))
    duty = serve(ENFORCE + TUNING)
    for load in (old, new):  # a directory that was not watched, and one that is already
        duty.hangup(configured(world, ENFORCE + TUNING + identity(load, "shop", "a")))
        duty.run(1)
        assert load.path in duty.guard.watch.wards
    new.rate = 200 * MIB
    duty.run(20, until=lambda: not new.alive)
    assert new.killed_by == KILLED


@pytest.mark.row("P3")
@pytest.mark.parametrize("stays", [True, False])
def test_a_configuration_that_lets_it_act_keeps_its_pages_in_place(
    world: World, serve: Serve, tmp_path: Path, *, stays: bool
) -> None:
    """The note of it lies where a sweep looks, though the new file names another run directory."""
    knob = world.proc_root / "sys" / KNOB
    knob.parent.mkdir(parents=True)
    knob.write_text("1\n")
    duty = serve(OBSERVE + TUNING)
    duty.guard.keep_in_place()
    assert knob.read_text() == "1\n", "who only observes changes nothing of the machine"
    text = ENFORCE + TUNING + ("" if stays else "pagesStay = false\n")
    path = configured(world, text)
    path.write_text(path.read_text().replace(f'"{world.run}"', f'"{tmp_path}/elsewhere"'))
    duty.hangup(path)
    duty.run(1)
    assert knob.read_text().strip() == ("0" if stays else "1")
    assert (world.run / "compaction").exists() == stays
    duty.hangup(configured(world, OBSERVE + TUNING))
    duty.run(1)
    assert knob.read_text().strip() == "1", "who only observes from now on puts it back"
    duty.hangup(configured(world, text))
    duty.end()
    assert knob.read_text().strip() == "1"
    assert not (world.run / "compaction").exists()


@pytest.mark.row("E1")
@pytest.mark.parametrize(
    ("path", "glob"),
    [
        ("lxc.payload.c1", "lxc.payload.*"),
        ("user.slice/user-1000.slice/x.service", "user.slice/user-*.slice/x.service"),
        ("system.slice/x.service", "*/x.service"),
    ],
)
def test_a_glob_may_stand_in_any_part_of_a_path(world: World, serve: Serve, path: str, glob: str) -> None:
    above = path.split("/")[:-1]
    for depth in range(len(above)):
        world.cgroup("/".join(above[: depth + 1]), memory__max="max\n")
    world.container(7, anon=100 * MIB, path=path)
    duty = serve(ENFORCE + TUNING + f'[[containers]]\ncgroup = "{glob}"\n')
    assert list(duty.guard.watch.wards) == [path]


def test_the_guard_itself_is_left_alone_whatever_it_is_named(world: World, serve: Serve) -> None:
    world.cgroup("system.slice", memory__max="max\n")
    own = world.container(7, anon=300 * MIB, limit=512 * MIB, path="system.slice/memguard.service")
    own.write("cgroup.procs", f"{os.getpid()}\n")
    (world.proc_root / str(os.getpid())).symlink_to(f"/proc/{os.getpid()}")
    hog = world.container(8, anon=100 * MIB, rate=200 * MIB)
    told: list[int] = []
    before = signal.signal(signal.SIGUSR1, lambda *_: told.append(1))
    try:
        text = LIMITS + 'notifySignal = "SIGUSR1"\n[[containers]]\ncgroup = "system.slice/*.service"\n'
        duty = serve(ENFORCE + TUNING + text + identity(hog, "shop", "hog"))
        duty.run(20, until=lambda: not hog.alive)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert (own.content("memory.high"), told, hog.killed_by) == ("max", [], KILLED)


# --- trees without end


@pytest.mark.row("E1")
@pytest.mark.parametrize("name", [b"d", b"n" * 250, b"\xff" * 250])
@pytest.mark.parametrize("before_us", [True, False])
def test_a_container_may_nest_as_deep_as_it_likes(world: World, serve: Serve, name: bytes, before_us: bool) -> None:
    hog = world.container(1, anon=100 * MIB)
    levels = 1100 if len(name) == 1 else 20
    hog.write("cgroup.stat", f"nr_descendants {levels}\nnr_dying_descendants 0\n")
    duty = None if before_us else serve(ENFORCE + TUNING + names(hog))
    with nested(hog.directory, name, levels):
        duty = duty or serve(ENFORCE + TUNING + names(hog))
        duty.run(2.5 * HOUSEKEEPING_SECONDS)
        hog.rate = 200 * MIB
        duty.run(20, until=lambda: not hog.alive)
    assert hog.killed_by == KILLED


def test_a_sweep_gets_through_any_tree(world: World) -> None:
    (world.cgroup_root / "user.slice").mkdir()
    with nested(world.cgroup_root / "user.slice", b"d", 1100):
        assert sweep(str(world.cgroup_root), Records(str(world.run))).problems == ()


# --- who is to blame, and who may be touched


@pytest.mark.row("T4")
def test_two_hogs_that_are_only_observed_do_not_hide_a_third(world: World, serve: Serve) -> None:
    loads = {name: world.container(n, anon=300 * MIB - n, rate=100 * MIB) for n, name in enumerate("abc", 1)}
    rules = '[[rules]]\nmatch = { pod = "c" }\nmode = "Enforce"\n'
    duty = serve(OBSERVE + TUNING + rules + "".join(identity(load, "shop", name) for name, load in loads.items()))
    duty.run(20, until=lambda: not all(load.alive for load in loads.values()))
    assert loads["c"].killed_by == KILLED


@pytest.mark.row("T4")
def test_a_second_culprit_dies_though_an_innocent_ranks_before_it(world: World, serve: Serve) -> None:
    """The first is in D state, and what it is expected to free protects the innocent, not the second."""
    big = world.container(1, anon=700 * MIB)
    stuck, second = world.container(2, anon=300 * MIB, rate=300 * MIB), world.container(3, anon=150 * MIB)
    stuck.dies = False
    requests = {"big": (big, 64), "stuck": (stuck, 64), "second": (second, 400)}
    known = (identity(load, "shop", name, requestBytes=mib * MIB) for name, (load, mib) in requests.items())
    duty = serve(ENFORCE + TUNING + "".join(known))
    duty.run(20, until=lambda: not stuck.alive)
    second.rate = 200 * MIB
    duty.run(1.9, until=lambda: not (second.alive and big.alive))
    assert (second.killed_by, big.alive) == (KILLED, True)


@pytest.mark.row("T4")
def test_who_was_started_again_in_the_same_cgroup_is_guarded_again(world: World, serve: Serve) -> None:
    others = [world.container(100 + n, anon=MIB) for n in range(100)]
    hog = world.container(2, anon=500 * MIB, rate=200 * MIB)
    duty = serve(ENFORCE + TUNING + names(hog, *others))
    duty.run(20, until=lambda: not hog.alive)
    duty.run(5)
    (hog.directory / "cgroup.kill").write_text("")
    hog.alive, hog.killed_by, hog.anon, hog.rate = True, "", 100 * MIB, 200 * MIB
    hog.write("cgroup.procs", "4242\n")
    hog.write("cgroup.events", "populated 1\nfrozen 0\n")
    hog.show()
    world.meminfo()
    duty.run(30, until=lambda: not hog.alive)
    assert hog.killed_by == KILLED


@pytest.mark.row("C2")
def test_a_wall_clock_that_was_set_after_the_start_makes_nobody_young(world: World, serve: Serve) -> None:
    loads = [world.container(n, anon=300 * MIB) for n in range(1, 5)]
    for load in loads:
        hour_ago = time.time() - 3600
        os.utime(load.directory, (hour_ago, hour_ago))
    duty = serve(ENFORCE + TUNING + "[[rules]]\nminimumAgeSeconds = 60\n" + names(*loads))
    for load in loads[1:]:
        load.rate = 100 * MIB
    duty.run(20, until=lambda: not all(load.alive for load in loads))
    assert [load.killed_by for load in loads if not load.alive] == [KILLED]


# --- lines


@pytest.mark.row("E4")
def test_somebody_elses_line_that_goes_again_makes_room_for_ours(world: World, serve: Serve) -> None:
    web = world.container(1, anon=100 * MIB, limit=256 * MIB)
    duty = serve(ENFORCE + TUNING + LIMITS + names(web))
    web.write("memory.high", f"{200 * MIB}\n")
    duty.run(2 * HOUSEKEEPING_SECONDS)
    assert web.content("memory.high") == str(200 * MIB)
    web.write("memory.high", "max\n")
    duty.run(2 * HOUSEKEEPING_SECONDS)
    web.rate = 20 * MIB
    duty.run(20, until=lambda: not web.alive)
    assert web.killed_by == KILLED


@pytest.mark.row("E4", "T1")
def test_a_new_configuration_does_not_take_the_brake_from_a_stop_signals_grace(
    world: World,
    serve: Serve,
    process: Process,  # noqa: F811
) -> None:
    hog = world.container(1, anon=100 * MIB, rate=60 * MIB, limit=512 * MIB)
    process(hog, "trap '' TERM")
    text = ENFORCE + TUNING + GRACE.format(10) + names(hog)
    duty = serve(text)
    duty.run(60, until=duty.decisions)
    duty.hangup(configured(world, text))
    duty.run(0.05)
    assert hog.content("memory.high") != "max"
    duty.run(20, until=lambda: not hog.alive)
    assert hog.killed_by == KILLED
    duty.run(20)
    assert hog.content("memory.high") == "max"


@pytest.mark.row("E4")
def test_lines_that_a_new_configuration_allows_are_hung_under_pods_too(world: World, serve: Serve) -> None:
    web = world.container(1, anon=100 * MIB, limit=256 * MIB, pod_limit=512 * MIB)
    duty = serve(ENFORCE + TUNING + "lines = false\n" + LIMITS + names(web))
    duty.hangup(configured(world, ENFORCE + TUNING + LIMITS + names(web)))
    duty.run(1)
    highs = (web.content("memory.high"), (world.cgroup_root / pod_path(1) / "memory.high").read_text().strip())
    assert "max" not in highs


def test_a_bell_that_cannot_be_looked_at_does_not_keep_the_guard_awake(world: World, serve: Serve) -> None:
    web = world.container(1, anon=100 * MIB, cache=150 * MIB, limit=256 * MIB)
    duty = serve(ENFORCE + TUNING + LIMITS + names(web))
    web.write("memory.stat", "inactive_file x\n")
    before = world.time
    for _ in range(300):
        duty.guard.turn()
    assert world.time - before > 0.5


# --- what runs out


def test_no_line_stands_while_there_is_no_janitor_and_it_is_asked_for_again(
    world: World, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    web = world.container(1, anon=100 * MIB, limit=256 * MIB)
    duty = serve(ENFORCE + TUNING + LIMITS + names(web))
    first = spawn_janitor()
    first.brief(str(world.cgroup_root), str(world.run))
    duty.guard.heir.employ(first)

    def no_memory() -> None:
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))

    with monkeypatch.context() as patch:
        patch.setattr(heir, "spawn_janitor", no_memory)
        os.kill(first.pid, signal.SIGKILL)
        os.waitid(os.P_PID, first.pid, os.WEXITED | os.WNOWAIT)
        duty.run(2 * HOUSEKEEPING_SECONDS)
        assert (web.content("memory.high"), duty.guard.heir.janitor) == ("max", None)
    duty.run(2 * HOUSEKEEPING_SECONDS)
    assert web.content("memory.high") != "max"
    assert duty.guard.heir.janitor is not None
    duty.guard.heir.janitor.dismiss()


def test_descriptors_that_run_out_are_given_back(world: World, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    duty = serve(ENFORCE + TUNING)
    prepare = Cgroup.prepare

    def no_more(cgroup: Cgroup) -> bool:
        prepare(cgroup)
        raise UnfitError("Too many open files")

    monkeypatch.setattr(Cgroup, "prepare", no_more)
    before = len(os.listdir("/proc/self/fd"))
    for number in range(5):
        load = world.container(10 + number, anon=MIB)
        duty.run(1)
        load.vanish()
        duty.run(1)
    assert len(os.listdir("/proc/self/fd")) < before + 5


@pytest.mark.row("A4")
def test_without_inotify_containers_are_looked_for_until_it_can_be_had(
    world: World, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Instances are counted by user: a tenant's root may hold all of them while we start."""

    def none_left() -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with monkeypatch.context() as exhausted:
        exhausted.setattr(inotify, "inotify_init", none_left)
        duty = serve(ENFORCE + TUNING)
        load = world.container(3, anon=MIB)
        duty.run(HOUSEKEEPING_SECONDS + 1)
        assert load.path in duty.guard.watch.wards
        assert "max_user_instances" in duty.lines("trouble")[0]["reason"]
    duty.run(HOUSEKEEPING_SECONDS + 1)
    late = world.container(4, anon=MIB)
    duty.run(0.1)
    assert late.path in duty.guard.watch.wards
    assert load.path in duty.guard.watch.wards
