"""KernelFile: open once, vanished is None, recreated is not mistaken."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from tests.kernel_files.trees import remove_cgroup

from memguard.errors import KernelFileError, UnfitError
from memguard.kernel.files import Directory, KernelFile, read_once


def test_reads_the_present_content_through_one_descriptor(tmp_path: Path) -> None:
    (tmp_path / "memory.current").write_text("1\n")
    file = KernelFile("memory.current", Directory(str(tmp_path)))
    assert file.read() == b"1\n"
    descriptor = file.fileno()
    (tmp_path / "memory.current").write_text("22\n")
    assert file.read() == b"22\n"
    assert file.fileno() == descriptor
    file.close()
    assert not file.is_open


@pytest.mark.parametrize("size", [0, 1, 3071, 3072, 4096, 8191, 8192, 8193, 100_000])
def test_reads_everything_whatever_the_size(tmp_path: Path, size: int) -> None:
    content = bytes(i % 251 for i in range(size))
    (tmp_path / "cgroup.procs").write_bytes(content)
    assert read_once(str(tmp_path / "cgroup.procs")) == content


def test_reads_a_file_whose_reads_stop_at_a_page(tmp_path: Path) -> None:
    """/proc/vmstat is a seq file longer than a page: one pread stops before its end."""
    content = read_once("/proc/vmstat")
    assert content is not None
    assert content.endswith(b"\n")
    assert len(content.splitlines()) == len(Path("/proc/vmstat").read_text().splitlines())


def test_a_recreated_directory_is_never_mistaken(tmp_path: Path) -> None:
    place = tmp_path / "web"
    place.mkdir()
    (place / "memory.current").write_text("1\n")
    held = Directory(str(place))
    early, late = KernelFile("memory.current", held), KernelFile("memory.current", held)
    assert early.read() == b"1\n"
    remove_cgroup(place)
    place.mkdir()
    (place / "memory.current").write_text("999\n")
    assert early.read() != b"999\n"
    assert late.read() is None
    assert late.absence == "missing"
    assert not late.write(b"5")
    assert (place / "memory.current").read_text() == "999\n"


def test_absence_says_why(tmp_path: Path) -> None:
    gone = Directory(str(tmp_path / "gone"))
    assert gone.inode is None
    file = KernelFile("memory.current", gone)
    assert (file.read(), file.absence) == (None, "vanished")
    assert (KernelFile("memory.current", gone).head(5), file.fileno()) == (None, -1)
    here = Directory(str(tmp_path))
    file = KernelFile("memory.peak", here)
    assert (file.read(), file.absence) == (None, "missing")
    here.close()
    assert (file.read(), file.absence) == (None, "vanished")
    assert here.fd == -1


@pytest.mark.parametrize(
    ("code", "absence"),
    [
        (errno.ENODEV, "vanished"),
        (errno.ENOENT, "missing"),
        (errno.ESRCH, "vanished"),
        (errno.EOPNOTSUPP, "unsupported"),
        (errno.ENOSYS, "unsupported"),
        (errno.EACCES, "denied"),
        (errno.EPERM, "denied"),
        (errno.EROFS, "denied"),
    ],
)
def test_a_read_that_fails_under_our_feet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, absence: str
) -> None:
    (tmp_path / "f").write_text("1\n")
    file = KernelFile(str(tmp_path / "f"))
    assert file.read() == b"1\n"

    def fail(*_: object) -> bytes:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "pread", fail)
    assert (file.read(), file.absence) == (None, absence)
    assert file.head(3) is None
    assert file.is_open, "a polled descriptor's number must not pass to another file"


def test_any_other_failure_names_the_file(tmp_path: Path) -> None:
    file = KernelFile(str(tmp_path), flags=os.O_RDONLY | os.O_DIRECTORY)
    with pytest.raises(KernelFileError, match=f"{tmp_path}.*Is a directory"):
        file.read()


def test_a_vanished_process_is_a_value() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    file = KernelFile(f"/proc/{pid}/statm")
    assert file.read() is not None
    os.waitpid(pid, 0)
    assert (file.read(), file.absence) == (None, "vanished")


def test_write_returns_false_for_what_is_gone(tmp_path: Path) -> None:
    file = KernelFile("memory.high", Directory(str(tmp_path)), os.O_WRONLY)
    assert not file.write(b"max")
    (tmp_path / "memory.high").write_text("")
    assert file.write(b"max")
    assert (tmp_path / "memory.high").read_text() == "max"


@pytest.mark.parametrize("code", [errno.EACCES, errno.EPERM, errno.EROFS, errno.EINVAL, errno.EBUSY, errno.EIO])
def test_a_refused_write_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    (tmp_path / "memory.high").write_text("")
    file = KernelFile("memory.high", Directory(str(tmp_path)), os.O_WRONLY)

    def fail(*_: object) -> int:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "pwrite", fail)
    assert file.attempt(b"1") == code
    with pytest.raises(UnfitError, match=r"memory\.high: write refused: .*\. \w+"):
        file.write(b"1")


def test_a_read_only_tree_refuses_to_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "memory.high").write_text("")
    file = KernelFile("memory.high", Directory(str(tmp_path)), os.O_WRONLY)

    def fail(*_: object, **__: object) -> int:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(os, "open", fail)
    assert file.attempt(b"1") == errno.EROFS
    assert (file.fileno(), file.absence) == (-1, "denied")
    with pytest.raises(UnfitError, match="read-write"):
        file.write(b"1")


def test_running_out_of_descriptors_is_no_absence(tmp_path: Path) -> None:
    import resource

    (tmp_path / "f").write_text("1\n")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    probe = os.open("/dev/null", os.O_RDONLY)
    resource.setrlimit(resource.RLIMIT_NOFILE, (probe, hard))
    try:
        os.close(probe)
        blocker = [os.dup(0) for _ in range(_room(probe))]
        with pytest.raises(UnfitError, match="RLIMIT_NOFILE"):
            KernelFile(str(tmp_path / "f")).read()
        for fd in blocker:
            os.close(fd)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _room(limit: int) -> int:
    return limit - len([fd for fd in range(limit) if _is_open(fd)])


def _is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True
