"""What runs on the node, against real FIFOs, processes and files."""

import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from bench.cluster import conductor
from tests.machine.share import loads


@pytest.fixture
def innocent(tmp_path: Path) -> Iterator[Path]:
    """A directory like a cgroup's, with a process in it that times itself again and again."""
    report = tmp_path / "latency.json"
    script = f"while :; do {loads()} lat report={report}; done"
    with subprocess.Popen(("sh", "-c", script), start_new_session=True) as shell:
        children = Path(f"/proc/{shell.pid}/task/{shell.pid}/children")
        (tmp_path / "cgroup.events").write_text("populated 1\nfrozen 0\n")
        (tmp_path / "cgroup.procs").symlink_to(children)
        conductor._until(lambda: _measures(children), "it never times itself")
        yield tmp_path
        os.killpg(shell.pid, 9)


def _measures(children: Path) -> bool:
    """Whether one of them is `lat`, and already hears SIGTERM."""
    for pid in children.read_text().split():
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        status = dict(line.split(":", 1) for line in lines)
        if status["Name"].strip() == "lat" and int(status["SigCgt"], 16) >> (signal.SIGTERM - 1) & 1:
            return True
    return False


def test_the_innocent_is_asked_for_one_measurement_after_another(innocent: Path) -> None:
    first = conductor.hush(str(innocent), str(innocent / "latency.json"))
    conductor._until(lambda: _measures(innocent / "cgroup.procs"), "it does not begin anew")
    second = conductor.hush(str(innocent), str(innocent / "latency.json"))
    assert first
    assert second
    assert {"p99_ms", "worst_ms"} <= second.keys()


def test_a_dead_innocent_tells_nothing(tmp_path: Path) -> None:
    assert conductor.hush(str(tmp_path / "gone"), str(tmp_path / "latency.json")) is None


def test_whoever_waits_at_the_gate_goes_on(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    opener = threading.Thread(target=conductor.open_gate, args=(str(gate),))
    opener.start()  # before there is a gate
    os.mkfifo(gate)
    subprocess.run(("sh", "-c", f"read open < {gate}; exit 0"), check=True, timeout=60)
    opener.join()


def test_nobody_at_the_gate_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conductor, "PATIENCE_SECONDS", 0.0)
    with pytest.raises(RuntimeError, match="nobody waits at"):
        conductor.open_gate(str(tmp_path / "gate"))


def test_an_incident_is_over_with_the_last_leak(tmp_path: Path) -> None:
    events = tmp_path / "cgroup.events"
    order = {"seconds": 0.0, "culprits": [str(tmp_path)]}
    events.write_text("populated 1\n")
    assert conductor.alive(str(tmp_path))
    conductor.await_end(order)  # its time is over, the leak lives
    events.write_text("populated 0\n")
    assert not conductor.alive(str(tmp_path))
    conductor.await_end({**order, "seconds": 3600.0})


def test_what_a_cgroups_processes_hold_is_read(tmp_path: Path) -> None:
    (tmp_path / "cgroup.procs").write_text(f"{os.getpid()}\n")
    assert conductor.resident(str(tmp_path)) > 1 << 20
    assert conductor.resident(str(tmp_path / "gone")) == 0
    assert conductor.kernel_kills() >= 0
