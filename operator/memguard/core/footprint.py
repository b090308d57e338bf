"""What a container costs in memory, and what ending it would give back: three different figures.

- the footprint is what it is *charged* for in the score: page cache counts nothing, swap counts in full
- unreclaimable is what stands against a limit: the kernel cannot get it back without swap
- freed is what a kill really returns to a domain: memory that outlives the container does not count
"""

from __future__ import annotations

from memguard.core.model import Container, Memory

#: Shared memory is weighted below private memory: other users may keep it alive (docs/score.md).
SHMEM_WEIGHT = 0.8
#: Address space alone costs page tables at most; 2 % of anon bounds programs that reserve terabytes (Go, JVM).
VIRTUAL_WEIGHT = 0.0005
VIRTUAL_CAP_OF_ANON = 0.02


def private(memory: Memory) -> int:
    """Bytes of anonymous memory; where memory.stat is not known, everything that is not known to be something else."""
    if memory.anon_bytes is not None:
        return memory.anon_bytes
    # file contains shmem, kernel contains slab; sock is charged beside them (Documentation/admin-guide/cgroup-v2)
    cache = memory.shmem_bytes or 0 if memory.file_bytes is None else memory.file_bytes
    return max(0, memory.current_bytes - cache - (memory.kernel_bytes or 0) - (memory.sock_bytes or 0))


def kernel(memory: Memory) -> int:
    """Bytes of kernel and socket memory that reclaim cannot return (compressed zswap is in it)."""
    return max(0, (memory.kernel_bytes or 0) - (memory.slab_reclaimable_bytes or 0)) + (memory.sock_bytes or 0)


def swapped(memory: Memory) -> int:
    """Bytes on swap devices: memory.swap.current also counts slots whose pages are held in zswap."""
    return max(0, (memory.swap_bytes or 0) - (memory.zswap_bytes or 0))


def footprint(memory: Memory) -> int:
    """F of the score, in bytes: what this container takes from others."""
    anon = private(memory)
    virtual = min(VIRTUAL_WEIGHT * (memory.virtual_bytes or 0), VIRTUAL_CAP_OF_ANON * anon)
    return int(anon + SHMEM_WEIGHT * (memory.shmem_bytes or 0) + kernel(memory) + swapped(memory) + virtual)


def unreclaimable(memory: Memory) -> int:
    """Bytes charged that reclaim cannot return without swap: what counts against memory.max."""
    shmem = memory.shmem_bytes or 0
    if memory.file_bytes is None:
        return min(memory.current_bytes, private(memory) + shmem + kernel(memory))
    cache = max(0, memory.file_bytes - shmem)
    return max(0, memory.current_bytes - cache - (memory.slab_reclaimable_bytes or 0))


def lasting(container: Container) -> bool:
    """May its shared memory outlive it? True for pods with a memory-backed emptyDir or a shared /dev/shm."""
    return bool(container.memory_volumes)


def freed(container: Container, *, swap_counts: bool, with_pod: bool = False) -> int:
    """Bytes that a kill gives back to a domain; `swap_counts` where the domain's headroom contains swap.

    Dying shared memory cannot be told from lasting shared memory, so none is expected where a volume may hold it,
    unless it ends `with_pod`: an eviction takes the volumes too.
    """
    memory = container.memory
    shmem = 0 if lasting(container) and not with_pod else memory.shmem_bytes or 0
    swap = swapped(memory) if swap_counts else 0
    return private(memory) + shmem + kernel(memory) + swap


def share_on(container: Container, numa_node: int) -> float:
    """Ratio of the container's memory that lives on one NUMA node (0 where memory.numa_stat is not known)."""
    held = container.numa_bytes or {}
    total = sum(held.values())
    return held.get(str(numa_node), 0) / total if total else 0.0
