"""The supervisor as a process of its own: it outlives any number of guards and lifts what they leave."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.guard.test_main import ENVIRONMENT, GUARD
from tests.kernel_files.trees import MIB, make_cgroup

from memguard.guard.supervisor import Post
from memguard.kernel.brake import Line
from memguard.kernel.cgroup import Cgroup
from memguard.kernel.record import Records

Supervise = Callable[[], "subprocess.Popen[str]"]
PATH = "kubepods.slice/a.scope"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "cgroup").mkdir()
    make_cgroup(tmp_path / "cgroup", PATH, memory__high="max\n", memory__current="4096\n")
    config = f'cgroupRoot = "{tmp_path}/cgroup"\nrunDirectory = "{tmp_path}/run"\n'
    (tmp_path / "guard.toml").write_text(config)
    return tmp_path


@pytest.fixture
def supervise(place: Path) -> Iterator[Supervise]:
    started: list[subprocess.Popen[str]] = []

    def start() -> subprocess.Popen[str]:
        command = [*GUARD, "--supervise", "--config", str(place / "guard.toml")]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        started.append(subprocess.Popen(command, text=True, env=ENVIRONMENT, **pipes))
        return started[-1]

    yield start
    for one in started:
        one.kill()
        one.communicate()


def swept(supervisor: subprocess.Popen[str]) -> int:
    """The next word of the supervisor: how many lines it lifted."""
    assert supervisor.stdout is not None
    line = json.loads(supervisor.stdout.readline())
    assert line["kind"] == "swept"
    return int(line["lifted"])


@contextlib.contextmanager
def doomed_guard(place: Path) -> Iterator[None]:
    """A guard that has a line up, and is killed at the end."""
    code = f"""
import signal
from memguard.kernel.brake import Line
from memguard.kernel.cgroup import Cgroup
from memguard.kernel.record import Records
records = Records("{place}/run")
assert records.claim()
assert Line(Cgroup("{PATH}", "{place}/cgroup"), records).arm({100 * MIB}).ok
print("armed", flush=True)
signal.pause()
"""
    found = subprocess.Popen([sys.executable, "-c", code], text=True, env=ENVIRONMENT, stdout=subprocess.PIPE)
    assert found.stdout is not None
    try:
        assert found.stdout.readline() == "armed\n"
        yield
    finally:
        found.kill()
        found.communicate()


def high(place: Path) -> str:
    return (place / "cgroup" / PATH / "memory.high").read_text().strip()


@pytest.mark.row("P3")
def test_it_lifts_what_each_guard_leaves(place: Path, supervise: Supervise) -> None:
    supervisor = supervise()
    assert swept(supervisor) == 0, "it sweeps when it starts"
    for _ in range(2):
        with doomed_guard(place):
            assert high(place) == str(100 * MIB)
        assert swept(supervisor) == 1
        assert high(place) == "max"


def test_it_sweeps_what_a_guard_left_that_died_with_the_supervisor(place: Path, supervise: Supervise) -> None:
    with doomed_guard(place):
        pass
    assert swept(supervise()) == 1


def test_a_living_guard_keeps_its_line(place: Path, supervise: Supervise) -> None:
    records = Records(str(place / "run"))
    assert records.claim()
    line = Line(Cgroup(PATH, str(place / "cgroup")), records)
    assert line.arm(100 * MIB).ok
    supervisor = supervise()
    post = Post(str(place / "run"))
    while not post.taken:
        assert supervisor.poll() is None, supervisor.communicate()
    assert high(place) == str(100 * MIB)
    line.lift()
    records.close()
    assert swept(supervisor) == 0


def test_there_is_one_and_it_stops_when_told(place: Path, supervise: Supervise) -> None:
    first = supervise()
    swept(first)
    second = supervise()
    assert second.wait(30) == 1
    assert second.stderr is not None
    assert "another supervisor is on duty" in second.stderr.read()
    first.send_signal(signal.SIGTERM)
    assert first.wait(30) == 0
    assert not Post(str(place / "run")).taken
    assert os.path.exists(place / "run" / "supervisor")


def test_told_to_stop_it_sweeps_once_more(place: Path, supervise: Supervise) -> None:
    """A pod's sidecar gets its signal when the guard has just ended: nothing may stay half undone."""
    supervisor = supervise()
    swept(supervisor)
    with doomed_guard(place):
        supervisor.send_signal(signal.SIGTERM)
    assert supervisor.wait(30) == 0
    assert high(place) == "max"
