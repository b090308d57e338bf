"""The machine's own files: against fixture content, and against this host's real /proc and /sys."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from memguard.core.model import Stall, Vmstat
from memguard.errors import KernelFileError
from memguard.kernel.files import Directory, KernelFile
from memguard.kernel.host import cgroup_version, controllers, cpus, uptime_seconds
from memguard.kernel.meminfo import MeminfoFile, parse_meminfo
from memguard.kernel.numa import NumaFiles, NumaReading, numa_nodes, numa_totals, parse_node
from memguard.kernel.process import oom_score_adj, parse_stat, process, status, usage
from memguard.kernel.psi import Trigger, arm_trigger, read_stall
from memguard.kernel.vmstat import VmstatFile
from memguard.kernel.zram import Zram, read_zram

KIB = 1024
FIXTURES = Path(__file__).parent / "fixtures"

# --- meminfo


def test_meminfo_of_this_host() -> None:
    file = MeminfoFile()
    read = file.read()
    assert 0 < read.free_bytes <= read.total_bytes
    assert 0 < read.available_bytes <= read.total_bytes
    assert read.total_bytes == os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert abs(file.available() - read.available_bytes) < read.total_bytes / 4
    file.close()


def test_meminfo_of_a_node_with_swap_and_zswap() -> None:
    read = parse_meminfo((FIXTURES / "meminfo-6.12").read_bytes(), "meminfo")
    assert read.total_bytes == 2010568 * KIB
    assert read.available_bytes == 1510224 * KIB
    assert (read.swap_total_bytes, read.swap_free_bytes) == (1048572 * KIB, 1048060 * KIB)
    assert (read.zswap_bytes, read.zswapped_bytes) == (12 * KIB, 40 * KIB)
    assert read.shmem_bytes == 6104 * KIB
    assert (read.slab_reclaimable_bytes, read.slab_unreclaimable_bytes) == (30000 * KIB, 25000 * KIB)
    assert read.hugetlb_bytes == 2048 * KIB


def test_lines_that_a_kernel_lacks_are_none() -> None:
    read = parse_meminfo(b"MemTotal: 3 kB\nMemFree: 2 kB\nMemAvailable: 1 kB\n", "meminfo")
    assert (read.available_bytes, read.zswap_bytes, read.hugetlb_bytes) == (KIB, None, None)


@pytest.mark.parametrize("content", ["", "MemTotal: 1 kB\nMemFree: 1 kB\n", "MemAvailable: much kB\n"])
def test_no_available_memory_is_an_error(tmp_path: Path, content: str) -> None:
    (tmp_path / "meminfo").write_text(content)
    file = MeminfoFile(str(tmp_path))
    with pytest.raises(KernelFileError, match="meminfo"):
        file.available()
    with pytest.raises(KernelFileError, match="meminfo"):
        file.read()


# --- vmstat, zram, NUMA


def test_vmstat_of_this_host() -> None:
    content = dict(line.split() for line in Path("/proc/vmstat").read_text().splitlines())
    read = VmstatFile().read()
    assert read is not None
    assert read.pgscan_kswapd >= int(content["pgscan_kswapd"])
    assert read.oom_kill >= int(content["oom_kill"])


def test_vmstat(tmp_path: Path) -> None:
    (tmp_path / "vmstat").write_text(
        "pgsteal_kswapd 1\npgsteal_direct 2\npgscan_kswapd 3\npgscan_direct 4\noom_kill 5\n"
    )
    expected = Vmstat(pgsteal_kswapd=1, pgsteal_direct=2, pgscan_kswapd=3, pgscan_direct=4, oom_kill=5)
    assert VmstatFile(str(tmp_path)).read() == expected
    assert VmstatFile(str(tmp_path / "none")).read() is None


def test_zram(tmp_path: Path) -> None:
    device = tmp_path / "block/zram0"
    device.mkdir(parents=True)
    (tmp_path / "block/vda").mkdir()
    assert read_zram(str(tmp_path)) == ()
    (device / "mm_stat").write_text("  4096000  1000000  1200000  0  1300000  5  0  0  0\n")
    assert read_zram(str(tmp_path)) == (Zram("zram0", 4096000, 1000000, 1200000),)
    assert read_zram(str(tmp_path / "none")) == ()
    read_zram()


NODE = (
    "Node {n} MemTotal:        4548828 kB\nNode {n} MemFree:         3679120 kB\nNode {n} Active(file):    342288 kB\n"
    "Node {n} Inactive(file):  336744 kB\nNode {n} FilePages:       680000 kB\nNode {n} SReclaimable:     1000 kB\n"
)


def test_numa(tmp_path: Path) -> None:
    for node in (0, 10):
        directory = tmp_path / f"devices/system/node/node{node}"
        directory.mkdir(parents=True)
        (directory / "meminfo").write_text(NODE.format(n=node))
    (tmp_path / "devices/system/node/online").write_text("0,10\n")
    assert numa_nodes(str(tmp_path)) == [0, 10]
    files = NumaFiles(str(tmp_path))
    sizes = (4548828 * KIB, 3679120 * KIB, 342288 * KIB, 336744 * KIB, 1000 * KIB)
    assert files.read() == (NumaReading(0, *sizes), NumaReading(10, *sizes))
    files.close()
    assert NumaFiles(str(tmp_path / "none")).read() == ()
    with pytest.raises(KernelFileError, match=r"node0/meminfo: .*Active\(file\)"):
        parse_node(b"Node 0 MemTotal: 1 kB\nNode 0 MemFree: 1 kB\n", 0, "node0/meminfo")
    with pytest.raises(KernelFileError, match="node0/meminfo:2: b'MemFree: much' is not a size in kB"):
        parse_node(b"Node 0 MemTotal: 1 kB\nNode 0 MemFree: much kB\n", 0, "node0/meminfo")


def test_numa_of_this_host() -> None:
    for node in NumaFiles().read():
        line = Path(f"/sys/devices/system/node/node{node.node}/meminfo").read_text().splitlines()[0]
        assert line.split()[2:] == ["MemTotal:", str(node.total_bytes // KIB), "kB"]
        assert 0 <= node.free_bytes <= node.total_bytes


def test_numa_totals_never_count_twice() -> None:
    data = (
        b"anon N0=4096 N1=8192\nfile N0=1 N1=2\nshmem N0=1 N1=2\ninactive_anon N0=4096 N1=8192\nslab_reclaimable N0=7\n"
    )
    assert numa_totals(data, "f") == {0: 4096 + 1 + 7, 1: 8192 + 2}


# --- PSI


def test_stall(tmp_path: Path) -> None:
    path = tmp_path / "memory"
    path.write_text(
        "some avg10=1.00 avg60=0.00 avg300=0.00 total=2500000\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=10\n"
    )
    assert read_stall(KernelFile(str(path))) == Stall(some_total_seconds=2.5, full_total_seconds=0.00001)
    path.write_text("")
    assert read_stall(KernelFile(str(path))) is None
    assert read_stall(KernelFile(str(tmp_path / "none"))) is None
    path.write_text("some avg10=1.00\nfull avg10=1.00 total=5\n")
    with pytest.raises(KernelFileError, match="some"):
        read_stall(KernelFile(str(path)))


def test_pressure_of_this_host() -> None:
    file = KernelFile("/proc/pressure/memory")
    found = read_stall(file)
    assert (found is None) == (file.absence is not None)


def test_a_trigger_is_armed_or_says_why_not(tmp_path: Path) -> None:
    trigger = arm_trigger("/proc/pressure/memory", threshold_seconds=0.15, window_seconds=2.0)
    if isinstance(trigger, Trigger):
        trigger.close()
    else:
        assert not Path("/proc/pressure/memory").exists() or trigger in ("disabled", "denied")
    assert arm_trigger(str(tmp_path / "none"), threshold_seconds=0.15, window_seconds=2.0) == "missing"
    gone = Directory(str(tmp_path / "gone"))
    assert arm_trigger("memory.pressure", threshold_seconds=1, window_seconds=2, directory=gone) == "vanished"


def test_a_window_that_the_kernel_refuses() -> None:
    if not Path("/proc/pressure/memory").exists():
        return
    assert arm_trigger("/proc/pressure/memory", threshold_seconds=1, window_seconds=60) in (
        "window",
        "disabled",
        "denied",
    )


def test_a_trigger_writes_microseconds(tmp_path: Path) -> None:
    (tmp_path / "cgroup.procs").write_text("")
    (tmp_path / "memory.pressure").write_text("")
    held = Directory(str(tmp_path))
    trigger = arm_trigger("memory.pressure", threshold_seconds=0.075, window_seconds=0.5, directory=held)
    assert isinstance(trigger, Trigger)
    trigger.close()
    assert (tmp_path / "memory.pressure").read_bytes() == b"some 75000 500000\0"


# --- processes


def test_our_own_process() -> None:
    found = process(os.getpid())
    assert found is not None
    assert (found.pid, found.parent, found.state) == (os.getpid(), os.getppid(), "R")
    assert found.nice == os.getpriority(os.PRIO_PROCESS, 0)
    assert 0 < found.rss_bytes < found.virtual_bytes
    assert 0 < found.started_seconds <= (uptime_seconds() or 0)
    assert found.oom_score_adj == oom_score_adj(os.getpid())
    held = usage(os.getpid())
    assert held is not None
    assert held.virtual_bytes == pytest.approx(found.virtual_bytes, rel=0.2)
    kinds = status(os.getpid())
    assert kinds is not None
    assert kinds.anon_bytes is not None
    assert kinds.anon_bytes > 0
    assert kinds.page_tables_bytes is not None


def test_a_kernel_thread_has_no_memory() -> None:
    kinds = status(2)
    assert kinds is None or kinds.anon_bytes in (None, 0) or Path("/proc/2/comm").read_text() != "kthreadd\n"


def test_a_name_full_of_traps() -> None:
    trap = "a) R 1 (x\n"
    code = f"import ctypes, sys; ctypes.CDLL(None).prctl(15, {trap.encode()!r}); print(flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        found = process(child.pid)
        assert found is not None
        assert (found.name, found.parent) == (trap, os.getpid())
        child.communicate()


def test_a_process_that_is_gone() -> None:
    with subprocess.Popen(["true"]) as child:
        child.wait()
    for read in (process, usage, status, oom_score_adj):
        assert read(child.pid) is None


def test_a_broken_stat_names_the_file() -> None:
    with pytest.raises(KernelFileError, match="/proc/7/stat"):
        parse_stat(b"7 (x) R\n", "/proc/7/stat")


def test_process_files_that_are_broken(tmp_path: Path) -> None:
    (tmp_path / "7").mkdir()
    for name in ("stat", "statm", "status", "oom_score_adj"):
        (tmp_path / "7" / name).write_text("VmPTE: x kB\n")
    for read, name in (
        (process, "oom_score_adj"),
        (usage, "statm"),
        (status, "status"),
        (oom_score_adj, "oom_score_adj"),
    ):
        with pytest.raises(KernelFileError, match=f"7/{name}"):
            read(7, str(tmp_path))


# --- the host


def test_this_host() -> None:
    assert cpus() == os.cpu_count()
    assert uptime_seconds() == pytest.approx(time.clock_gettime(time.CLOCK_BOOTTIME), abs=5)


def test_cgroup_version_agrees_with_the_mount_table(tmp_path: Path) -> None:
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    types = {fields[1]: fields[2] for fields in mounts if fields[1].startswith("/sys/fs/cgroup")}
    expected = {"cgroup2": "v2", "cgroup": "v1"}.get(types.get("/sys/fs/cgroup", ""))
    if expected is None:
        hybrid = types.get("/sys/fs/cgroup/unified") == "cgroup2"
        expected = "hybrid" if hybrid else "v1" if "/sys/fs/cgroup/memory" in types else "none"
    assert cgroup_version() == expected
    for path, kind in types.items():
        if kind == "cgroup2":
            assert cgroup_version(path) == "v2"
    assert cgroup_version(str(tmp_path / "none")) == "none"


def test_controllers(tmp_path: Path) -> None:
    assert controllers(str(tmp_path)) == ()
    (tmp_path / "cgroup.controllers").write_text("cpuset cpu io memory pids\n")
    assert controllers(str(tmp_path)) == ("cpuset", "cpu", "io", "memory", "pids")
