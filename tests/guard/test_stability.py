"""The processes that the node cannot do without."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from memguard.guard.stability import Stability

STAT = "{pid} ({name}) {state} 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 {start} 0 0 0\n"


def process(proc: Path, pid: int, name: str, *, state: str = "S", start: int = 100) -> Path:
    directory = proc / str(pid)
    directory.mkdir(exist_ok=True)
    (directory / "stat").write_text(STAT.format(pid=pid, name=name, state=state, start=start))
    return directory


def gone(directory: Path) -> None:
    (directory / "stat").unlink()
    directory.rmdir()


@pytest.mark.row("P3")
def test_who_is_gone_is_told_once(proc: Path) -> None:
    kubelet = process(proc, 10, "kubelet")
    process(proc, 11, "sshd")
    process(proc, 12, "cat")
    found = Stability(("kubelet", "sshd"), str(proc))
    assert found.lost() == []
    gone(kubelet)
    assert found.lost() == ["kubelet"]
    assert found.lost() == []


@pytest.mark.row("P3")
@pytest.mark.parametrize("state", ["Z", "X"])
def test_the_dead_that_are_still_listed_are_gone(proc: Path, state: str) -> None:
    process(proc, 10, "kubelet")
    found = Stability(("kubelet",), str(proc))
    process(proc, 10, "kubelet", state=state)
    assert found.lost() == ["kubelet"]


def test_a_reused_pid_is_not_the_same_process(proc: Path) -> None:
    process(proc, 10, "kubelet")
    found = Stability(("kubelet",), str(proc))
    process(proc, 10, "cat", start=200)
    assert found.lost() == ["kubelet"]


def test_a_restart_is_no_loss_and_the_successor_is_watched(proc: Path) -> None:
    first = process(proc, 10, "kubelet")
    found = Stability(("kubelet",), str(proc))
    gone(first)
    second = process(proc, 20, "kubelet", start=200)
    assert found.lost() == []
    gone(second)
    assert found.lost() == ["kubelet"]


def test_who_comes_back_later_is_watched_again(proc: Path) -> None:
    gone(process(proc, 9, "cat"))
    first = process(proc, 10, "kubelet")
    found = Stability(("kubelet",), str(proc))
    gone(first)
    assert found.lost() == ["kubelet"]
    second = process(proc, 20, "kubelet", start=200)
    assert found.lost() == []
    gone(second)
    assert found.lost() == ["kubelet"]


def test_others_and_latecomers_are_not_missed(proc: Path) -> None:
    other = process(proc, 10, "cat")
    found = Stability(("kubelet",), str(proc))
    late = process(proc, 11, "kubelet")
    gone(other)
    gone(late)
    assert found.lost() == []


def test_several_of_a_name(proc: Path) -> None:
    directories = [process(proc, pid, "sshd") for pid in (10, 11, 12)]
    found = Stability(("sshd",), str(proc))
    gone(directories[0])
    gone(directories[2])
    assert found.lost() == [], "sessions end"
    gone(directories[1])
    assert found.lost() == ["sshd"]


def test_a_real_process(tmp_path: Path) -> None:
    program = tmp_path / "mg-critical"
    shutil.copy(shutil.which("sleep") or "sleep", program)
    with subprocess.Popen([program, "600"]) as one:
        found = Stability((program.name,), "/proc")
        before = found.lost()
        one.kill()
        one.wait()
    assert before == []
    assert found.lost() == [program.name]


def test_nobody_is_critical(proc: Path) -> None:
    assert Stability((), str(proc)).lost() == []


@pytest.mark.row("P3")
def test_a_containers_process_of_that_name_hides_no_loss(proc: Path) -> None:
    kubelet = process(proc, 10, "kubelet")
    (kubelet / "status").write_text("Name:\tkubelet\nNSpid:\t10\n")
    impostor = process(proc, 11, "kubelet")
    (impostor / "status").write_text("Name:\tkubelet\nNSpid:\t11\t1\n")
    found = Stability(("kubelet",), str(proc))
    (kubelet / "status").unlink()
    gone(kubelet)
    assert found.lost() == ["kubelet"]


def test_a_containers_process_that_ends_is_no_loss(proc: Path) -> None:
    impostor = process(proc, 11, "crio")
    (impostor / "status").write_text("Name:\tcrio\nNSpid:\t11\t1\n")
    found = Stability(("crio",), str(proc))
    (impostor / "status").unlink()
    gone(impostor)
    assert found.lost() == []
