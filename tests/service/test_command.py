"""A command that runs until it is told to stop: by a signal that says so, and by no other."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from memguard.service.command import LOOK_SECONDS

SERVICE = textwrap.dedent("""
    import sys
    from memguard.service.command import serve

    class Service:
        lost = None
        def start(self): print("started", flush=True)
        def stop(self): print("stopped", flush=True)

    sys.exit(serve(lambda _: Service()))
""")


@pytest.fixture
def service() -> Iterator[subprocess.Popen[str]]:
    command = (sys.executable, "-c", SERVICE)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as one:
        assert one.stdout
        assert one.stdout.readline() == "started\n"
        yield one
        one.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_in_good_order_when_it_is_told_to(service: subprocess.Popen[str], number: signal.Signals) -> None:
    service.send_signal(number)
    assert service.communicate(timeout=20)[0] == "stopped\n"
    assert service.returncode == 0


def test_it_goes_on_after_it_was_stopped_for_a_while(service: subprocess.Popen[str]) -> None:
    """CPython's sigtimedwait returns as if a signal had come where the process stood still for longer than it waits."""
    service.send_signal(signal.SIGSTOP)
    while "T" not in Path(f"/proc/{service.pid}/stat").read_text().rpartition(")")[2].split()[0]:
        pass
    time.sleep(2 * LOOK_SECONDS)  # what is tested takes so long
    service.send_signal(signal.SIGCONT)
    with pytest.raises(subprocess.TimeoutExpired):
        service.wait(3 * LOOK_SECONDS)
    service.send_signal(signal.SIGTERM)
    assert service.wait(20) == 0
