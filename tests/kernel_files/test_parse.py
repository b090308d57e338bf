"""Numbers out of bytes: right where the kernel is, a typed error for everything else."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import astuple

from memguard.errors import KernelFileError
from memguard.kernel import host, members, meminfo, memory_stat, numa, process, psi, record, vmstat, zram
from memguard.kernel.files import UNLIMITED
from memguard.kernel.parse import cut, digits, field, keys, number, size
from memguard.kernel.paths import holds_containers, is_boundary, parse_container_path

NAMES = st.text("abcdefghij_", min_size=1, max_size=12)
FLAT = st.dictionaries(NAMES, st.integers(0, 2**64 - 1), max_size=30)

PARSERS = {
    "number": number,
    "size": size,
    "cut": lambda data, source: cut(data, keys("anon", "file", "pgscan"), source),
    "memory_stat": memory_stat.memory_stat,
    "memory_events": memory_stat.memory_events,
    "unreclaimable": lambda data, source: memory_stat.unreclaimable(data, 1 << 30, source),
    "stall": psi.stall,
    "meminfo": meminfo.parse_meminfo,
    "node": lambda data, source: numa.parse_node(data, 0, source),
    "numa_totals": numa.numa_totals,
    "vmstat": vmstat.parse_vmstat,
    "mm_stat": lambda data, source: zram.parse_mm_stat(data, "zram0", source),
    "stat": process.parse_stat,
    "pids": members.parse_pids,
}

WORDS = st.sampled_from(
    [b"anon", b"file", b"MemTotal:", b"MemFree:", b"MemAvailable:", b"Node", b"0", b"N0=1", b"N-1=5", b"some", b"full",
     b"total=", b"kB", b"max", b"-1", b"1_0", b"99999999999999999999999", b" ", b"\n", b"\n", b"\0", b"=", b"(", b")",
     b"9" * 5000, b"\xff", b"slab_reclaimable", b"low", b"SReclaimable:"]
)  # fmt: skip
MESS = st.one_of(st.binary(max_size=300), st.lists(WORDS, max_size=40).map(b" ".join), st.lists(WORDS).map(b"".join))


@pytest.mark.parametrize("name", PARSERS)
@given(data=MESS)
@example(data=b"")
@example(data=b"\n")
@example(data=b"9" * 5000)
@example(data=b"some total=" + b"9" * 5000)
@example(data=b"anon -5\nfile 7\n")
def test_parsers_survive_arbitrary_bytes(name: str, data: bytes) -> None:
    source = "/x/some.file"
    with suppress(KernelFileError):
        PARSERS[name](data, source)


@given(data=MESS)
def test_records_survive_arbitrary_bytes(data: bytes) -> None:
    for path in (None, "a/b"):
        hold = record.decode(data, path)
        assert hold is None or hold.kind in ("line", "freeze")


PARTS = ("", "kubepods", "kubepods.slice", "burstable", "a" * 64, "pod" + "0" * 32, "docker", ":", "crio-" + "b" * 64)


@given(path=st.one_of(st.text(max_size=60), st.lists(st.sampled_from(PARTS)).map("/".join)))
def test_paths_survive_arbitrary_text(path: str) -> None:
    found = parse_container_path(path)
    assert found is None or not holds_containers(path)
    assert found is None or not is_boundary(path)


@given(value=st.integers(0, 2**64 - 1))
def test_number_and_size_read_what_the_kernel_writes(value: int) -> None:
    assert number(b"%d\n" % value, "f") == value
    assert size(b"%d\n" % value, "f") == value
    assert digits(b"%d" % value) == value


def test_max_is_larger_than_any_size() -> None:
    assert size(b"max\n", "f") == UNLIMITED > 2**62


@pytest.mark.parametrize("data", [b"", b"\n", b"-1\n", b"abc", b"1 2\n", b"0x10", b"9" * 5000])
def test_what_is_no_number_names_file_and_line(data: bytes) -> None:
    with pytest.raises(KernelFileError) as caught:
        number(data, "/sys/fs/cgroup/web/memory.current")
    assert caught.value.path == "/sys/fs/cgroup/web/memory.current"
    assert caught.value.line == 1


@given(values=FLAT, wanted=st.lists(NAMES, max_size=8))
def test_cut_gives_what_a_dict_would(values: dict[str, int], wanted: list[str]) -> None:
    data = "".join(f"{key} {value}\n" for key, value in values.items()).encode()
    assert cut(data, keys(*wanted), "f") == [values.get(key) for key in wanted]
    for key in wanted:
        assert field(data, key.encode(), "f") == values.get(key)


STAT = memory_stat.STAT_KEYS


@given(values=FLAT, known=st.dictionaries(st.sampled_from(STAT), st.integers(0, 2**64 - 1)), newline=st.booleans())
def test_memory_stat_gives_what_cut_gives(values: dict[str, int], known: dict[Any, int], *, newline: bool) -> None:
    pairs = [(key.encode(), value) for key, value in values.items()]
    pairs += [(needle[1:-1], value) for (needle, _), value in known.items()]
    data = b"\n".join(b"%b %d" % pair for pair in pairs) + b"\n" * newline
    assert astuple(memory_stat.memory_stat(data, "f")) == tuple(cut(data, STAT, "f"))


def test_cut_names_the_line_that_is_wrong() -> None:
    with pytest.raises(KernelFileError) as caught:
        cut(b"anon 1\nfile x\nkernel 2\n", keys("anon", "file"), "memory.stat")
    assert caught.value.line == 2


def test_a_key_is_never_found_inside_another() -> None:
    data = b"inactive_file 5\nfile 7\nfile_dirty 9\n"
    assert cut(data, keys("file", "file_dirty", "dirty"), "f") == [7, 9, None]


def test_uptime(tmp_path: Path) -> None:
    (tmp_path / "uptime").write_text("12.5 3.0\n")
    assert host.uptime_seconds(str(tmp_path)) == 12.5
    (tmp_path / "uptime").write_text("soon\n")
    with pytest.raises(KernelFileError, match="uptime"):
        host.uptime_seconds(str(tmp_path))
