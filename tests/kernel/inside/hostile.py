"""Tenants that will not be caught, want somebody else to be, or hold what the guard needs: on a real kernel."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from guest import cgroups
from guest.cgroups import Names

from inside.stage import KUBEPODS, LOADS, MIB, RUN, Guard, high, populated, stage, tell, until

#: A name of bytes that are no text, with what recolours a screen and turns letters round; a newline the kernel refuses.
NASTY = b"\xff\x1b[31m\r{\xe2\x80\xae"
NESTED = 8
#: The guard keeps house, and looks for containers that inotify could not tell of, every 10 s.
HOUSEKEEPING_SECONDS = 11.0
UNLIMITED = (1 << 63) - 1


def outcome(guard: Guard, innocent: Path, **facts: Any) -> dict[str, Any]:
    """What became of everybody, and how the log reads."""
    text = guard.log.read_bytes().decode()
    return {
        "victims": [line["victim"]["name"] for line in guard.said("decision", mode="Enforce")],
        "innocent": populated(innocent),
        "kernel": sum(cgroups.keyed(path / "memory.events").get("oom_kill", 0) for path in KUBEPODS.glob("*.slice")),
        "printable": all(line.isprintable() for line in text.split("\n")),
        "noise": guard.said("noise"),
        "exit": guard.stop(),
        **facts,
    }


def ends(cgroup: Path, seconds: float = 20) -> bool:
    """Does all that lives in it die, and stay dead?"""
    until(lambda: populated(cgroup), 2)
    gone = until(lambda: not populated(cgroup), seconds, step=0.01)
    return gone and not until(lambda: populated(cgroup), 0.5)


def imitation() -> dict[str, Any]:
    """Nested cgroups with the very names of a neighbour's pod and container, and with names that are no text."""
    with stage() as scene:
        web, hog = scene.container("web"), scene.container("hog")
        scene.load(web, "hog", "rate=0", "max=50")
        path = Names("web").container()
        inner = cgroups.make(hog, path)
        named = os.path.join(os.fsencode(hog), NASTY)
        os.makedirs(os.path.join(named, NASTY))
        for mark in ("user.memguard.line", "user.memguard.freeze"):
            os.setxattr(named, mark, b"line 1 2 3 4 " + NASTY)
        guard = scene.guard()
        again = cgroups.make(hog, f"later/{path}")  # told by inotify, if anybody listened there
        scene.load(inner, "hog", "rate=100", "max=2000")
        scene.load(again, "hog", "rate=100", "max=2000")
        return outcome(guard, web, gone=ends(hog))


def escape() -> dict[str, Any]:
    """A swarm that is deaf to signals, forks twice, into other cgroups of its own, and never stays in one; some of it
    stands frozen, some of it is threads of a threaded cgroup.
    """
    with stage() as scene:
        web, hog = scene.container("web"), scene.container("hog", nested=tuple(str(n) for n in range(NESTED)))
        scene.load(web, "hog", "rate=0", "max=50")
        ice = cgroups.make(hog, "ice", ())
        scene.load(ice, "pause")
        until(lambda: populated(ice), 2)
        (ice / "cgroup.freeze").write_text("1")
        guard = scene.guard(rule="graceSeconds = 0.2")
        scene.load(
            hog / "0", "escape", f"dir={hog}", f"cgroups={NESTED}", "processes=12", "max=6000", "step=4", "step_ms=40"
        )
        return outcome(guard, web, gone=ends(hog))


def threads() -> dict[str, Any]:
    """The threads that grow are in a threaded cgroup, whose processes no file lists."""
    with stage() as scene:
        web, hog = scene.container("web"), scene.container("hog")
        scene.load(web, "hog", "rate=0", "max=50")
        inner = hog / "threaded"
        inner.mkdir()
        (inner / "cgroup.type").write_text("threaded")
        guard = scene.guard()
        load = scene.load(hog, "hog", "rate=100", "max=2000", "threads=2")
        tasks = Path(f"/proc/{load.pid}/task")
        until(lambda: len(os.listdir(tasks)) == 3, 5)
        for task in os.listdir(tasks):
            (inner / "cgroup.threads").write_text(task)
        return outcome(guard, web, threaded=(hog / "cgroup.type").read_text().strip(), gone=ends(hog))


def no_inotify() -> dict[str, Any]:
    """Whoever is root in a container holds every inotify instance that the node's root may have."""
    libc, held = ctypes.CDLL(None), []
    with stage() as scene:
        web = scene.container("web")
        scene.load(web, "hog", "rate=0", "max=50")
        scene.names += ["late", "later"]
        while (fd := libc.inotify_init1(os.O_CLOEXEC)) >= 0:
            held.append(fd)
        guard = scene.guard()
        late = scene.container("late")
        time.sleep(HOUSEKEEPING_SECONDS)
        scene.load(late, "hog", "rate=100", "max=2000")
        gone = ends(late)
        for fd in held:
            os.close(fd)
        time.sleep(HOUSEKEEPING_SECONDS)
        later = scene.container("later")
        scene.load(later, "hog", "rate=100", "max=2000")
        told = [line["reason"] for line in guard.said("trouble")]
        return outcome(guard, web, held=len(held), told=told, gone=gone and ends(later))


def impostor() -> dict[str, Any]:
    """A container's process bears the name of one that the node cannot do without, while that one dies."""
    with stage() as scene:
        web, hog = scene.container("web"), scene.container("hog", limit_mib=160)
        kubelet = RUN / "kubelet"
        shutil.copy("/bin/sleep", kubelet)
        unshared = ("unshare", "--fork", "--pid", str(kubelet), "1000")
        scene.children.append(subprocess.Popen((LOADS, "enter", f"cgroup={web}", "adj=900", "--", *unshared)))
        real = subprocess.Popen((str(kubelet), "1000"))
        until(lambda: populated(web), 2)
        guard = scene.guard()
        time.sleep(1)  # of its clock: it has kept house, and does so again in 9 s
        real.kill()
        real.wait()
        scene.load(hog, "hog", "rate=0", "max=2000")
        gone = ends(hog)
        guard.hears("alarm", 3)
        return outcome(guard, web, alarms=[line["reason"] for line in guard.said("alarm")], gone=gone)


def blame() -> dict[str, Any]:
    """It fills the node to just above the reserve and stands still, so that a neighbour's few MiB break it."""
    with stage() as scene:
        web, hog = scene.container("web"), scene.container("hog")
        guard = scene.guard(rule=asked(web, "web", 200) + asked(hog, "hog", 64))
        room = available() - 100 * MIB - 40 * MIB
        scene.load(hog, "hog", "rate=400", f"max={room // MIB}")
        until(lambda: available() < 145 * MIB, 20, step=0.01)
        scene.load(web, "hog", "rate=20", "max=180")
        until(lambda: bool(guard.said("outcome")), 20, step=0.02)
        until(lambda: cgroups.held_bytes(web) >= 175 * MIB, 10, step=0.05)
        return outcome(guard, web, gone=not populated(hog))


def asked(cgroup: Path, name: str, mib: int) -> str:
    """A container with a request, as a table."""
    path = cgroup.relative_to(KUBEPODS.parent)
    return f'\n[[containers]]\ncgroup = "{path}"\nnamespace = "shop"\nname = "{name}"\nrequestBytes = {mib * MIB}\n'


def available() -> int:
    """MemAvailable."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable")) * 1024


DELEGATED = """
mount -t cgroup2 none /mnt || exit 9
try() { if sh -c "$2" 2>/dev/null; then echo "$1 yes"; else echo "$1 no"; fi; }
try limit "echo max > /mnt/memory.max"
try line "echo max > /mnt/memory.high"
try protection "echo 1G > /mnt/memory.min"
try freeze "echo 0 > /mnt/cgroup.freeze"
try group "echo 0 > /mnt/memory.oom.group"
try nest "mkdir -p /mnt/inner/deeper"
try above "ls /mnt/../cgroup.procs"
try mark "python3 -c 'import os; os.setxattr(\\"/mnt\\", \\"user.memguard.line\\", os.environ[\\"MARK\\"].encode())'"
"""


def delegated() -> dict[str, Any]:
    """What a container may do to its own cgroup where its runtime mounts that writable: root, in a cgroup namespace.

    It also forges the mark by which a guard knows its own lines, so that kubelet's (MemoryQoS) passes for one.
    """
    with stage() as scene:
        web, hog = scene.container("web"), scene.container("hog", limit_mib=256, high_mib=200)
        scene.load(web, "hog", "rate=0", "max=50")
        mark = f"line {hog.stat().st_ino} {UNLIMITED} {200 * MIB} {200 * MIB}"
        inside = (LOADS, "enter", f"cgroup={hog}", "--", "unshare", "--cgroup", "--mount", "sh", "-c", DELEGATED)
        ran = subprocess.run(inside, capture_output=True, text=True, env={**os.environ, "MARK": mark}, check=False)
        may = dict(line.split() for line in ran.stdout.splitlines())
        before = high(hog)
        guard = scene.guard()
        lifted = high(hog)
        return outcome(guard, web, may=may, code=ran.returncode, before=before, lifted=lifted)


def uncharged() -> dict[str, Any]:
    """What is sent into sockets that nobody reads: no process holds it, and no limit of the sender's counts it."""
    with stage() as scene:
        web, hog = scene.container("web"), scene.container("hog")
        scene.load(web, "hog", "rate=0", "max=50")
        guard = scene.guard()
        scene.children.append(
            subprocess.Popen((LOADS, "enter", f"cgroup={hog}", "adj=900", "--", sys.executable, "-c", SOCKETS))
        )
        until(lambda: bool(guard.said("nobody") or guard.said("decision") or guard.said("alarm")), 30, step=0.02)
        time.sleep(2)
        return outcome(
            guard, web, freed=[line["freedBytes"] for line in guard.said("outcome")],
            alarms=[line["reason"] for line in guard.said("alarm")], gone=not populated(hog),
        )  # fmt: skip


SOCKETS = """
import resource, socket
resource.setrlimit(resource.RLIMIT_NOFILE, (65536, 65536))
pairs, block = [], b"x" * 65536
while True:
    pairs.append(socket.socketpair())
    pairs[-1][0].setblocking(False)
    try:
        while True:
            pairs[-1][0].send(block)
    except BlockingIOError:
        pass
"""


def told(part: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What one part came to, or why it could not be played."""
    try:
        return part()
    except Exception:
        return {"problem": traceback.format_exc()}


def main() -> None:
    """Those that are named, or all of them."""
    parts = (imitation, escape, threads, no_inotify, impostor, blame, uncharged, delegated)
    tell({part.__name__: told(part) for part in parts if part.__name__ in sys.argv[1:] or not sys.argv[1:]})


if __name__ == "__main__":
    main()
