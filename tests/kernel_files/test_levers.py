"""The smaller levers: reclaim, signals, notices; and the guard's own protection."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.kernel_files.trees import MIB, make_cgroup, remove_cgroup

from memguard.kernel import selfguard
from memguard.kernel.cgroup import Cgroup
from memguard.kernel.notify import NOTICE_NAME, notify_file
from memguard.kernel.reclaim import reclaim
from memguard.kernel.signals import init_pids, signal_init

# --- reclaim


def test_reclaim_asks_for_bytes(cgroup: Cgroup, directory: Path) -> None:
    assert reclaim(cgroup, 5 * MIB).verdict == "done"
    assert (directory / "memory.reclaim").read_text() == str(5 * MIB)


@pytest.mark.parametrize(
    ("code", "verdict"), [(errno.EAGAIN, "timeout"), (errno.EROFS, "refused"), (errno.EINVAL, "refused")]
)
def test_reclaim_measures_what_it_achieved(
    cgroup: Cgroup, directory: Path, monkeypatch: pytest.MonkeyPatch, code: int, verdict: str
) -> None:
    def partly(*_: object) -> int:
        (directory / "memory.current").write_text(f"{198 * MIB}\n")
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "pwrite", partly)
    outcome = reclaim(cgroup, 5 * MIB)
    assert outcome.verdict == verdict
    assert verdict == "refused" or outcome.value_bytes == 2 * MIB


def test_reclaim_without_the_file_or_the_cgroup(root: Path, cgroup: Cgroup, directory: Path) -> None:
    make_cgroup(root, "old", memory__reclaim=None)
    assert reclaim(Cgroup("old", str(root)), MIB).verdict == "unsupported"
    remove_cgroup(directory)
    assert reclaim(cgroup, MIB).verdict == "vanished"


# --- signals

CONTAINER = """
import os, signal, sys, time
# the container's init, a child of it, and (for the test) the word that all is up
signal.signal(signal.SIGTERM, lambda *_: os._exit(7))
child = os.fork()
if child == 0:
    time.sleep(600)
print(child, flush=True)
time.sleep(600)
"""


@pytest.fixture
def container(directory: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    with subprocess.Popen([sys.executable, "-c", CONTAINER], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        (directory / "cgroup.procs").write_text(f"{child}\n{process.pid}\n")
        yield process, child
        process.kill()
        os.kill(child, signal.SIGKILL)


def test_the_signal_goes_to_init(cgroup: Cgroup, container: tuple[subprocess.Popen[bytes], int]) -> None:
    process, child = container
    assert init_pids(cgroup) == [process.pid]
    assert signal_init(cgroup).verdict == "done"
    assert process.wait(30) == 7
    os.kill(child, 0)


def test_an_exec_session_is_not_init(
    cgroup: Cgroup, directory: Path, container: tuple[subprocess.Popen[bytes], int]
) -> None:
    process, child = container
    with subprocess.Popen(["sleep", "600"]) as session:
        (directory / "cgroup.procs").write_text(f"{session.pid}\n{child}\n{process.pid}\n")
        assert init_pids(cgroup) == [session.pid, process.pid]
        assert signal_init(cgroup).verdict == "done"
        assert process.wait(30) == 7
        assert session.poll() is None
        session.kill()


def test_no_process_to_signal(cgroup: Cgroup, directory: Path) -> None:
    (directory / "cgroup.procs").write_text("0\n0\n")
    outcome = signal_init(cgroup)
    assert outcome.verdict == "refused"
    assert "hostPID" in outcome.detail
    remove_cgroup(directory)
    cgroup.rest()
    assert signal_init(cgroup).verdict == "vanished"


# --- notices


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """/proc with one process, 7, whose root is a directory of its own."""
    (tmp_path / "proc/7/root/run/app").mkdir(parents=True)
    return tmp_path / "proc"


def test_a_notice_in_the_containers_file_system(proc: Path) -> None:
    for text in (b"a longer notice", b"short"):
        assert notify_file(7, "/run/app", text, str(proc)).verdict == "done"
        assert (proc / "7/root/run/app" / NOTICE_NAME).read_bytes() == text
    assert notify_file(8, "/run/app", b"x", str(proc)).verdict == "vanished"
    assert notify_file(7, "/none", b"x", str(proc)).verdict == "refused"


def test_dots_stay_inside_the_containers_root(proc: Path) -> None:
    assert notify_file(7, "/../../..", b"x", str(proc)).verdict == "done"
    assert (proc / "7/root" / NOTICE_NAME).exists()


@pytest.mark.parametrize("trap", ["directory link", "absolute link", "file link", "hard link", "fifo", "directory"])
def test_a_planted_trap_is_refused(proc: Path, tmp_path: Path, trap: str) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    app = proc / "7/root/run/app"
    place = app / NOTICE_NAME
    if trap == "directory link":
        (proc / "7/root/run/elsewhere").mkdir()
        app.rmdir()
        app.symlink_to("elsewhere")
    elif trap == "absolute link":
        app.rmdir()
        app.symlink_to(tmp_path)
    elif trap == "file link":
        place.symlink_to(secret)
    elif trap == "hard link":
        place.hardlink_to(secret)
    elif trap == "fifo":
        os.mkfifo(place)
    else:
        place.mkdir()
    assert notify_file(7, "/run/app", b"gotcha", str(proc)).verdict == "refused"
    assert secret.read_text() == "secret"
    assert not (tmp_path / NOTICE_NAME).exists()


def test_a_real_processs_root(tmp_path: Path) -> None:
    place = tmp_path.resolve()
    assert notify_file(os.getpid(), str(place), b"x").verdict == "done"
    assert (place / NOTICE_NAME).read_bytes() == b"x"


# --- the guard itself

PROTECT = """
import json, os, resource
from memguard.kernel import selfguard
found = {applied.measure: applied.ok for applied in selfguard.protect()}
status = open("/proc/self/status").read()
found["locked kB"] = int(status.split("VmLck:")[1].split()[0])
found["policy"] = os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK
found["adj"] = int(open("/proc/self/oom_score_adj").read())
found["files"] = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
print(json.dumps(found))
"""


def test_protect_says_what_took_and_it_did() -> None:
    import json

    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    output = subprocess.run([sys.executable, "-c", PROTECT], capture_output=True, check=True, env=environment).stdout
    found = json.loads(output)
    assert found["memory lock"] == (found["locked kB"] > 0)
    assert found["real-time scheduling"] == (found["policy"] == os.SCHED_FIFO)
    assert found["oom_score_adj"] == (found["adj"] <= selfguard.OOM_SCORE_ADJ)
    assert found["open files"] == (found["files"] >= selfguard.OPEN_FILES)
    assert ("nice" in found) != found["real-time scheduling"]
    assert found["no network"]
    assert found["no prying"]


def test_a_measure_that_fails_says_what_it_needs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(*_: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "sched_setscheduler", fail)
    monkeypatch.setattr(os, "setpriority", fail)
    monkeypatch.setattr(selfguard, "mlockall", fail)
    for applied, need in (
        (selfguard.schedule_real_time(), "CAP_SYS_NICE"),
        (selfguard.set_nice(), "CAP_SYS_NICE"),
        (selfguard.lock_memory(), "CAP_IPC_LOCK"),
        (selfguard.set_oom_score_adj(proc=str(tmp_path)), "CAP_SYS_RESOURCE"),
    ):
        assert not applied.ok
        assert need in applied.detail


def test_a_lower_oom_score_adj_stays(tmp_path: Path) -> None:
    (tmp_path / "self").mkdir()
    file = tmp_path / "self/oom_score_adj"
    file.write_text("-1000\n")
    assert selfguard.set_oom_score_adj(proc=str(tmp_path)).value == -1000
    assert file.read_text() == "-1000\n"
    file.write_text("0\n")
    assert selfguard.set_oom_score_adj(proc=str(tmp_path)).ok
    assert file.read_text() == "-999\n"
