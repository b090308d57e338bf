import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.make import GIB, MIB, changed, container, memory
from tests.core.strategies import memories, sizes

from memguard.core.footprint import footprint, freed, kernel, lasting, private, share_on, swapped, unreclaimable
from memguard.core.model import Memory, MemoryVolume

EMPTY_DIR = (MemoryVolume(kind="emptyDir"),)

# Each row: what is held, and what it costs others
FOOTPRINTS = [
    ("nothing", {}, 0),
    ("anonymous memory counts in full", {"anon": 100}, 100),
    ("shared memory counts four fifths", {"anon": 100, "shmem": 50, "file": 50}, 140),
    ("page cache counts nothing", {"anon": 100, "file": 10**9}, 100),
    ("kernel memory counts without what reclaim returns", {"anon": 100, "kernel": 70, "slab_reclaimable": 30}, 140),
    ("socket buffers count", {"anon": 100, "sock": 5}, 105),
    ("swap on disk counts in full", {"anon": 100, "swap": 40}, 140),
    ("slots held in zswap are not on disk", {"anon": 100, "swap": 40, "zswap": 30}, 110),
    ("... and what zswap takes is in the kernel's figure", {"anon": 100, "swap": 40, "zswap": 40, "kernel": 12}, 112),
    ("address space alone costs next to nothing", {"anon": 10_000, "virtual": 100_000}, 10_050),
    ("... and at most 2 % of the anonymous memory", {"anon": 10_000, "virtual": 1 << 50}, 10_200),
]


@pytest.mark.row("S1", "E6")
@pytest.mark.parametrize(("words", "held", "expected"), FOOTPRINTS, ids=[row[0] for row in FOOTPRINTS])
def test_footprint(words: str, held: dict[str, int], expected: int) -> None:
    assert footprint(memory(**({"anon": 0} | held))) == expected


@pytest.mark.row("S1")
@pytest.mark.parametrize("field", ["anon", "shmem", "kernel", "sock", "swap", "virtual"])
@given(memories, st.integers(0, GIB))
def test_more_of_anything_held_never_lowers_it(field: str, held: Memory, more: int) -> None:
    # with memory.stat known: without it everything charged counts, whatever it is
    known = changed(held, anon_bytes=held.anon_bytes or 0)
    before = getattr(known, f"{field}_bytes") or 0
    assert footprint(changed(known, **{f"{field}_bytes": before + more})) >= footprint(known)


@pytest.mark.row("S1")
@given(memories, sizes)
def test_cache_never_counts(held: Memory, cache: int) -> None:
    known = changed(held, anon_bytes=held.anon_bytes or 0, file_bytes=0)
    more = changed(known, file_bytes=cache, inactive_file_bytes=cache, current_bytes=known.current_bytes + cache)
    assert footprint(more) == footprint(known)


@pytest.mark.row("S1")
@given(st.integers(0, GIB), st.integers(0, GIB), st.integers(0, GIB), st.integers(0, GIB))
def test_without_memory_stat_the_rest_is_taken_for_anonymous(file: int, kernel: int, sock: int, anon: int) -> None:
    """What is not known is not zero: all that is charged and not known to be something else counts."""
    whole = memory(anon=anon, file=file, kernel=kernel, sock=sock)
    blind = changed(whole, anon_bytes=None)
    assert private(blind) == anon
    assert footprint(blind) == footprint(whole)


@pytest.mark.row("S1")
def test_with_memory_current_alone_nothing_counts_twice() -> None:
    assert footprint(Memory(current_bytes=500)) == 500
    assert footprint(Memory(current_bytes=500, shmem_bytes=100)) == 480
    assert footprint(Memory(current_bytes=500, kernel_bytes=100)) == 500


@pytest.mark.row("E6")
@given(st.integers(0, GIB), st.integers(0, GIB))
def test_what_zswap_holds_is_not_on_a_device(swap: int, zswap: int) -> None:
    assert swapped(memory(swap=swap, zswap=zswap)) == max(0, swap - zswap)
    assert swapped(memory(swap=swap)) == swap
    assert swapped(memory(zswap=zswap)) == 0


def test_kernel_memory_is_never_negative() -> None:
    """memory.stat is not written in one instant: the parts of a sum may be newer than the sum."""
    assert kernel(memory(kernel=10, slab_reclaimable=30)) == 0


# What stands against a limit, and what a kill returns
LIMITS = [
    ("anonymous", {"anon": 100}, 100),
    ("clean cache goes by itself", {"anon": 100, "file": 50}, 100),
    ("shared memory is file, but stays", {"anon": 100, "file": 50, "shmem": 30}, 130),
    ("reclaimable slab goes", {"anon": 100, "kernel": 50, "slab_reclaimable": 20}, 130),
    ("sockets stay", {"anon": 100, "sock": 7}, 107),
]


@pytest.mark.row("E4", "A1")
@pytest.mark.parametrize(("words", "held", "expected"), LIMITS, ids=[row[0] for row in LIMITS])
def test_unreclaimable_is_what_stands_against_a_limit(words: str, held: dict[str, int], expected: int) -> None:
    assert unreclaimable(memory(**held)) == expected


@given(memories)
def test_unreclaimable_is_part_of_what_is_charged(held: Memory) -> None:
    assert 0 <= unreclaimable(held) <= held.current_bytes


FREED = [
    ("private memory", {"anon": 100}, True, 100),
    ("not the cache: it is available already", {"anon": 100, "file": 500}, True, 100),
    ("shared memory of the last user", {"anon": 100, "file": 40, "shmem": 40}, True, 140),
    ("kernel memory, with zswap's in it", {"anon": 100, "kernel": 50}, True, 150),
    ("swap where swap is headroom", {"anon": 100, "swap": 30}, True, 130),
    ("... and not where RAM alone is short", {"anon": 100, "swap": 30}, False, 100),
    ("zswap is not counted twice", {"anon": 100, "swap": 30, "zswap": 30, "kernel": 9}, True, 109),
]


@pytest.mark.row("C3", "E6")
@pytest.mark.parametrize(("words", "held", "swap_counts", "expected"), FREED, ids=[row[0] for row in FREED])
def test_freed_is_what_really_comes_back(words: str, held: dict[str, int], swap_counts: bool, expected: int) -> None:
    assert freed(container(**held), swap_counts=swap_counts) == expected


@pytest.mark.row("E7", "C3")
def test_shared_memory_that_may_outlive_the_container_is_not_promised() -> None:
    hog = container(anon=10 * MIB, shmem=GIB, file=GIB, memory_volumes=EMPTY_DIR)
    assert lasting(hog)
    assert freed(hog, swap_counts=True) == 10 * MIB
    assert freed(hog, swap_counts=True, with_pod=True) == GIB + 10 * MIB


@given(memories, st.booleans())
def test_ending_the_pod_frees_no_less_than_ending_the_container(held: Memory, swap_counts: bool) -> None:
    for volumes in ((), EMPTY_DIR):
        one = container(memory_volumes=volumes)
        one = changed(one, memory=held)
        alone, with_pod = (freed(one, swap_counts=swap_counts, with_pod=whole) for whole in (False, True))
        assert 0 <= alone <= with_pod


@pytest.mark.row("E2")
@pytest.mark.parametrize(
    ("numa", "node", "share"),
    [(None, 0, 0.0), ({}, 0, 0.0), ({"0": 0, "1": 0}, 0, 0.0), ({"0": 30, "1": 10}, 0, 0.75), ({"0": 30}, 1, 0.0)],
)
def test_share_on_a_numa_node(numa: dict[str, int] | None, node: int, share: float) -> None:
    assert share_on(container(numa_bytes=numa), node) == share
