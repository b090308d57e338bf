"""Runs one cell: set up, fill the cache, start the guard, let the hog go, watch, take everything down, tell."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from . import cgroups, node
from .daemons import Daemon, line_words
from .peers import PEERS
from .plan import Container, Machine, Plan, make_plan
from .procs import Herd
from .result import ActionResult, CellResult, ContainerResult, ProcessResult
from .spec import Action, Cell
from .tell import SECOND, Observed, tell
from .timeline import make_progress, read_progress, read_samples

HOST_BYTES = 1 << 30  # on a host the scratch slice pretends to be a node of this size
ROWS_LIMIT = 60_000  # 2 minutes at 2 ms; beyond that the sampler slows down


@dataclass(frozen=True)
class Site:
    """Where cells run. In the machine `root` is /sys/fs/cgroup, on a host a scratch slice below it."""

    root: Path
    run: Path
    loads: Path
    source: node.Source
    scratch: bool  # this machine is somebody's: never exhaust it, never touch what is not below `root`


class RefusedError(Exception):
    """The cell needs the whole machine and this one is not ours."""


def run_cell(cell: Cell, site: Site) -> CellResult:
    """One cell from a clean machine to a clean machine."""
    if site.scratch:
        _refuse_on_host(cell)
    began = time.monotonic()
    run = site.run / "cell"
    with _scratch(cell, site, run):
        memory = node.meminfo()
        total, free = (HOST_BYTES, HOST_BYTES) if site.scratch else (memory["MemTotal"], memory["MemFree"])
        plan = make_plan(cell, Machine(total_bytes=total, free_bytes=free, source=site.source.path, run=run))
        with node.Swap(plan.swap):
            observed = _Scene(cell, plan, site, run).play()
        return tell(cell, plan, run, observed, began)


def _refuse_on_host(cell: Cell) -> None:
    """Raises RefusedError for whatever would reach beyond the scratch slice."""
    if cell.domain in {"node", "system"} or cell.shape in {"swap_file", "zram"}:
        raise RefusedError(f"domain {cell.domain} and shape {cell.shape} need the virtual machine")
    if cell.guard.kind in PEERS:
        raise RefusedError(f"{cell.guard.kind} watches the whole machine, which is not ours: use the virtual machine")


@contextlib.contextmanager
def _scratch(cell: Cell, site: Site, run: Path) -> Iterator[None]:
    """A fresh directory, and nothing left of the cell whatever happened in it."""
    shutil.rmtree(run, ignore_errors=True)
    run.mkdir(parents=True)
    if not site.scratch:
        node.drop_caches()
    shared = run / "shm"
    if cell.shape == "tmpfs":
        shared.mkdir()
        subprocess.run(("mount", "-t", "tmpfs", "-o", "size=100%", "tmpfs", str(shared)), check=True)
    try:
        yield
    finally:
        for relative in ("kubepods.slice", "kubepods", "system.slice/leak.service", "guard"):
            cgroups.remove(site.root / relative)
        if cell.shape == "tmpfs":
            subprocess.run(("umount", str(shared)), check=True)
        if site.scratch and site.root.exists():
            cgroups.remove(site.root)


class _Scene:
    """The running cell: containers, processes, guard and sampler."""

    def __init__(self, cell: Cell, plan: Plan, site: Site, run: Path) -> None:
        self.cell, self.plan, self.site, self.run = cell, plan, site, run
        self.herd = Herd(site.loads, run / "loads.err")
        self.words = {
            "@CGROUP@": str(site.root),
            "@KUBEPODS@": str(site.root / plan.kubepods),
            "@RUN@": str(run),
            **line_words(plan.reserve_bytes, _free_bytes(plan)),
        }
        self.daemon = Daemon(cell.guard, site.root / "guard", run, self.words, site.loads)
        self.actions: list[ActionResult] = []
        self.held_start: dict[str, int] = {}
        self.kernel_log = node.KernelLog()

    def play(self) -> Observed:
        """The whole course of events; kills and reaps every process, whatever happens."""
        try:
            self.daemon.prepare()
            self._build()
            self._start("before")
            self._settle()
            self._fill()
            self.daemon.start()
            vmstat, stall = node.vmstat(), node.stall_us()
            self._watch()
            self._start("watched")
            self.herd.wait(time.monotonic_ns() + int(self.cell.settle_seconds * SECOND))
            self.herd.check()
            self.held_start = {c.path: cgroups.held_bytes(self.site.root / c.path) for c in self.plan.containers}
            start_ns = time.monotonic_ns()
            self._start("hog")
            self._observe(start_ns)
            return self._take_down(start_ns, vmstat, stall)
        finally:
            self.daemon.clear()
            self.herd.end()

    def _build(self) -> None:
        controllers = cgroups.CONTROLLERS if self.cell.cpu_controller else ("memory", "pids")
        root = self.site.root
        root.mkdir(exist_ok=True)
        if self.site.scratch:
            cgroups.enable(root.parent, controllers)
            _limit(root, 2 * HOST_BYTES)
        cgroups.enable(root, controllers)
        besteffort = "kubepods.slice/kubepods-besteffort.slice"
        cgroups.make(
            root, cgroups.as_cgroupfs(besteffort) if self.cell.driver == "cgroupfs" else besteffort, controllers
        )
        for container in (*self.plan.containers, *self.plan.idle):
            path = cgroups.make(root, container.path, controllers)
            if container.in_pod and container.oom_group:
                (path / "memory.oom.group").write_text("1")
            _limit(path, container.limit_bytes)
            _limit(path.parent, container.pod_limit_bytes)
        if self.cell.domain == "kubepods":
            _limit(root / self.plan.kubepods, self.plan.limit_bytes)

    def _start(self, phase: str) -> None:
        for container in (*self.plan.containers, *self.plan.idle):
            for load in container.loads:
                if load.phase == phase:
                    report = (f"report={self.run / load.role}.json",) if load.role == "lat" else ()
                    self.herd.start(load, container, self.site.root / container.path, report)

    def _settle(self) -> None:
        """Waits until the steady memory is there: memory.current of the service no longer grows."""
        service = self.site.root / next(c.path for c in self.plan.containers if c.name == "service") / "memory.current"
        last = -1
        for _ in range(200):
            now = cgroups.number(service) or 0
            if now and now - last < 1 << 18:
                break
            last = now
            time.sleep(0.1)
        self.herd.check()

    def _fill(self) -> None:
        self._start("fill")
        fillers = [process for process in self.herd.processes if process.phase == "fill"]
        if not self.herd.wait(time.monotonic_ns() + 120 * SECOND, lambda: all(p.ended_ns for p in fillers)):
            raise TimeoutError("the page cache did not fill within 120 s")

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self._columns())

    def _columns(self) -> list[tuple[str, str]]:
        """(name, file or file#key) of what the sampler reads; kB files are named *_kib."""
        found = [("available_kib", "/proc/meminfo#MemAvailable"), ("free_kib", "/proc/meminfo#MemFree")]
        if self.plan.limit_path:
            stat = self.site.root / self.plan.limit_path / "memory.stat"
            found += [("domain.anon", f"{stat}#anon"), ("domain.shmem", f"{stat}#shmem")]
        for container in self.plan.containers:
            if container.name not in self.plan.watched:
                continue
            path = self.site.root / container.path
            found.append((f"{container.name}.current", f"{path}/memory.current"))
            if container.culprit:
                found.append((f"{container.name}.high", f"{path}/memory.high"))
                found.append((f"{container.name}.frozen", f"{path}/cgroup.events#frozen"))
        return found

    def _watch(self) -> None:
        make_progress(self.run / "progress")
        seconds = self.plan.hog_seconds + self.cell.settle_seconds + self.cell.after_seconds + 5
        interval_ms = max(self.cell.sample_ms, seconds * 1000 / ROWS_LIMIT)
        options = (
            f"out={self.run / 'samples'}",
            f"progress={self.run / 'progress'}",
            f"interval_us={interval_ms * 1000:.0f}",
            f"rows={seconds * 1000 / interval_ms:.0f}",
            f"files={','.join(source for _, source in self._columns())}",
        )
        # In our own cgroup, which outlives every shortage: the sampler is no load of the node's.
        self.sampler = subprocess.Popen((str(self.site.loads), "watch", *options))
        if not node.wait_for(lambda: _rows(self.run / "samples") > 0, 10):
            raise RuntimeError(f"the sampler did not start (exit code {self.sampler.poll()})")

    def _observe(self, start_ns: int) -> None:
        """Until the culprits are gone or the time is over; runs the actions when they are due."""
        culprits = {container.name for container in self.plan.containers if container.culprit}
        hogs = [p for p in self.herd.processes if p.phase == "hog" and p.container in culprits]
        end_ns = start_ns + int(self.plan.hog_seconds * SECOND)

        def over() -> bool:
            return self.plan.ends_with_culprits and bool(hogs) and all(process.ended_ns for process in hogs)

        for action in sorted(self.cell.actions, key=lambda action: action.at_seconds):
            self.herd.wait(start_ns + int(action.at_seconds * SECOND))
            self.actions.append(self._act(action, start_ns))
        self.herd.wait(end_ns, over)
        self.herd.wait(time.monotonic_ns() + int(self.cell.after_seconds * SECOND))

    def _act(self, action: Action, start_ns: int) -> ActionResult:
        at = (time.monotonic_ns() - start_ns) / SECOND
        environment = {
            **os.environ,
            "MG_CGROUP": str(self.site.root),
            "MG_KUBEPODS": str(self.site.root / self.plan.kubepods),
            "MG_RUN": str(self.run),
            "MG_LOADS": str(self.site.loads),
            "MG_GUARD_PID": str(self.daemon.child.pid if self.daemon.child else ""),
            "MG_GUARD_CGROUP": str(self.daemon.cgroup),
        }
        for container in self.plan.containers:
            environment[f"MG_C_{container.name.upper()}"] = str(self.site.root / container.path)
            environment[f"MG_P_{container.name.upper()}"] = str(self.site.root / container.pod)
        done = subprocess.run(("sh", "-c", action.script), env=environment, capture_output=True, text=True, check=False)
        return ActionResult(at=at, exit_code=done.returncode, output=(done.stdout + done.stderr)[-4000:])

    def _take_down(self, start_ns: int, vmstat: dict[str, int], stall: dict[str, int]) -> Observed:
        end_ns = time.monotonic_ns()
        vmstat = {key: value - vmstat[key] for key, value in node.vmstat().items()}
        stall = {key: value - stall.get(key, 0) for key, value in node.stall_us().items()}
        containers = tuple(self._container(container, start_ns) for container in self.plan.containers)
        peak_of = self.site.root / (self.plan.limit_path or self.plan.kubepods) / "memory.peak"
        limit_peak = cgroups.number(peak_of) if self.plan.limit_path else None
        idle_touched = sum(self._container(idle, start_ns).touched for idle in self.plan.idle)
        self.sampler.terminate()
        self.sampler.wait(10)
        self.herd.ask("lat", "churn")
        # The guard ends while the containers still stand: what it leaves behind is looked for in the living tree.
        guard = self.daemon.stop()
        leftovers = cgroups.held(self.site.root / self.plan.kubepods)
        hogs = [p for p in self.herd.processes if p.phase == "hog" and p.role != "churn" and not p.asked_to_end]
        ends = [process.ended_ns for process in hogs]
        return Observed(
            start_ns=start_ns,
            end_ns=end_ns,
            vmstat=vmstat,
            stall_us=stall,
            containers=containers,
            idle_touched=idle_touched,
            limit_peak_bytes=limit_peak,
            guard=guard,
            leftovers=leftovers,
            actions=tuple(self.actions),
            kernel_log=self.kernel_log.lines(),
            ended_at=(max(end or 0 for end in ends) - start_ns) / SECOND if ends and all(ends) else None,
            samples=read_samples(self.run / "samples", self.columns),
            progress=read_progress(self.run / "progress"),
        )

    def _container(self, container: Container, start_ns: int) -> ContainerResult:
        path = self.site.root / container.path
        processes = self.herd.of(container.name)
        events = cgroups.keyed(path / "memory.events")
        lost = any(process.against_its_will for process in processes)
        alive = cgroups.alive(path)
        return ContainerResult(
            name=container.name,
            path=container.path,
            culprit=container.culprit,
            processes=tuple(
                ProcessResult(
                    role=process.role,
                    pid=process.child.pid,
                    ended_at=(process.ended_ns - start_ns) / SECOND if process.ended_ns else None,
                    exit_code=process.child.returncode,
                )
                for process in processes
            ),
            alive_pids=alive,
            died=lost and alive == 0,
            touched=lost or events.get("oom_kill", 0) > 0,
            oom_kills=events.get("oom_kill", 0),
            events=cgroups.keyed(path / "memory.events.local"),
            held_start_bytes=self.held_start.get(container.path, 0),
            held_bytes=cgroups.held_bytes(path),
            cpu_ms=cgroups.keyed(path / "cpu.stat").get("usage_usec", 0) / 1000,
            current_bytes=cgroups.number(path / "memory.current") or 0,
            peak_bytes=cgroups.number(path / "memory.peak"),
            limit_bytes=container.limit_bytes or container.pod_limit_bytes,
        )


def _free_bytes(plan: Plan) -> int:
    """What the pods' anonymous memory may come to, before there are any: at the node, or within kubepods' limit."""
    if plan.limit_bytes is not None and plan.limit_path == plan.kubepods:
        return plan.limit_bytes
    return node.meminfo()["MemAvailable"]


def _rows(path: Path) -> int:
    """Rows that the sampler has written so far."""
    try:
        with path.open("rb") as handle:
            return int.from_bytes(handle.read(8), "little")
    except OSError:
        return 0


def _limit(cgroup: Path, size: int | None) -> None:
    if size is not None:
        (cgroup / "memory.max").write_text(str(size))
