"""Runs on the node: opens the leaks' gates at a moment of kubelet's poll, watches, and tells how it went.

It is sent there as text and run by the node's own Python (stage.py), with an order as JSON for its argument, and prints
one JSON object. Standard library only. The watching is done by `loads watch`, which is locked and real-time.
"""

from __future__ import annotations

import base64
import contextlib
import errno
import json
import os
import signal
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROWS = Path("/run/race.rows")
SNAPSHOTS = Path("/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots")
#: kubelet, each time it looks.
LOOK = "Eviction manager: synchronize housekeeping"
#: It looks every 10 s, and after an eviction waits up to 30 s for the pod to be gone.
LOOK_SECONDS = 45
INTERVAL_MS, POLL_SECONDS = 20, 0.1
PATIENCE_SECONDS = 90.0
BYTES_PER_NUMBER = 8


def conduct(order: dict[str, Any]) -> dict[str, Any]:
    """One run. Raises RuntimeError where it cannot begin."""
    _until(lambda: _steady(order["steady"]), f"these did not get so large: {order['steady']}")
    with _watched(order):
        if order["phaseSeconds"] is not None:
            await_look()
            time.sleep(order["phaseSeconds"])
        told = happen(order)
    return {**told, "rows": packed(ROWS.read_bytes())}


def happen(order: dict[str, Any]) -> dict[str, Any]:
    """The incident from the first gate to a while after the last leak, and what can only be read here."""
    hush(order["innocent"], order["latencyReport"])
    kills, highs = kernel_kills(), [_text(f"{cgroup}/memory.high") for cgroup in order["culprits"]]
    held = {name: _number(f"{cgroup}/memory.stat", "anon") for name, cgroup in order["innocents"].items()}
    began = time.monotonic_ns()
    for gate in order["gates"]:
        open_gate(gate)
    await_end(order)
    time.sleep(order["aftermathSeconds"])
    return {
        "beganNs": began,
        "kernelKills": kernel_kills() - kills,
        "memoryHigh": highs,
        "heldBytes": held,
        "latency": hush(order["innocent"], order["latencyReport"]),
        "guardRssBytes": resident(order["guard"]) if order["guard"] else None,
    }


def await_look() -> None:
    """Until kubelet begins to look, so that runs meet it at the phases that they want."""
    command = ("timeout", str(LOOK_SECONDS), "journalctl", "-u", "kubelet", "-f", "-n0", "-o", "cat")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as log:
        assert log.stdout
        seen = any(LOOK in line for line in log.stdout)
        log.terminate()
    if not seen:
        raise RuntimeError(f"kubelet has not looked for {LOOK_SECONDS} s: journalctl -u kubelet")


def open_gate(gate: str) -> None:
    """Let the leak behind it go; it may be on its way there."""

    def opened() -> bool:
        try:
            os.close(os.open(gate, os.O_WRONLY | os.O_NONBLOCK))
        except OSError as error:
            if error.errno in (errno.ENXIO, errno.ENOENT):
                return False
            raise
        return True

    _until(opened, f"nobody waits at {gate}")


def await_end(order: dict[str, Any]) -> None:
    """Until every leak is dead; without leaks, or where one lives on, for the run's time."""
    deadline = time.monotonic() + order["seconds"]
    while time.monotonic() < deadline and (not order["culprits"] or any(map(alive, order["culprits"]))):
        time.sleep(POLL_SECONDS)


def alive(cgroup: str) -> bool:
    """Whether any process is left in it."""
    return "populated 1" in _text(f"{cgroup}/cgroup.events")


def hush(cgroup: str, report: str) -> dict[str, Any] | None:
    """End the innocent's measurement, which begins anew at once, and return it; None where it did not come."""
    file = Path(report)
    file.unlink(missing_ok=True)
    measuring = [pid for pid in _text(f"{cgroup}/cgroup.procs").split() if _text(f"/proc/{pid}/comm").strip() == "lat"]
    for pid in measuring:
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGTERM)
    found: dict[str, Any] = {}

    def ended() -> bool:
        with contextlib.suppress(FileNotFoundError, json.JSONDecodeError):
            found.update(json.loads(file.read_text()))
        gone = not any(Path(f"/proc/{pid}").exists() for pid in measuring)
        return gone and (bool(found) or not alive(cgroup))

    _until(ended, f"the innocent does not write {report}")
    return found or None


def kernel_kills() -> int:
    """Processes that the kernel has killed for want of memory since the boot."""
    return _number("/proc/vmstat", "oom_kill")


def resident(cgroup: str) -> int:
    """Bytes that the processes of a cgroup have in memory."""
    pids = _text(f"{cgroup}/cgroup.procs").split()
    pages = (int(words[1]) for pid in pids if (words := _text(f"/proc/{pid}/statm").split()))
    return sum(pages) * os.sysconf("SC_PAGE_SIZE")


def packed(rows: bytes) -> str:
    """The rows that were written, of the many that there was room for: `loads watch` counts them in the first one."""
    done, width = (int.from_bytes(rows[at : at + BYTES_PER_NUMBER], "little") for at in (0, BYTES_PER_NUMBER))
    return base64.b64encode(zlib.compress(rows[: (done + 1) * width * BYTES_PER_NUMBER])).decode()


@contextlib.contextmanager
def _watched(order: dict[str, Any]) -> Iterator[None]:
    """The columns are written into ROWS meanwhile. No process is left behind: the guest agent would wait for it."""
    ROWS.unlink(missing_ok=True)
    seconds = order["seconds"] + order["aftermathSeconds"] + LOOK_SECONDS + 2 * PATIENCE_SECONDS
    room, files = f"rows={int(seconds * 1000 / INTERVAL_MS)}", f"files={','.join(order['columns'])}"
    program = str(next(SNAPSHOTS.glob("*/fs/loads")))
    command = (program, "watch", f"out={ROWS}", f"interval_us={INTERVAL_MS * 1000}", room, files)
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as watch:
        try:
            yield
        finally:
            watch.terminate()


def _steady(least: dict[str, int]) -> bool:
    return all(int(_text(path) or 0) >= size for path, size in least.items())


def _until(question: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not question():
        if time.monotonic() > deadline:
            raise RuntimeError(otherwise)
        time.sleep(POLL_SECONDS)


def _text(path: str) -> str:
    """A file's content; nothing where the cgroup or the process is gone."""
    try:
        return Path(path).read_text()
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENODEV, errno.ESRCH):
            return ""
        raise


def _number(path: str, key: str) -> int:
    """The number beside a key, 0 where there is none."""
    found = (line.split() for line in _text(path).splitlines())
    return next((int(words[1]) for words in found if words and words[0] == key), 0)


if __name__ == "__main__":
    json.dump(conduct(json.loads(sys.argv[1])), sys.stdout)
