"""What a Linux node does with the memory its containers want: page cache, watermarks, reclaim, swap, stalls.

Coarse on purpose (bytes, not pages; one step per snapshot), but with the habits that matter to a guard: page cache
fills whatever is free, reclaim takes it back from the inactive first, swap comes when cache runs short, refaults and
swap-ins stall their owners, and MemAvailable is the kernel's own formula. The books always balance: what containers
hold, what the system holds, zram and free add up to the node's memory.
"""

import math
import random
from dataclasses import dataclass, field

from bench.victims.machine import Counters, Machine
from bench.victims.workload import GIB, MIB, Container

PAGE = 4096
ZRAM_RATIO = 3.0
KSWAPD_BYTES_PER_SECOND = 1.5 * GIB
# A refault waits for the disk, some neighbours come along with it.
REFAULT_SECONDS = {"disk": 20e-6, "ram": 3e-6}


@dataclass(slots=True)
class Node:
    """The node's memory, one step at a time."""

    machine: Machine
    containers: list[Container]
    rng: random.Random
    count: Counters = field(default_factory=Counters)
    floor: float = 0.0
    zram: float = 0.0
    psi_noise: float = 0.0
    stall_noise: float = 0.0004
    stalls: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # mapped text and other cache that reclaim doesn't get, a few tenths of a percent
        self.floor = 0.003 * self.machine.total
        for c in self.containers:
            self._vacate(c)

    # -- sizes ---------------------------------------------------------------------------------------------------
    @property
    def part(self) -> float:
        """One NUMA node's memory."""
        return self.machine.total / self.machine.numa

    @property
    def swap_used(self) -> float:
        return sum(c.swap for c in self.containers)

    @property
    def swap_free(self) -> float:
        return max(self.machine.swap_total - self.swap_used, 0.0)

    def free(self, k: int) -> float:
        return self.part - sum(c.used[k] + c.file[k] for c in self.containers) - (self.zram if k == 0 else 0.0)

    def free_total(self) -> float:
        return sum(self.free(k) for k in range(self.machine.numa))

    def file(self, k: int | None = None) -> float:
        return sum(sum(c.file) if k is None else c.file[k] for c in self.containers)

    def available(self) -> float:
        """MemAvailable, si_mem_available() in mm/show_mem.c."""
        _, low, high = self.machine.watermarks()
        cache, slab = self.file(), sum(c.slab_now for c in self.containers)
        kept = self.free_total() - high
        return max(kept + cache - min(cache / 2, low) + slab - min(slab / 2, low), 0.0)

    def local_available(self, k: int) -> float:
        return max(self.free(k) + 0.95 * self.file(k) - self.machine.watermarks()[1] / self.machine.numa, 0.0)

    # -- one step ------------------------------------------------------------------------------------------------
    def step(self, t: float, dt: float) -> None:
        present = [c for c in self.containers if c.hidden or c.alive(t)]
        gone = [c for c in self.containers if not (c.hidden or c.alive(t))]
        for c in gone:
            self._vacate(c)
        self.stalls = {}
        grown = {c.id: self._place(c, c.want(t, dt, self.rng)) for c in present}
        self._swap_in(present, dt, grown)
        self._compress()
        self._read_files(present, t, dt)
        for k in range(self.machine.numa):
            self._balance(k, dt, grown)
        self._kubepods_limit(dt, grown)
        self._account(present, t, dt)

    def _vacate(self, c: Container) -> None:
        c.used = [0.0] * self.machine.numa
        c.file = [0.0] * self.machine.numa
        c.swap = c.zswapped = c.anon_now = c.shmem_now = c.kernel_now = c.slab_now = 0.0

    def _place(self, c: Container, want: float) -> float:
        """Makes what it wants resident (minus what is swapped); returns the growth."""
        if c.limit is not None and want > 0.97 * c.limit:
            c.anon_now = max(c.anon_now - (want - 0.97 * c.limit), 64 * 1024)
            want = min(want, 0.97 * c.limit)
        c.swap = min(c.swap, 0.97 * c.anon_now)
        c.zswapped = min(c.zswapped, c.swap)
        delta = want - c.swap + c.zswapped / ZRAM_RATIO - sum(c.used)
        if delta < 0:
            held = sum(c.used) or 1.0
            c.used = [u * (1 + delta / held) for u in c.used]
        else:
            for k, part in enumerate(self._first_touch(c, delta)):
                c.used[k] += part
        self._container_limit(c)
        return delta

    def _container_limit(self, c: Container) -> None:
        """memory.max of the container: its own page cache goes first."""
        over = c.current - (c.limit or math.inf)
        cache = sum(c.file)
        if over > 0 and cache > 0:
            c.max_events += int(over / (32 * PAGE)) + 1
            c.file = [f * max(1 - over / cache, 0.0) for f in c.file]

    def _first_touch(self, c: Container, size: float) -> list[float]:
        """Where new memory goes, per NUMA node: home mostly, then where memory is free, then where cache can go."""
        count = self.machine.numa
        if count == 1 or c.bound:
            return [size if k == c.home else 0.0 for k in range(count)]
        keep = self.machine.watermarks()[2] / count
        free = [max(self.free(k) - keep, 0.0) for k in range(count)]
        with_cache = [free[k] + max(0.95 * self.file(k) - self.floor, 0.0) for k in range(count)]
        wish = [size * (c.local if k == c.home else (1 - c.local) / (count - 1)) for k in range(count)]
        put = [min(wish[k], free[k]) for k in range(count)]
        for room in (free, with_cache):
            left, spare = size - sum(put), [max(room[k] - put[k], 0.0) for k in range(count)]
            if left > 0 and sum(spare) > 0:
                put = [put[k] + min(left / sum(spare), 1.0) * spare[k] for k in range(count)]
        left = max(size - sum(put), 0.0)
        return [part + left / count for part in put]

    def _read_files(self, present: list[Container], t: float, dt: float) -> None:
        """Streams and refaults; the disk is shared, and waiting for a refault is a memory stall."""
        missing = {c.id: max(c.hot - sum(c.file), 0.0) * min(1.0, dt / 2.0) for c in present if c.hot}
        asked = sum(missing.values())
        scale = min(1.0, self.machine.disk * dt / asked) if asked else 0.0
        for c in present:
            back = missing.get(c.id, 0.0) * scale
            gain = back + c.stream(t) * dt
            if gain <= 0:
                continue
            room = math.inf if c.limit is None else 0.995 * c.limit - c.current
            if gain > room:
                # the container's own limit: its cache turns over in place
                c.max_events += int(gain / (32 * PAGE)) + 1
                gain = max(room, 0.0)
            for k, part in enumerate(self._first_touch(c, gain)):
                c.file[k] += part
            if back > 0.002 * c.hot:
                self.count.refault_file += back / PAGE
                self._stall(c, back / PAGE * REFAULT_SECONDS["disk"] / dt)

    def _swap_in(self, present: list[Container], dt: float, grown: dict[str, float]) -> None:
        """Pages that were swapped out and are touched come back: the hot soon, of the cold a few all the time."""
        wait = REFAULT_SECONDS["disk" if self.machine.swap_kind == "disk" else "ram"]
        for c in present:
            if c.swap < MIB:
                continue
            hot = max(c.swap - c.cold * c.anon_now, 0.0)
            back = hot * min(1.0, dt / 8.0) + c.swap * (1 - c.cold) * 0.02 * min(dt, 1.0)
            back = min(back, 0.3 * self.machine.disk * dt)
            c.swap -= back
            c.used[c.home] += back
            grown[c.id] += back
            self.count.refault_anon += back / PAGE
            self._stall(c, back / PAGE * wait / dt)

    def _stall(self, c: Container, share: float) -> None:
        self.stalls[c.id] = min(self.stalls.get(c.id, 0.0) + share, 0.97)

    # -- reclaim -------------------------------------------------------------------------------------------------
    def _balance(self, k: int, dt: float, grown: dict[str, float]) -> None:
        """Brings free memory of NUMA node k back over its high watermark, if anything can."""
        lowest, low, high = (mark / self.machine.numa for mark in self.machine.watermarks())
        free = self.free(k)
        if free >= low:
            return
        need = high - free
        swap = self._swap_out(k, need * self._anon_share(), dt)
        got = self._drop_cache(k, need - swap) + swap
        if got < need and self.swap_free > 0:
            got += self._swap_out(k, need - got, dt)
        self._count_reclaim(got, need if self.free(k) < lowest else got, dt)
        deficit = lowest * 0.5 - self.free(k)
        if deficit > 0:
            self._refuse(k, deficit, grown)
        if self.free(k) < 0:
            # cache that was protected or just read: no room for it either
            ratio = max(1 + self.free(k) / (self.file(k) or 1.0), 0.0)
            for c in self.containers:
                c.file[k] *= ratio

    def _anon_share(self) -> float:
        """The part of reclaim that goes to swap: none while cache is plenty, most when it has run short."""
        if self.swap_free <= 0:
            return 0.0
        plenty = 0.12 * self.machine.total
        share = 0.9 * max(0.0, 1 - self.file() / plenty)
        return min(share * (1.2 if self.machine.swap_kind == "zram" else 1.0), 0.95)

    def _drop_cache(self, k: int, need: float) -> float:
        """Takes page cache, the inactive first; memory.min never, memory.low only when the rest was not enough."""
        if need <= 0:
            return 0.0
        taken = 0.0
        for spare_low in (True, False):
            weight = {c.id: self._takeable(c, k, spare_low=spare_low) for c in self.containers}
            total = sum(weight.values())
            left = need - taken
            if total <= 0 or left <= 0:
                continue
            ratio = min(1.0, left / total)
            for c in self.containers:
                c.file[k] -= weight[c.id] * ratio
            taken += total * ratio
        return taken

    def _takeable(self, c: Container, k: int, *, spare_low: bool) -> float:
        if not c.file or c.file[k] <= 0:
            return 0.0
        protected = max(c.min_bytes, c.low_bytes if spare_low else 0)
        over = c.current - protected
        floor = self.floor / len(self.containers)
        inactive = max(c.file[k] - c.hot, 0.25 * c.file[k]) if spare_low else c.file[k]
        return max(min(inactive, c.file[k] - floor, over), 0.0)

    def _swap_out(self, k: int, need: float, dt: float) -> float:
        """Swaps anonymous memory out, the cold first; returns the bytes of RAM that came free."""
        rate = (8.0 if self.machine.swap_kind in ("zram", "zswap") else 0.6) * self.machine.disk
        net = 1 - 1 / ZRAM_RATIO if self.machine.swap_kind in ("zram", "zswap") else 1.0
        amount = min(need / net, self.swap_free, rate * dt)
        if amount <= 0:
            return 0.0
        weight = {c.id: self._cold_bytes(c, k) for c in self.containers}
        total = sum(weight.values())
        if total <= 0:
            return 0.0
        ratio = min(amount / total, 0.9)
        for c in self.containers:
            out = weight[c.id] * ratio
            c.swap += out
            c.used[k] -= out
        self._compress()
        return total * ratio * net

    def _cold_bytes(self, c: Container, k: int) -> float:
        if not c.used or c.hidden:
            return 0.0
        resident = max(c.anon_now - c.swap, 0.0)
        here = resident * c.used[k] / (sum(c.used) or 1.0)
        cold = max(c.cold * c.anon_now - c.swap, 0.0)
        return here * (0.05 + 0.95 * min(1.0, cold / (resident or 1.0)))

    def _compress(self) -> None:
        """zram's pool is charged to nobody; zswap's to the owner, as kernel memory."""
        if self.machine.swap_kind == "zram":
            self.zram = self.swap_used / ZRAM_RATIO
        elif self.machine.swap_kind == "zswap":
            pool = 0.2 * self.machine.total * ZRAM_RATIO
            part = min(1.0, pool / (self.swap_used or 1.0))
            for c in self.containers:
                before, c.zswapped = c.zswapped, c.swap * part
                if c.used:
                    c.used[c.home] += (c.zswapped - before) / ZRAM_RATIO

    def _count_reclaim(self, got: float, need: float, dt: float) -> None:
        """kswapd does what it can; as cache runs out, allocating tasks reclaim themselves, and scan more in vain."""
        spare = max(self.file() - self.floor, 0.0) / self.machine.total
        yield_ratio = min(max(spare / 0.02, 0.02), 0.97)
        direct = max(got - KSWAPD_BYTES_PER_SECOND * dt, 0.7 * got * max(0.0, 1 - spare / 0.015))
        self.count.steal_direct += direct / PAGE
        self.count.scan_direct += direct / PAGE / yield_ratio + max(need - got, 0.0) / PAGE * 8
        self.count.steal_kswapd += (got - direct) / PAGE
        self.count.scan_kswapd += (got - direct) / PAGE / yield_ratio
        if direct > 0:
            for c in self.containers:
                self._stall(c, 0.15 * direct / (GIB * dt))

    def _refuse(self, k: int, deficit: float, grown: dict[str, float]) -> None:
        """Nothing left to take: whoever asked for more in this step waits in reclaim and doesn't get it."""
        growers = [c for c in self.containers if grown.get(c.id, 0.0) > 0]
        total = sum(grown[c.id] for c in growers)
        if total <= 0:
            return
        ratio = min(1.0, deficit / total)
        for c in growers:
            less = min(grown[c.id] * ratio, 0.9 * c.used[k], max(c.anon_now - c.swap - 64 * 1024, 0.0))
            c.used[k] -= less
            c.anon_now -= less
            grown[c.id] -= less
            self._stall(c, 0.8)

    def _kubepods_limit(self, dt: float, grown: dict[str, float]) -> None:
        """memory.max of kubepods.slice: reclaim inside it, then refusal."""
        limit = self.machine.kubepods_max
        if limit is None:
            return
        inside = [c for c in self.containers if not c.hidden and c.used]
        over = sum(c.current for c in inside) - 0.999 * limit
        if over <= 0:
            return
        weight = {c.id: self._takeable(c, c.home, spare_low=False) for c in inside}
        total = sum(weight.values())
        got = min(over, total)
        for c in inside:
            c.file[c.home] -= weight[c.id] * got / (total or 1.0)
        self._count_reclaim(got, over, dt)
        if over > got:
            self._refuse(0, over - got, grown)

    # -- books ---------------------------------------------------------------------------------------------------
    def _account(self, present: list[Container], t: float, dt: float) -> None:
        calm = 1.0
        for c in present:
            share = self.stalls.get(c.id, 0.0)
            c.stalled = 0.6 * share + 0.4 * c.stalled
            c.stall_some += c.stalled * dt
            c.stall_full += 0.7 * c.stalled * dt
            if not c.hidden:
                calm *= 1 - 0.8 * c.stalled
            c.peak = max(c.peak, c.current)
            c.cpu_now = max(c.cores * c.busy(t) * self.rng.uniform(0.8, 1.2) * (1 - 0.7 * c.stalled), 0.0)
            c.cpu_total += c.cpu_now * dt
        self.psi_noise = max(0.0, 0.9 * self.psi_noise + self.rng.gauss(0.0, self.stall_noise))
        some = min(1 - calm + self.psi_noise, 0.99)
        self.count.some += some * dt
        self.count.full += 0.6 * some * some * dt
