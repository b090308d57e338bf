"""Telling containers that memory is short: those that ask for it, once, and nobody waits for their file systems."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.guard.conftest import Inhabit, MakeWard
from tests.guard.wards import plan
from tests.kernel_files.trees import MIB

from memguard.core.policy import Plan
from memguard.guard.ears import Ears
from memguard.guard.notice import Notices
from memguard.guard.ward import Ward
from memguard.kernel.notify import NOTICE_NAME

Container = Callable[[Ward], "subprocess.Popen[bytes]"]


@pytest.fixture
def ears() -> Ears:
    return Ears()


@pytest.fixture
def notices(proc: Path, ears: Ears) -> Notices:
    return Notices(str(proc), ears)


@pytest.fixture
def container(proc: Path, inhabit: Inhabit) -> Container:
    """Puts a process into a ward that ends with 9 when it is told."""
    return lambda ward: inhabit(Path(str(ward.cgroup)), proc, "trap 'exit 9' USR1")


def settle(ears: Ears) -> None:
    """What is done aside comes to its end."""
    for _ in range(50):
        for heard in ears.sleep(0.2):
            heard(0.0)
            return


@pytest.mark.row("P2")
def test_a_signal(notices: Notices, make_ward: MakeWard, container: Container) -> None:
    ward = make_ward("a", plan(notify_signal="SIGUSR1"))
    one = container(ward)
    assert notices.warn([ward], 5 * MIB) == [ward]
    assert one.wait(30) == 9


@pytest.mark.row("P2")
def test_a_file_in_the_containers_own_file_system(
    notices: Notices, ears: Ears, make_ward: MakeWard, proc: Path
) -> None:
    ward = make_ward("a", plan(notify_directory="/run/app"))
    Path(f"{ward.cgroup}/cgroup.procs").write_text("7\n")
    inside = proc / "7" / "root" / "run" / "app"
    inside.mkdir(parents=True)
    (proc / "7" / "stat").write_text("7 (app) S 1 7 7 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 1 0 0 0\n")
    assert notices.warn([ward], 5 * MIB) == [ward]
    settle(ears)
    assert str(5 * MIB) in (inside / NOTICE_NAME).read_text()


def test_everybody_is_told_once_an_episode(notices: Notices, make_ward: MakeWard) -> None:
    wards = [make_ward(name, plan(notify_signal="SIGUSR1")) for name in "ab"]
    assert notices.warn(wards[:1], 0) == wards[:1]
    assert notices.warn(wards, 0) == wards[1:]
    assert notices.warn(wards, 0) == []
    notices.over()
    assert notices.warn(wards, 0) == wards


@pytest.mark.parametrize(
    "under",
    [
        plan(),
        plan(notify_signal="SIGUSR1", actions=("kill", "terminate")),
        plan(notify_signal="SIGUSR1", protected=True),
        plan(notify_signal="SIGUSR1", mode="Observe"),
        Plan(),
    ],
    ids=["does not ask", "notify is not allowed", "protected", "observed", "nothing is said"],
)
def test_nobody_else_is_told(notices: Notices, make_ward: MakeWard, container: Container, under: Plan) -> None:
    ward = make_ward("a", under)
    one = container(ward)
    assert notices.warn([ward], 0) == []
    assert one.poll() is None


@pytest.mark.usefixtures("kernfs")
@pytest.mark.parametrize("rule", [{"notify_signal": "SIGUSR1"}, {"notify_directory": "/run"}])
def test_one_that_is_gone_keeps_nobody(
    notices: Notices, ears: Ears, make_ward: MakeWard, container: Container, rule: dict[str, str]
) -> None:
    gone, here = make_ward("gone", plan(**rule)), make_ward("here", plan(notify_signal="SIGUSR1"))
    Path(f"{gone.cgroup}/cgroup.procs").write_text("4194305\n")
    one = container(here)
    notices.warn([gone, here], 0)
    assert one.wait(30) == 9
    settle(ears) if "notify_directory" in rule else None
