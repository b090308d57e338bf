"""What only a real kernel can show, run inside the virtual machine by test_in_machine.py: one JSON line per case.

Runs as root with MG_CGROUP and MG_KUBEPODS (see tests/machine); needs nothing but the package and the standard library.
"""

from __future__ import annotations

import errno
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from memguard.kernel import selfguard
from memguard.kernel.brake import Line
from memguard.kernel.cgroup import SCAN, Cgroup
from memguard.kernel.compaction import KNOB, allow_moves
from memguard.kernel.files import UNLIMITED
from memguard.kernel.freeze import Freeze
from memguard.kernel.host import cgroup_version, controllers
from memguard.kernel.kill import Kill
from memguard.kernel.notify import NOTICE_NAME, notify_file
from memguard.kernel.psi import Trigger, arm_trigger
from memguard.kernel.reclaim import reclaim
from memguard.kernel.record import XATTRS, Records
from memguard.kernel.signals import init_pids, signal_init
from memguard.kernel.sweep import janitor
from memguard.kernel.tree import Tree

MIB = 1 << 20
ROOT = os.environ.get("MG_CGROUP", "/sys/fs/cgroup")
KUBEPODS = Path(os.environ.get("MG_KUBEPODS", f"{ROOT}/kubepods.slice"))
BASE = os.path.relpath(KUBEPODS, ROOT)
RUN_DIR = "/run/memguard-levers"

READINGS = (
    "current", "unreclaimable", "stat", "events", "events_local", "pressure", "max", "high", "min", "low", "peak",
    "swap_current", "swap_max", "oom_group", "cpu_seconds", "nice", "populated", "frozen", "freeze_requested",
    "descendants", "numa_bytes", "pids",
)  # fmt: skip

HOG = """
import mmap, sys, time
size = int(sys.argv[1]) << 20
memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
for at in range(0, size, 4096): memory[at] = 1
print("full", flush=True)
time.sleep(600)
"""

GUARD = """
import sys, time
from memguard.kernel.brake import Line
from memguard.kernel.cgroup import Cgroup
from memguard.kernel.freeze import Freeze
from memguard.kernel.record import Records
records = Records(sys.argv[3])
assert records.claim()
cgroup = Cgroup(sys.argv[1], sys.argv[2])
assert Line(cgroup, records).arm(90 << 20).ok
assert Freeze(cgroup, records).hold().ok
print("armed", flush=True)
time.sleep(600)
"""


def run_in(cgroup: Cgroup, *command: str, below: str = "") -> subprocess.Popen[bytes]:
    place = f"{ROOT}/{cgroup.path}{below}/cgroup.procs"
    shell = f'echo $$ > {place}; exec "$@"'
    return subprocess.Popen(["sh", "-c", shell, "sh", *command], stdout=subprocess.PIPE)


def hog(cgroup: Cgroup, mebibytes: int, *, wait: bool = True) -> subprocess.Popen[bytes]:
    process = run_in(cgroup, sys.executable, "-c", HOG, str(mebibytes))
    assert process.stdout is not None
    if wait:
        assert process.stdout.readline() == b"full\n"
    return process


def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "never came true"
        time.sleep(0.005)


def killed(cgroup: Cgroup) -> None:
    """Kill it, and wait for its end."""
    work = Kill(cgroup)
    assert work.strike().verdict == "done"
    until(work.done)
    assert cgroup.populated() is False


@contextmanager
def scratch(name: str) -> Iterator[Cgroup]:
    """A cgroup below kubepods, prepared; whatever is in it at the end is killed."""
    directory = KUBEPODS / name
    directory.mkdir()
    cgroup = Cgroup(f"{BASE}/{name}", ROOT, kept=SCAN)
    assert cgroup.prepare()
    try:
        yield cgroup
    finally:
        cgroup.close()
        for path in [Path(place) for place, _, _ in os.walk(directory, topdown=False)]:
            if (path / "cgroup.type").read_text() != "threaded\n":
                (path / "cgroup.kill").write_text("1")
                until(lambda path=path: "populated 0" in (path / "cgroup.events").read_text())  # type: ignore[misc]
            path.rmdir()


@contextmanager
def recorded() -> Iterator[Records]:
    records = Records(RUN_DIR)
    try:
        assert records.claim()
        yield records
        assert records.holds() == []
    finally:
        records.close()
        shutil.rmtree(RUN_DIR, ignore_errors=True)


def own_path() -> str:
    return next(line[3:] for line in Path("/proc/self/cgroup").read_text().splitlines() if line.startswith("0::"))


def ours(cgroup: Cgroup) -> set[str]:
    return set(os.listxattr(f"{ROOT}/{cgroup.path}")) & set(XATTRS.values())


def case_the_host_is_fit() -> None:
    assert cgroup_version(ROOT) == "v2"
    assert {"memory", "cpu", "pids"} <= set(controllers(ROOT))


def case_every_reading_is_there() -> None:
    with scratch("readings") as cgroup:
        hog(cgroup, 30)
        missing = [name for name in READINGS if getattr(cgroup, name)() is None]
        assert missing == [], missing
        assert Cgroup("", ROOT).cpuset_mems() == "0"
        assert (cgroup.current() or 0) > 30 * MIB
        assert (cgroup.unreclaimable() or 0) > 30 * MIB
        assert (cgroup.numa_bytes() or {}).get(0, 0) > 20 * MIB


def case_a_line_is_armed_moved_and_lifted() -> None:
    with scratch("line") as cgroup, recorded() as records:
        hog(cgroup, 40)
        line = Line(cgroup, records)
        assert line.arm(100 * MIB).verdict == "done"
        assert cgroup.high() == 100 * MIB
        assert ours(cgroup) == {XATTRS["line"]}
        clamped = line.arm(5 * MIB)
        assert clamped.verdict == "done"
        assert (clamped.value_bytes or 0) >= 40 * MIB
        assert cgroup.high() == clamped.value_bytes
        assert line.lift().verdict == "done"
        assert cgroup.high() == UNLIMITED
        assert ours(cgroup) == set()


def case_another_writer_wins_and_a_reset_does_not() -> None:
    with scratch("writer") as cgroup, recorded() as records:
        line = Line(cgroup, records)
        line.arm(80 * MIB)
        (KUBEPODS / "writer/memory.high").write_text(str(60 * MIB))
        assert line.check().verdict == "foreign"
        (KUBEPODS / "writer/memory.high").write_text("max")
        assert line.arm(80 * MIB).verdict == "done"
        (KUBEPODS / "writer/memory.high").write_text("max")
        assert line.check().verdict == "done"
        assert cgroup.high() == 80 * MIB
        line.lift()


def case_the_bell_rings_and_the_hold_holds() -> None:
    with scratch("bell") as cgroup, recorded() as records:
        line, freeze = Line(cgroup, records), Freeze(cgroup, records)
        assert line.arm(50 * MIB).ok
        assert cgroup.events_local() is not None, "the first reading arms the notification"
        bell = select.poll()
        bell.register(cgroup.file("memory.events.local").fileno(), select.POLLPRI)
        assert bell.poll(50) == []
        hog(cgroup, 400, wait=False)
        assert bell.poll(60_000)
        events = cgroup.events_local()
        assert events is not None
        assert events.high > 0
        assert freeze.hold().verdict == "done"
        until(lambda: cgroup.frozen() is True, 5)
        before = cgroup.current() or 0
        time.sleep(0.2)
        assert (cgroup.current() or 0) - before < MIB
        held = cgroup.current() or 0
        killed(cgroup)
        assert held - (cgroup.current() or 0) > 40 * MIB
        assert freeze.release().ok
        assert line.lift().ok


def case_a_freeze_is_thawed() -> None:
    with scratch("thaw") as cgroup, recorded() as records:
        hog(cgroup, 5)
        freeze = Freeze(cgroup, records)
        freeze.hold()
        until(lambda: cgroup.frozen() is True, 5)
        assert ours(cgroup) == {XATTRS["freeze"]}
        assert freeze.release().verdict == "done"
        until(lambda: cgroup.frozen() is False)
        assert ours(cgroup) == set()
        assert cgroup.populated()


def case_a_swarm_is_killed_whole() -> None:
    with scratch("swarm") as cgroup:
        for _ in range(10):
            hog(cgroup, 5)
        assert len(cgroup.pids() or ()) == 10
        held = cgroup.current() or 0
        killed(cgroup)
        assert held - (cgroup.current() or 0) > 50 * MIB


def case_the_dying_are_listed_until_their_memory_is_gone() -> None:
    """So that process_mrelease finds its targets after the kill, and nothing is opened before it."""
    with scratch("dying") as cgroup:
        hog(cgroup, 300)
        work = Kill(cgroup)
        assert work.strike().ok
        end = time.monotonic() + 30
        while True:
            pids, current = cgroup.pids(), cgroup.current()
            if not pids:
                break
            assert time.monotonic() < end
        assert current is not None
        assert current < 30 * MIB
        assert work.done()


def case_memory_of_the_dying_is_released() -> None:
    with scratch("release") as cgroup:
        hog(cgroup, 300)
        work = Kill(cgroup)
        assert work.strike().ok
        work.release_memory()
        until(work.done)
        assert (cgroup.current() or 0) < 30 * MIB


def case_everything_of_a_vanished_cgroup_is_none() -> None:
    directory = KUBEPODS / "vanish"
    directory.mkdir()
    cgroup = Cgroup(f"{BASE}/vanish", ROOT, kept=SCAN)
    cgroup.prepare()
    early = [name for name in READINGS if getattr(cgroup, name)() is None]
    assert early == [], early
    with recorded() as records:
        line, freeze = Line(cgroup, records), Freeze(cgroup, records)
        assert line.arm(100 * MIB).ok
        assert freeze.hold().ok
        bell = select.poll()
        bell.register(cgroup.file("memory.events.local").fileno(), select.POLLPRI)
        directory.rmdir()
        left = {name: value for name in READINGS if (value := getattr(cgroup, name)()) is not None}
        assert left == {}
        assert not cgroup.alive()
        assert not cgroup.prepare()
        assert bell.poll(1000)[0][1] & select.POLLERR
        assert line.arm(50 * MIB).verdict == "vanished"
        assert freeze.release().verdict == "vanished"
        assert freeze.hold().verdict == "vanished"
    assert Kill(cgroup).strike().verdict == "vanished"
    assert reclaim(cgroup, MIB).verdict == "vanished"
    assert signal_init(cgroup).verdict == "vanished"
    trigger = arm_trigger("memory.pressure", threshold_seconds=0.1, window_seconds=1, directory=cgroup.directory)
    assert trigger == "vanished"
    directory.mkdir()
    assert cgroup.current() is None, "a directory of the same name is not the same cgroup"
    assert not cgroup.write("cgroup.freeze", b"1")
    assert Cgroup(f"{BASE}/vanish", ROOT).freeze_requested() is False
    directory.rmdir()
    cgroup.close()


def case_reclaim_frees_page_cache() -> None:
    with scratch("reclaim") as cgroup:
        reader = run_in(
            cgroup, "sh", "-c", "cat /usr/bin/* /usr/lib/x86_64-linux-gnu/* >/dev/null 2>&1; echo full; cat"
        )
        assert reader.stdout is not None
        reader.stdout.readline()
        assert (cgroup.current() or 0) > 20 * MIB
        some = reclaim(cgroup, 5 * MIB)
        assert some.verdict == "done"
        assert (some.value_bytes or 0) > 4 * MIB
        more = reclaim(cgroup, 100_000 * MIB)
        assert more.verdict == "timeout", "EAGAIN is a partial success"
        assert (more.value_bytes or 0) > MIB


def case_a_janitor_undoes_what_a_killed_guard_left() -> None:
    for lost in (False, True):
        with scratch(f"janitor{int(lost)}") as cgroup:
            hog(cgroup, 20)
            command = [sys.executable, "-c", GUARD, cgroup.path, ROOT, RUN_DIR]
            with subprocess.Popen(command, stdout=subprocess.PIPE) as guard:
                assert guard.stdout is not None
                assert guard.stdout.readline() == b"armed\n"
                assert cgroup.high() == 90 * MIB
                assert cgroup.freeze_requested()
                guard.kill()
                guard.wait()
                if lost:
                    shutil.rmtree(RUN_DIR)
                swept = janitor(ROOT, RUN_DIR)
            assert (swept.lifted, swept.thawed, swept.problems) == (1, 1, ())
            assert cgroup.high() == UNLIMITED
            assert not cgroup.freeze_requested()
            assert ours(cgroup) == set()
            shutil.rmtree(RUN_DIR)


def case_a_signal_reaches_init() -> None:
    with scratch("signal") as cgroup:
        init = run_in(cgroup, "sh", "-c", 'trap "exit 7" TERM; sleep 600 & echo up; wait')
        assert init.stdout is not None
        init.stdout.readline()
        assert init_pids(cgroup) == [init.pid]
        assert signal_init(cgroup, signal.SIGTERM).verdict == "done"
        assert init.wait(30) == 7
        assert len(cgroup.pids() or ()) == 1


def case_nested_cgroups_are_the_containers() -> None:
    with scratch("nested") as cgroup:
        (KUBEPODS / "nested/a/b").mkdir(parents=True)
        process = run_in(cgroup, "sleep", "600", below="/a/b")
        until(lambda: cgroup.pids() == [process.pid])
        killed(cgroup)
        assert process.wait(30) == -signal.SIGKILL


def case_a_threaded_cgroup_refuses_cgroup_kill() -> None:
    with scratch("threads") as cgroup:
        (KUBEPODS / "threads/t").mkdir()
        (KUBEPODS / "threads/t/cgroup.type").write_text("threaded")
        threaded = Cgroup(f"{cgroup.path}/t", ROOT)
        assert threaded.pids() == []
        assert threaded.writer("cgroup.kill").attempt(b"1") == errno.EOPNOTSUPP
        threaded.close()


def case_never_our_own_cgroup() -> None:
    home = own_path()
    with scratch("self") as cgroup, recorded() as records:
        (KUBEPODS / "self/inner").mkdir()
        (KUBEPODS / "self/inner/cgroup.procs").write_text(str(os.getpid()))
        try:
            fresh = Cgroup(cgroup.path, ROOT)
            assert Freeze(fresh, records).hold().verdict == "refused"
            assert Kill(fresh).strike().verdict == "refused"
        finally:
            Path(f"{ROOT}{home}/cgroup.procs").write_text(str(os.getpid()))


def case_a_read_only_tree_does_no_harm() -> None:
    with scratch("readonly") as cgroup, recorded() as records:
        process = hog(cgroup, 5)
        subprocess.run(["mount", "-o", "bind", ROOT, "/mnt"], check=True)
        subprocess.run(["mount", "-o", "remount,bind,ro", "/mnt"], check=True)
        try:
            seen = Cgroup(cgroup.path, "/mnt")
            assert (seen.current() or 0) > 5 * MIB
            for outcome in (Line(seen, records).arm(50 * MIB), Freeze(seen, records).hold(), Kill(seen).strike()):
                assert outcome.verdict == "refused"
                assert "Read-only" in outcome.detail
            seen.close()
        finally:
            subprocess.run(["umount", "/mnt"], check=True)
        assert process.poll() is None


def case_the_tree_tells_who_comes_and_goes() -> None:
    pod = KUBEPODS / "kubepods-pod3f0a1c52_7a9b_4c1d_8e2f_0123456789ab.slice"
    container = pod / f"cri-containerd-{5:064x}.scope"
    slice_of_ours, _, unit = own_path().lstrip("/").rpartition("/")
    tree = Tree(ROOT, extra=[slice_of_ours])
    assert ("added", f"{slice_of_ours}/{unit}") in [(change.kind, change.path) for change in tree.start()]
    (container / "nested").mkdir(parents=True)
    added = [(change.kind, change.path) for change in tree.changes() if change.container]
    assert added == [("added", os.path.relpath(container, ROOT))]
    for place in (container / "nested", container, pod):
        place.rmdir()
    removed = [(change.kind, change.path) for change in tree.changes()]
    assert removed == [("removed", os.path.relpath(place, ROOT)) for place in (container, pod)]
    assert tree.complete
    tree.close()


def case_triggers() -> None:
    with scratch("psi") as cgroup:
        for seconds in (0.5, 2.0):
            trigger = arm_trigger(
                "memory.pressure",
                threshold_seconds=seconds / 10,
                window_seconds=seconds,
                directory=cgroup.directory,
            )
            assert isinstance(trigger, Trigger)
            trigger.close()
        refused = arm_trigger("memory.pressure", threshold_seconds=1, window_seconds=20, directory=cgroup.directory)
        assert refused == "window"


def case_notices() -> None:
    with scratch("notice") as cgroup:
        process = hog(cgroup, 2)
        assert notify_file(process.pid, "/run", b"short").verdict == "done"
        assert Path("/run", NOTICE_NAME).read_bytes() == b"short"
        Path("/run", NOTICE_NAME).unlink()


def case_the_guard_protects_itself() -> None:
    code = "from memguard.kernel.selfguard import protect\nassert all(applied.ok for applied in protect()), protect()\n"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert selfguard.OOM_SCORE_ADJ == -999


def case_compaction_is_kept_from_locked_pages() -> None:
    knob = Path("/proc/sys", KNOB)
    records = Records(RUN_DIR)
    assert knob.read_text() == "1\n"
    assert selfguard.keep_pages_in_place("/proc/sys", RUN_DIR).ok
    assert knob.read_text() == "0\n"
    assert allow_moves(RUN_DIR) == ""
    assert knob.read_text() == "1\n"
    records.close()


def cases() -> dict[str, Callable[[], None]]:
    return {name: value for name, value in globals().items() if name.startswith("case_")}


def main() -> None:
    for name, case in cases().items():
        error = None
        try:
            case()
        except Exception:
            error = traceback.format_exc()
        print(json.dumps({"case": name, "error": error}), flush=True)


if __name__ == "__main__":
    main()
