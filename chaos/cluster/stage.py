"""The lab while runs are played: what stands there from run to run, one run, and how all of it is again."""

from __future__ import annotations

import contextlib
import json
import re
import shlex
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.cluster.stage import VOLUMES
from chaos.cluster.draw import Draw, Fault
from chaos.cluster.faults import FOREIGN_HIGH, KEEP_LOGS, LOGS, happening
from chaos.cluster.pods import AGAIN_SECONDS, DATABASE, NEIGHBOURS, NODE, SPACE, leak, objects
from chaos.cluster.programs import GUARD, Scene
from chaos.cluster.seen import Act, Happened, Seen, acts_of, journal, kernel_kills, lines_of, pods_of
from e2e.deployment import CLUSTER_POLICY, Deployment
from e2e.helm import NAMESPACE
from e2e.lab.errors import LabError
from e2e.lab.lab import Lab
from e2e.workloads import Shop, cgroup_of, eventually, lines

from chaos.cluster import watcher

#: Before the leak begins, or the earliest fault.
LEAD_SECONDS = 1.0
#: A leak of the lowest rate is at its limit, or at the node's, within a few seconds; after that it was let go on.
LEAK_SECONDS = 45.0
#: Until all is Ready again; kubelet, emulated, may need half a minute for a pod of ours.
READY_SECONDS = 150.0
RECORDED_SECONDS = 60.0
OVER = "/var/lib/chaos-over"
TAINT = "memguard.io/memory-pressure"
#: Our pods, those of the run, and the node.
EVERYTHING = ("get", "nodes,pods", "--all-namespaces", "-o", "json", "--request-timeout=10s")


class Stage:
    """One lab with memguard on it."""

    def __init__(self, lab: Lab) -> None:
        self.lab, self.memguard, self.shop = lab, Deployment(lab), Shop(lab, SPACE)
        self._node = lab.node(NODE.name)
        self._trouble_at = time.monotonic()

    def enter(self) -> None:
        """memguard, and those who must live."""
        self.memguard.install(cluster_policy={**CLUSTER_POLICY, "taint": "NoSchedule"})
        self.shop.close()
        self.shop.open(*objects())
        self._await(self._unready)

    def play(self, draw: Draw) -> Seen:
        """One run. Raises LabError or AssertionError where it could not even begin."""
        self.shop.create(leak(draw))
        scene = self._scene(draw)
        line, began = f"cat {scene.leak}/memory.high", time.monotonic()
        eventually(lambda: self._node.run(line).strip() != "max", "the guard knows the leak")
        known_seconds = round(time.monotonic() - began, 1)
        self._node.run(f"rm -f {OVER}\n{KEEP_LOGS}")
        before, sizes, offset = pods_of(self._listed("pods")), self._sizes(), self._clock_offset()
        since = time.monotonic() + offset
        happened, lives_on, left = self._play(draw, scene, offset)
        self._trouble_at = time.monotonic()
        over_at = self._trouble_at + offset
        unready, ready_seconds = self._await(lambda: self._unready(draw))
        recorded_seconds, acts, records, logs = self._settled(draw, sizes)
        seen = Seen(
            draw=draw,
            happened=happened,
            kills=kernel_kills(self._node.run("dmesg"), since),
            acts=acts,
            records=records,
            before=before,
            after=pods_of(self._listed("pods")),
            first_leak=scene.leak.removeprefix("/sys/fs/cgroup"),
            guard_since=self._guard_since(),
            left_seconds=left,
            foreign_high=self._node.run(f"cat {scene.database}/memory.high 2>/dev/null || true").strip(),
            lost_lines=_lost(logs),
            tracebacks=tuple(sorted(name for name, text in logs.items() if "Traceback" in text)),
            lives_on=lives_on,
            over_at=over_at,
            unready=unready,
            taint_seconds=self._taint_seconds(draw),
            logs={**logs, "events": self.shop.kubectl("events", "--for", f"pod/{draw.pod}")},
            figures={"known s": known_seconds, "ready s": ready_seconds, "recorded s": recorded_seconds},
        )
        return self._cleared(draw, scene, seen)

    # --- the run

    def _scene(self, draw: Draw) -> Scene:
        def cgroup(pod: str) -> str:
            return cgroup_of(self.lab, NODE.name, self.shop.status(pod, "app"))

        database = next(one for one in self.shop.items("pods") if one["metadata"]["labels"]["app"] == DATABASE)
        return Scene(
            lab=self.lab,
            pod=draw.pod,
            limit_mib=draw.limit_mib,
            leak=cgroup(draw.pod),
            database=cgroup(str(database["metadata"]["name"])),
        )

    def _play(self, draw: Draw, scene: Scene, offset: float) -> tuple[tuple[Happened, ...], bool, tuple[float, ...]]:
        """The faults, whether the leak lives on, and how long what dead guards left was there."""
        volume = VOLUMES.format(uid=self.shop.get("pod", draw.pod)["metadata"]["uid"])
        with ThreadPoolExecutor() as pool:
            watching = pool.submit(self._watch)
            zero = time.monotonic() + LEAD_SECONDS - min(0.0, *(fault.at for fault in draw.faults))
            playing = [pool.submit(_suffer, scene, fault, zero, offset) for fault in draw.faults]
            try:
                time.sleep(max(0.0, zero - time.monotonic()))
                self._node.run(f"timeout 20 sh -c 'echo > {volume}/gate'")
                lives_on = not self._over(draw, volume, playing)
                happened = tuple(one.result() for one in playing)
            finally:
                self._node.run(f"touch {OVER}")
            return happened, lives_on, tuple(watching.result()["leftSeconds"])

    def _over(self, draw: Draw, volume: str, playing: list[Future[Happened]]) -> bool:
        """Whether the leak has come to its end, in all its lives. A fault may keep it from its next one."""
        script = f"ls {volume}/life* 2>/dev/null; pgrep -x hog; true"
        seconds = LEAK_SECONDS + (draw.lives - 1) * (AGAIN_SECONDS + LEAK_SECONDS)

        def over() -> bool:
            return all(one.done() for one in playing) and not self._node.run(script).strip()

        try:
            return bool(eventually(over, "the leak is over", seconds + max(fault.seconds for fault in draw.faults)))
        except AssertionError:
            return False

    def _watch(self) -> dict[str, Any]:
        source = Path(watcher.__file__).read_text()
        seconds = 3 * LEAK_SECONDS + LEAD_SECONDS
        foreign = " ".join(map(str, FOREIGN_HIGH.values()))
        script = f"python3 - {shlex.quote(OVER)} {seconds} {foreign} <<'WATCHER'\n{source}\nWATCHER"
        told: dict[str, Any] = json.loads(self._node.run(script, timeout_s=2 * seconds))
        return told

    # --- what is known

    def _clock_offset(self) -> float:
        """The node's clock since its boot, less ours."""
        return float(self._node.run("cut -d' ' -f1 /proc/uptime")) - time.monotonic()

    def _guard_since(self) -> float:
        script = (
            f"pid=$(pgrep {GUARD.chosen} | head -1); cut -d')' -f2 /proc/$pid/stat | cut -d' ' -f21; getconf CLK_TCK"
        )
        ticks = self._node.run(script).split()
        return float(ticks[0]) / float(ticks[1]) if len(ticks) == 2 else 0.0

    def _listed(self, kind: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.lab.kubectl("get", kind, "-A", "-o", "json"))["items"]
        return [one for one in found if one["metadata"].get("namespace") in {None, NAMESPACE, SPACE}]

    def _sizes(self) -> dict[str, int]:
        """How much of each log there is already."""
        told = (line.split(maxsplit=1) for line in self._node.run(f"wc -c {LOGS}/* | grep -v total$").splitlines())
        return {name: int(size) for size, name in told}

    def _logs(self, sizes: dict[str, int]) -> dict[str, str]:
        """What came since then, by file."""
        self._node.run(KEEP_LOGS)
        return {
            name.rpartition("/")[2]: self._node.run(f"tail -c +{sizes.get(name, 0) + 1} '{name}'")
            for name, size in self._sizes().items()
            if size > sizes.get(name, 0)
        }

    def _settled(
        self, draw: Draw, sizes: dict[str, int]
    ) -> tuple[float, tuple[Act, ...], tuple[Act, ...], dict[str, str]]:
        """Once what was said is recorded and has its outcome, and what is recorded is read, or the time is over.

        containerd copies the logs: where it began anew it comes to that last.
        """
        began = time.monotonic()
        while True:
            logs = self._logs(sizes)
            acts = tuple(act for text in logs.values() for act in acts_of(journal(lines_of(text))[0], draw.pod))
            records = self._records(draw)
            said, recorded = {act.id for act in acts}, {one.id for one in records}
            settled = recorded <= said <= {one.id for one in records if one.phase == "Done"}
            seconds = time.monotonic() - began
            if settled or seconds > RECORDED_SECONDS:
                return round(seconds, 1), acts, records, logs
            time.sleep(1)

    def _records(self, draw: Draw) -> tuple[Act, ...]:
        return tuple(
            Act(
                id=one["metadata"]["name"],
                pod=draw.pod,
                container=one["spec"]["victim"]["id"],
                phase=one.get("status", {}).get("phase", ""),
            )
            for one in self.shop.acted(draw.pod)
            if one["spec"]["action"] in {"kill", "terminate", "evict"}
        )

    # --- how it is again

    def _await(self, question: Callable[[], str]) -> tuple[str, float]:
        """What is still not so when the time is over, and how long it took."""
        began = time.monotonic()
        while (missing := question()) and time.monotonic() - began < READY_SECONDS:
            time.sleep(1)
        return missing, round(time.monotonic() - began, 1)

    def _unready(self, draw: Draw | None = None) -> str:
        """Who is not Ready; nobody: ""."""
        try:
            found = json.loads(self.lab.kubectl(*EVERYTHING))["items"]
        except LabError:
            return "the API server"
        missing = [_node_problem(one) for one in found if one["kind"] == "Node"]
        pods = [one for one in found if one["kind"] == "Pod" and one["metadata"]["namespace"] in {NAMESPACE, SPACE}]
        alive = [one for one in pods if one["status"]["phase"] not in {"Succeeded", "Failed"}]
        missing += [f"pod {one['metadata']['name']}" for one in alive if not _is_ready(one)]
        wanted = {"node": 1, "operator": 2, **dict.fromkeys(NEIGHBOURS, 1)}
        there = [pod.app for pod in pods_of(alive).values()]
        missing += [f"a pod of {app}" for app, count in wanted.items() if there.count(app) < count]
        if draw and not any(one["metadata"]["name"] == draw.pod for one in pods):
            missing.append(draw.pod)
        return ", ".join(filter(None, missing))

    def _taint_seconds(self, draw: Draw) -> float | None:
        """Since the last trouble, where our taint stands; a run that fills the node is trouble."""
        taints = json.loads(self.lab.kubectl("get", "node", NODE.name, "-o", "json"))["spec"].get("taints", ())
        if draw.leak == "node" or draw.plays("kubelet evicts"):
            self._trouble_at = time.monotonic()
        return time.monotonic() - self._trouble_at if any(one["key"] == TAINT for one in taints) else None

    def _cleared(self, draw: Draw, scene: Scene, seen: Seen) -> Seen:
        """The same, with what stands when the leak is gone; and what the faults left is put away."""
        self._node.run(f"[ ! -e {scene.database} ] || echo max > {scene.database}/memory.high")
        self.shop.kubectl("delete", "pod", draw.pod, "--wait=true", "--timeout=60s")
        self.shop.kubectl("delete", "pods", "--field-selector=status.phase=Failed")
        with contextlib.suppress(AssertionError):
            eventually(lambda: not self._left(), "nothing stands", 15)
        left = list(self._left())
        return replace(
            seen,
            lines=tuple(path for path in left if path.endswith("high")),
            frozen=tuple(path for path in left if path.endswith("freeze")),
        )

    def _left(self) -> list[str]:
        frozen = "grep -l 1 -r --include=cgroup.freeze /sys/fs/cgroup/kubepods.slice"
        return self._node.run(f"{lines(self.lab, NODE.name)}; {frozen}; true").split()


def _suffer(scene: Scene, fault: Fault, zero: float, offset: float) -> Happened:
    """Play a fault at its moment."""
    time.sleep(max(0.0, zero + fault.at - time.monotonic()))
    began, problem = time.monotonic(), ""
    try:
        happening(fault.name)(scene, fault.seconds)
    except (LabError, AssertionError) as error:
        problem = str(error)
    return Happened(name=fault.name, began=began + offset, ended=time.monotonic() + offset, problem=problem)


def _lost(logs: dict[str, str]) -> int:
    dropped = (int(count) for text in logs.values() for count in re.findall(r'"droppedLines":(\d+)', text))
    return sum(dropped) + sum(journal(lines_of(text))[1] for text in logs.values())


def _node_problem(node: dict[str, Any]) -> str:
    conditions = {one["type"]: one["status"] for one in node["status"]["conditions"]}
    wanted = {"Ready": "True", "MemoryPressure": "False", "DiskPressure": "False"}
    wrong = [name for name, value in wanted.items() if conditions.get(name) != value]
    return f"the node ({', '.join(wrong)})" if wrong else ""


def _is_ready(pod: dict[str, Any]) -> bool:
    conditions = {one["type"]: one["status"] for one in pod["status"].get("conditions", ())}
    return conditions.get("Ready") == "True" and "deletionTimestamp" not in pod["metadata"]
