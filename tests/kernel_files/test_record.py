"""Records and the sweep: whatever a dead guard left is undone, and nothing else."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.kernel_files.conftest import PATH
from tests.kernel_files.trees import MIB, make_cgroup, remove_cgroup

from memguard.errors import UnfitError
from memguard.kernel.brake import Line
from memguard.kernel.cgroup import Cgroup
from memguard.kernel.files import UNLIMITED
from memguard.kernel.freeze import Freeze
from memguard.kernel.record import XATTRS, Hold, Records, decode
from memguard.kernel.sweep import Swept, janitor, sweep

NUMBERS = st.integers(0, UNLIMITED)


@given(
    hold=st.builds(
        Hold,
        kind=st.sampled_from(["line", "freeze"]),
        path=st.text(st.characters(exclude_characters="\n\0", exclude_categories=("Cs", "Z", "C")), min_size=1),
        inode=NUMBERS,
        found=NUMBERS,
        written=NUMBERS,
        before=NUMBERS,
    )
)
def test_a_hold_comes_back_as_it_was_noted(hold: Hold) -> None:
    assert decode(hold.encode().ljust(511) + b"\n") == hold
    assert decode(hold.mark(), hold.path) == hold


@pytest.fixture
def run_dir(tmp_path: Path) -> str:
    return str(tmp_path / "run")


def reopened(run_dir: str, records: Records) -> Records:
    records.close()
    return Records(run_dir)


def test_sweep_undoes_what_is_recorded(root: Path, directory: Path, run_dir: str) -> None:
    records = Records(run_dir)
    cgroup = Cgroup(PATH, str(root))
    assert Line(cgroup, records).arm(240 * MIB).ok
    assert Freeze(cgroup, records).hold().ok
    records = reopened(run_dir, records)
    assert sweep(str(root), records) == Swept(lifted=1, thawed=1)
    assert (directory / "memory.high").read_text().strip() == "max"
    assert (directory / "cgroup.freeze").read_text()[0] == "0"
    assert records.holds() == []
    assert not set(os.listxattr(directory)) & set(XATTRS.values())
    assert sweep(str(root), records) == Swept()
    records.close()


def test_sweep_finds_marks_when_the_records_are_lost(root: Path, directory: Path, tmp_path: Path) -> None:
    records = Records(str(tmp_path / "lost"))
    cgroup = Cgroup(PATH, str(root))
    Line(cgroup, records).arm(240 * MIB)
    Freeze(cgroup, records).hold()
    records.close()
    fresh = Records(str(tmp_path / "fresh"))
    assert sweep(str(root), fresh) == Swept(lifted=1, thawed=1)
    assert (directory / "memory.high").read_text().strip() == "max"
    assert not set(os.listxattr(directory)) & set(XATTRS.values())
    fresh.close()


@pytest.mark.parametrize("moment", ["before the first write", "before the second write"])
def test_death_between_record_and_write(
    root: Path, directory: Path, run_dir: str, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    records = Records(run_dir)
    line = Line(Cgroup(PATH, str(root)), records)
    if moment == "before the second write":
        line.arm(240 * MIB)

    class Death(BaseException):
        pass

    def die(*_: object) -> bool:
        raise Death

    with monkeypatch.context() as patch:
        patch.setattr(Cgroup, "write", die)
        with pytest.raises(Death):
            line.arm(250 * MIB)
    records = reopened(run_dir, records)
    assert sweep(str(root), records).problems == ()
    assert (directory / "memory.high").read_text().strip() == "max"
    records.close()


def test_sweep_leaves_a_foreign_value(root: Path, directory: Path, run_dir: str) -> None:
    records = Records(run_dir)
    Line(Cgroup(PATH, str(root)), records).arm(240 * MIB)
    (directory / "memory.high").write_text(f"{235 * MIB}\n")
    records = reopened(run_dir, records)
    assert sweep(str(root), records) == Swept(foreign=1)
    assert (directory / "memory.high").read_text().strip() == str(235 * MIB)
    assert records.holds() == []
    records.close()


def test_sweep_never_touches_a_recreated_cgroup(root: Path, directory: Path, run_dir: str) -> None:
    records = Records(run_dir)
    Line(Cgroup(PATH, str(root)), records).arm(240 * MIB)
    (root / "keeps-the-inode-number-taken").write_text("")
    directory.rename(root / "old")
    make_cgroup(root, PATH, memory__high=f"{240 * MIB}\n")
    remove_cgroup(root / "old")
    records = reopened(run_dir, records)
    assert sweep(str(root), records) == Swept(vanished=1)
    assert (directory / "memory.high").read_text().strip() == str(240 * MIB)
    records.close()


def test_what_cannot_be_undone_stays_recorded(
    root: Path, directory: Path, run_dir: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from memguard.kernel import sweep as sweeping

    records = Records(run_dir)
    Line(Cgroup(PATH, str(root)), records).arm(240 * MIB)
    records = reopened(run_dir, records)

    def fail(*_: object) -> None:
        raise OSError(errno.EROFS, "read-only")

    with monkeypatch.context() as patch:
        patch.setattr(sweeping, "_write", fail)
        assert "could not be undone" in sweep(str(root), records).problems[0]
    assert len(records.holds()) == 1
    assert sweep(str(root), records).lifted == 1
    records.close()


def test_out_of_descriptors_is_not_gone(
    root: Path, directory: Path, run_dir: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = Records(run_dir)
    Line(Cgroup(PATH, str(root)), records).arm(240 * MIB)
    records = reopened(run_dir, records)

    def fail(*_: object, **__: object) -> int:
        raise OSError(errno.ENFILE, os.strerror(errno.ENFILE))

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", fail)
        assert sweep(str(root), records).problems
    assert sweep(str(root), records).lifted == 1
    assert (directory / "memory.high").read_text().strip() == "max"
    records.close()


def test_a_full_record_refuses(root: Path, directory: Path, run_dir: str) -> None:
    records = Records(run_dir)
    cgroup = Cgroup(PATH, str(root))
    hold = Hold("freeze", PATH, 1, 0, 1, 1)
    slots = []
    while (slot := records.note(cgroup, hold)) is not None:
        slots.append(slot)
    assert len(slots) == len(set(slots)) == len(records.holds())
    assert Line(cgroup, records).arm(240 * MIB).verdict == "refused"
    records.clear(slots[0], cgroup, "freeze")
    assert Line(cgroup, records).arm(240 * MIB).ok
    records.close()


def test_a_path_too_long_to_record_is_refused(root: Path, run_dir: str) -> None:
    path = "/".join(["a" * 200] * 3)
    make_cgroup(root, path)
    records = Records(run_dir)
    assert Line(Cgroup(path, str(root)), records).arm(240 * MIB).verdict == "refused"
    records.close()


def test_an_unusable_run_directory_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UnfitError, match="holds"):
        Records(str(tmp_path / "file"))


def test_arming_is_cheap(root: Path, run_dir: str) -> None:
    """Within a millisecond, records and all; the best of several, on a machine that does other things, too."""
    records = Records(run_dir)
    line = Line(Cgroup(PATH, str(root)), records)
    make_cgroup(root, PATH)
    line = Line(Cgroup(PATH, str(root)), records)
    best = 1.0
    for step in range(200):
        start = time.perf_counter()
        assert line.arm(240 * MIB + step * 4096).verdict == "done"
        best = min(best, time.perf_counter() - start)
    assert best < 0.001
    records.close()


GUARD = """
import sys, time
from memguard.kernel.brake import Line
from memguard.kernel.cgroup import Cgroup
from memguard.kernel.freeze import Freeze
from memguard.kernel.record import Records
root, run_dir, path = sys.argv[1:]
records = Records(run_dir)
assert records.claim()
cgroup = Cgroup(path, root)
assert Line(cgroup, records).arm(240 << 20).ok
assert Freeze(cgroup, records).hold().ok
print("armed", flush=True)
time.sleep(600)
"""


def test_a_janitor_undoes_everything_when_the_guard_is_killed(root: Path, directory: Path, run_dir: str) -> None:
    """kill -9 at any moment: the lock falls with the process, and the janitor awakes from it."""
    command = [sys.executable, "-c", GUARD, str(root), run_dir, PATH]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as guard:
        assert guard.stdout is not None
        assert guard.stdout.readline() == b"armed\n"
        records = Records(run_dir)
        assert not records.claim(timeout_seconds=0.05)
        records.close()
        assert (directory / "cgroup.freeze").read_text()[0] == "1"
        guard.send_signal(signal.SIGKILL)
        assert janitor(str(root), run_dir) == Swept(lifted=1, thawed=1)
    assert (directory / "memory.high").read_text().strip() == "max"
    assert (directory / "cgroup.freeze").read_text()[0] == "0"


def test_a_forked_helper_does_not_keep_the_ownership(run_dir: str) -> None:
    code = (
        "import os, sys, time\n"
        "from memguard.kernel.record import Records\n"
        f"records = Records({run_dir!r}); assert records.claim()\n"
        "pid = os.fork()\n"
        "if pid: print(pid, flush=True); os._exit(0)\n"
        "time.sleep(600)\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=environment) as guard:
        assert guard.stdout is not None
        helper = int(guard.stdout.readline())
        guard.wait()
        try:
            records = Records(run_dir)
            assert records.claim(timeout_seconds=5)
            records.close()
        finally:
            os.kill(helper, signal.SIGKILL)
