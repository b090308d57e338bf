"""A guard that dies leaves nothing behind: real processes, real signals, on a tree of files."""

from __future__ import annotations

import errno
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import pytest
from tests.guard.wards import plan
from tests.guard.world import Load, World, highs, identity, pod_path
from tests.kernel_files.trees import MIB

from memguard.core.model import Container, Memory
from memguard.guard.hold import Hold
from memguard.guard.janitor import Janitor, spawn_janitor
from memguard.guard.ward import Terms, Ward
from memguard.kernel.brake import Line
from memguard.kernel.cgroup import Cgroup
from memguard.kernel.compaction import KNOB
from memguard.kernel.record import Records

ROOT = Path(__file__).resolve().parents[2]
#: the guard, on a tree that is cgroup v2 in all but its file system
GUARD = """
import sys
from memguard.guard import life
from memguard.guard.main import main
life.cgroup_version = lambda _: "v2"
sys.exit(main(sys.argv[1:]))
"""
PROMISED_SECONDS = 1.0
PATIENCE_SECONDS = 30.0


def ends(pid: int) -> float:
    """Waits for a process that need not be our child; how long that took."""
    start = time.monotonic()
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return 0.0
    poller = select.poll()
    poller.register(fd, select.POLLIN)
    assert poller.poll(PATIENCE_SECONDS * 1000), f"{pid} is still there"
    os.close(fd)
    return time.monotonic() - start


class Process:
    """A guard as a process of its own."""

    def __init__(self, world: World, text: str, *, name: str = "guard.toml") -> None:
        self.path = world.run.parent / name
        self.head = (
            f'cgroupRoot = "{world.cgroup_root}"\nprocRoot = "{world.proc_root}"\nrunDirectory = "{world.run}"\n'
        )
        self.say(text)
        command = [sys.executable, "-c", GUARD, "--standalone", "--config", str(self.path)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "operator")}
        self.popen = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)
        assert self.popen.stdout is not None
        assert self.popen.stderr is not None
        self.out: IO[bytes] = self.popen.stdout
        self.err: IO[bytes] = self.popen.stderr

    def say(self, text: str) -> None:
        self.path.write_text(self.head + text)

    def line(self) -> dict[str, Any]:
        """The next line of its journal."""
        found: dict[str, Any] = json.loads(self.out.readline())
        return found

    @property
    def janitor(self) -> int:
        """Its only child."""
        [child] = Path(f"/proc/{self.popen.pid}/task/{self.popen.pid}/children").read_text().split()
        return int(child)

    def send(self, number: int) -> None:
        self.popen.send_signal(number)

    def close(self) -> None:
        if self.popen.poll() is None:
            self.popen.kill()
        self.popen.wait()
        self.out.close()
        self.err.close()


Start = Callable[[str], Process]
ENFORCE = 'mode = "Enforce"\ncritical = []\n[tuning]\npsi = false\nrealtime = false\n[[rules]]\nguardLimit = true\n'


@pytest.fixture
def node(tmp_path: Path) -> World:
    """Files without a kernel: nothing happens by itself."""
    world = World(tmp_path / "machine")
    for number in range(1, 4):
        world.container(number, anon=100 * MIB, limit=256 * MIB, pod_limit=512 * MIB)
    return world


def names(loads: list[Load]) -> str:
    return "".join(identity(load, "shop", f"pod-{index}") for index, load in enumerate(loads))


def lines(node: World) -> set[str]:
    """What stands in the containers' and pods' memory.high."""
    pods = [(node.cgroup_root / pod_path(number) / "memory.high").read_text().strip() for number in range(1, 4)]
    return {*highs(node.loads), *pods}


@pytest.fixture
def start(node: World) -> Iterator[Start]:
    """Starts a guard and waits until its lines stand."""
    started: list[Process] = []

    def begin(text: str = ENFORCE) -> Process:
        started.append(Process(node, text + names(node.loads)))
        first = started[-1].line()
        assert first["kind"] == "start"
        assert first["containers"] == len(node.loads)
        return started[-1]

    yield begin
    for one in started:
        one.close()


@pytest.fixture
def armed(start: Start, node: World) -> Process:
    guard = start(ENFORCE)
    assert lines(node) == {str(240 * MIB), str(int(512 * MIB * 0.95) // 4096 * 4096)}
    return guard


def recorded(node: World) -> int:
    records = Records(str(node.run))
    try:
        return len(records.holds())
    finally:
        records.close()


# --- ends


def test_sigterm_leaves_nothing(armed: Process, node: World) -> None:
    janitor = armed.janitor
    armed.send(signal.SIGTERM)
    assert armed.popen.wait(PATIENCE_SECONDS) == 0
    assert [json.loads(line)["kind"] for line in armed.out] == ["stop"]
    assert armed.err.read() == b""
    assert lines(node) == {"max"}
    ends(janitor)
    assert recorded(node) == 0


def test_sigkill_leaves_nothing_for_more_than_a_second(armed: Process, node: World) -> None:
    janitor = armed.janitor
    armed.send(signal.SIGKILL)
    assert ends(janitor) < PROMISED_SECONDS
    assert lines(node) == {"max"}
    assert recorded(node) == 0


def test_both_killed_at_once_and_the_next_start_sweeps(armed: Process, node: World, start: Start) -> None:
    janitor = armed.janitor
    os.kill(janitor, signal.SIGSTOP)
    armed.send(signal.SIGKILL)
    os.kill(janitor, signal.SIGKILL)
    armed.popen.wait()
    ends(janitor)
    assert "max" not in lines(node)
    again = Process(node, ENFORCE.replace("Enforce", "Observe") + names(node.loads))
    first = again.line()
    assert first["swept"]["lifted"] == 6
    assert lines(node) == {"max"}
    again.close()


def test_a_janitor_that_dies_is_replaced_and_its_successor_does_its_work(armed: Process, node: World) -> None:
    first = armed.janitor
    os.kill(first, signal.SIGKILL)
    assert armed.line()["kind"] == "alarm"
    second = armed.janitor
    assert second != first
    assert "max" not in lines(node)
    armed.send(signal.SIGKILL)
    ends(second)
    assert lines(node) == {"max"}


def test_a_successor_looks_where_the_guard_began_whatever_was_reloaded(start: Start, node: World) -> None:
    knob = node.proc_root / "sys" / KNOB
    knob.parent.mkdir(parents=True, exist_ok=True)
    knob.write_text("1\n")
    armed = start(ENFORCE)
    assert knob.read_text().strip() == "0"
    armed.head = armed.head.replace(str(node.run), str(node.run.parent / "elsewhere"))
    armed.say(ENFORCE + names(node.loads))
    armed.send(signal.SIGHUP)
    assert armed.line()["kind"] == "reload"
    os.kill(armed.janitor, signal.SIGKILL)
    assert armed.line()["kind"] == "alarm"
    second = armed.janitor
    armed.send(signal.SIGKILL)
    ends(second)
    assert lines(node) == {"max"}
    assert knob.read_text().strip() == "1"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_to_the_janitor_itself_ends_nothing(armed: Process, node: World, number: int) -> None:
    """systemd sends SIGTERM to whatever is left in the unit's cgroup when the guard died."""
    janitor = armed.janitor
    armed.send(signal.SIGSTOP)  # it must not find the janitor dead and hire another
    os.kill(janitor, number)
    armed.send(signal.SIGKILL)
    assert ends(janitor) < PROMISED_SECONDS
    assert lines(node) == {"max"}


def test_a_signal_to_the_group_spares_the_janitor(armed: Process, node: World) -> None:
    """As a terminal's Ctrl-C: the janitor is in a session of its own."""
    assert os.getsid(armed.janitor) == armed.janitor != os.getsid(armed.popen.pid)


def test_a_foreign_value_survives_the_guards_death(armed: Process, node: World) -> None:
    node.loads[0].write("memory.high", f"{200 * MIB}\n")
    janitor = armed.janitor
    armed.send(signal.SIGKILL)
    ends(janitor)
    assert highs(node.loads) == [str(200 * MIB), "max", "max"]


def test_a_cgroup_that_went_meanwhile_keeps_no_other_line_up(armed: Process, node: World) -> None:
    janitor = armed.janitor
    armed.send(signal.SIGSTOP)
    node.loads[0].vanish()
    armed.send(signal.SIGKILL)
    ends(janitor)
    assert highs(node.loads) == ["max", "max"]
    assert recorded(node) == 0


# --- life


def test_a_second_guard_is_refused(armed: Process, node: World) -> None:
    second = Process(node, ENFORCE + names(node.loads), name="second.toml")
    assert second.popen.wait(PATIENCE_SECONDS) == 1
    assert b"another guard is running" in second.err.read()
    second.close()
    assert "max" not in lines(node), "and it took nothing down"


def test_a_trace_that_cannot_be_written_is_refused(node: World) -> None:
    one = Process(node, f'trace = "{node.run}/none/trace.jsonl"\n' + ENFORCE)
    assert one.popen.wait(PATIENCE_SECONDS) == 2
    words = one.err.read().decode()
    one.close()
    assert "trace.jsonl: cannot be written: No such file or directory" in words
    assert "Traceback" not in words
    assert lines(node) == {"max"}


def test_sighup_reads_the_configuration_again(armed: Process, node: World) -> None:
    armed.say("mode = 1\n")
    armed.send(signal.SIGHUP)
    refused = armed.line()
    assert (refused["kind"], refused["ok"]) == ("reload", False)
    assert "max" not in lines(node), "the last good one stays in force"
    armed.say(ENFORCE.replace("Enforce", "Observe") + names(node.loads))
    armed.send(signal.SIGHUP)
    followed = armed.line()
    assert (followed["ok"], followed["mode"]) == (True, "Observe")
    assert lines(node) == {"max"}


def test_a_reader_that_goes_away_does_not_take_the_guard_along(armed: Process, node: World) -> None:
    armed.out.close()
    armed.say("mode = 1\n")
    armed.send(signal.SIGHUP)
    armed.say(ENFORCE.replace("Enforce", "Observe") + names(node.loads))
    armed.send(signal.SIGHUP)
    armed.send(signal.SIGTERM)
    assert armed.popen.wait(PATIENCE_SECONDS) == 0
    assert lines(node) == {"max"}


# --- the janitor alone


def dying(work: Callable[[Janitor], None]) -> int:
    """A process that spawns a janitor, does some work, and dies; the janitor's pid."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(reader)
            janitor = spawn_janitor()
            os.write(writer, b"%d" % janitor.pid)
            work(janitor)
        finally:
            os.kill(os.getpid(), signal.SIGKILL)
    os.close(writer)
    janitor_pid = int(os.read(reader, 32))
    os.close(reader)
    os.waitpid(pid, 0)
    return janitor_pid


def test_a_freeze_is_thawed_and_a_line_lifted(node: World) -> None:
    load = node.loads[0]

    def work(janitor: Janitor) -> None:
        records = Records(str(node.run))
        assert records.claim()
        janitor.brief(str(node.cgroup_root), str(node.run))
        cgroup = Cgroup(load.path, str(node.cgroup_root))
        assert Line(cgroup, records).arm(150 * MIB).ok
        identity_ = Container(id="a", namespace="n", pod="p", name="a", memory=Memory(current_bytes=0))
        ward = Ward(cgroup, identity_)
        ward.adopt(Terms(plan()))
        Hold(records).take([ward])
        assert load.content("cgroup.freeze") == "1"

    ends(dying(work))
    assert (load.content("cgroup.freeze"), load.content("memory.high")) == ("0", "max")
    assert recorded(node) == 0


def test_without_a_briefing_it_is_harmless(node: World) -> None:
    """A guard that died before it knew its configuration: there is nothing to undo, and nothing is touched."""
    before = node.foreign_writes()
    janitor = dying(lambda _: None)
    assert ends(janitor) < PATIENCE_SECONDS
    assert node.foreign_writes() == before
    assert not node.run.exists()


def test_dismissed_it_does_nothing(node: World) -> None:
    janitor = spawn_janitor()
    janitor.brief(str(node.cgroup_root), str(node.run))
    janitor.dismiss()
    with pytest.raises(ProcessLookupError):
        os.kill(janitor.pid, 0)
    assert node.foreign_writes() == {}


@pytest.mark.row("A4")
@pytest.mark.parametrize("lacking", ["pidfd_open", "pipe", "fork"])
def test_where_none_can_be_had_nothing_stays_open(monkeypatch: pytest.MonkeyPatch, lacking: str) -> None:
    """It is tried again every ten seconds, for as long as processes or descriptors are short."""

    def short(*_: object) -> None:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    before = os.listdir("/proc/self/fd")
    monkeypatch.setattr(os, lacking, short)
    with pytest.raises(OSError, match="unavailable"):
        spawn_janitor()
    assert os.listdir("/proc/self/fd") == before


@pytest.mark.row("A4")
def test_one_that_came_later_holds_none_of_the_guards_files() -> None:
    """Those of a cgroup that is gone would stay in the guard's memory as long as the janitor lives."""
    reader, writer = os.pipe()
    janitor = spawn_janitor()
    os.close(writer)
    poller = select.poll()
    poller.register(reader, select.POLLIN)
    assert poller.poll(PATIENCE_SECONDS * 1000), "somebody holds the other end"
    janitor.dismiss()
    os.close(reader)


def test_its_descriptor_rings_when_it_dies() -> None:
    janitor = spawn_janitor()
    poller = select.poll()
    poller.register(janitor.fd, select.POLLIN)
    assert poller.poll(0) == []
    os.kill(janitor.pid, signal.SIGKILL)
    assert poller.poll(PATIENCE_SECONDS * 1000)
    janitor.bury()
