"""Kill: order, refusals, when it is over. What needs a real cgroup.kill is tested in the virtual machine."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.kernel_files.conftest import PATH
from tests.kernel_files.trees import MIB, make_cgroup, remove_cgroup

from memguard.kernel.cgroup import Cgroup
from memguard.kernel.kill import Kill, signal_all
from memguard.kernel.syscalls import process_mrelease


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "600"]) as process:
        yield process
        process.kill()


def empty(directory: Path, current: int = 90 * MIB) -> None:
    (directory / "memory.current").write_text(f"{current}\n")
    (directory / "cgroup.events").write_text("populated 0\nfrozen 0\n")


def test_a_kill_is_over_when_nothing_in_it_lives(cgroup: Cgroup, directory: Path) -> None:
    work = Kill(cgroup)
    assert work.strike().verdict == "done"
    assert (directory / "cgroup.kill").read_text() == "1"
    assert not work.done()
    empty(directory)
    assert work.done()


def test_a_cgroup_that_goes_with_its_last_process(cgroup: Cgroup, directory: Path) -> None:
    work = Kill(cgroup)
    assert work.strike().ok
    remove_cgroup(directory)
    cgroup.rest()
    assert work.done()


def test_gone_before_the_strike(cgroup: Cgroup, directory: Path) -> None:
    remove_cgroup(directory)
    assert Kill(cgroup).strike().verdict == "vanished"


def test_gone_during_the_strike(cgroup: Cgroup, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cgroup.prepare()

    def vanish(*_: object) -> bytes:
        if directory.exists():
            remove_cgroup(directory)
        raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))

    monkeypatch.setattr(os, "pwrite", vanish)
    assert Kill(cgroup).strike().verdict == "vanished"


@pytest.mark.parametrize(
    "path", ["", "kubepods.slice", "kubepods/burstable", "system.slice", "user.slice/user-0.slice"]
)
def test_boundaries_are_refused(root: Path, path: str) -> None:
    directory = make_cgroup(root, path)
    assert Kill(Cgroup(path, str(root))).strike().verdict == "refused"
    assert (directory / "cgroup.kill").read_text() == ""


def test_never_ourselves(root: Path, directory: Path, cgroup: Cgroup) -> None:
    make_cgroup(root, f"{PATH}/nested", cgroup__procs=f"{os.getpid()}\n")
    (directory / "cgroup.stat").write_text("nr_descendants 1\nnr_dying_descendants 0\n")
    assert Kill(cgroup).strike().verdict == "refused"
    assert (directory / "cgroup.kill").read_text() == ""


def test_a_prepared_strike_opens_nothing(cgroup: Cgroup, monkeypatch: pytest.MonkeyPatch) -> None:
    cgroup.prepare()

    def no_open(*_: object, **__: object) -> int:
        pytest.fail("opened a file between decision and kill")

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", no_open)
        assert Kill(cgroup).strike().ok


def test_a_kernel_without_cgroup_kill(root: Path, child: subprocess.Popen[bytes]) -> None:
    directory = make_cgroup(root, "old", cgroup__kill=None, cgroup__procs=f"{child.pid}\n")
    cgroup = Cgroup("old", str(root))
    work = Kill(cgroup)
    strike = work.strike()
    assert strike.ok
    assert "signals were sent" in strike.detail
    assert child.wait(30) == -signal.SIGKILL
    empty(directory)
    assert work.done()


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES, errno.EPERM])
@pytest.mark.parametrize("call", ["open", "pwrite"])
def test_where_writing_is_forbidden_nothing_is_signalled(
    root: Path, child: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch, code: int, call: str
) -> None:
    """A read-only tree is the Observe profile: no way round it."""
    make_cgroup(root, "web", cgroup__procs=f"{child.pid}\n")
    cgroup = Cgroup("web", str(root))
    real = getattr(os, call)

    def fail(*arguments: Any, **options: Any) -> Any:
        if call == "pwrite" or arguments[1] & os.O_WRONLY:
            raise OSError(code, os.strerror(code))
        return real(*arguments, **options)

    monkeypatch.setattr(os, call, fail)
    strike = Kill(cgroup).strike()
    assert strike.verdict == "refused"
    assert "cgroup.kill" in strike.detail
    assert child.poll() is None


def test_signals_reach_nobody(cgroup: Cgroup, directory: Path) -> None:
    (directory / "cgroup.procs").write_text("999999999\n")
    assert signal_all(cgroup, "no such file").verdict == "refused"


def test_memory_of_the_living_is_never_released(
    cgroup: Cgroup, directory: Path, child: subprocess.Popen[bytes]
) -> None:
    """process_mrelease is EINVAL for what is not dying; and it is a value, not an error."""
    (directory / "cgroup.procs").write_text(f"{child.pid}\n999999999\n")
    assert Kill(cgroup).release_memory() == 0
    assert child.poll() is None


def test_released_memory_of_the_dead_counts(cgroup: Cgroup, directory: Path, child: subprocess.Popen[bytes]) -> None:
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    (directory / "cgroup.procs").write_text(f"{child.pid}\n")
    assert Kill(cgroup).release_memory() == 1, "ESRCH: its memory is gone already"


def test_process_mrelease_names_its_error() -> None:
    with pytest.raises(OSError, match="Bad file descriptor"):
        process_mrelease(-1)
