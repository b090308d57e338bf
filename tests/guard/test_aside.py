"""Work that may block is done by a child; the ears hear of its end."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.guard.conftest import MakeWard
from tests.guard.scarcity import no_descriptors
from tests.guard.wards import plan
from tests.kernel_files.trees import MIB

from memguard.core.policy import Rule
from memguard.guard.aside import aside
from memguard.guard.ears import Ears
from memguard.guard.squeeze import SQUEEZE_BYTES, SQUEEZE_PART, SQUEEZE_SECONDS, Squeeze, coldest
from memguard.guard.ward import Ward


def until_heard(ears: Ears) -> None:
    for _ in range(50):
        heard = ears.sleep(0.2)
        for one in heard:
            one(0.0)
        if heard:
            return


def test_the_guard_does_not_wait_and_hears_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gate, ears, ended, forked = tmp_path / "gate", Ears(), [], []
    fork = os.fork
    monkeypatch.setattr(os, "fork", lambda: forked.append(fork()) or forked[-1])
    os.mkfifo(gate)
    assert aside(gate.read_text, ears, lambda: ended.append(1))
    assert ears.sleep(0) == []
    gate.write_text("go")
    until_heard(ears)
    assert ended == [1]
    with pytest.raises(ChildProcessError):  # it was waited for already
        os.waitpid(forked[0], os.WNOHANG)


def test_what_goes_wrong_aside_stays_there() -> None:
    ears, ended = Ears(), []

    def fail() -> None:
        os.close(2)
        raise RuntimeError

    assert aside(fail, ears, lambda: ended.append(1))
    until_heard(ears)
    assert ended == [1]


def test_no_memory_to_fork_is_no_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> int:
        raise BlockingIOError

    monkeypatch.setattr(os, "fork", refuse)
    assert not aside(lambda: None, Ears())


@pytest.mark.row("A4")
def test_no_descriptor_to_hear_its_end_with_is_no_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else each of a course's looks, every 3 ms, would fork a child that nobody buries, and come no further."""
    forked: list[int] = []
    monkeypatch.setattr(os, "fork", lambda: forked.append(1) or 1)
    with no_descriptors():
        assert not aside(lambda: None, Ears())
    assert forked == []


def test_no_descriptor_is_left() -> None:
    ears = Ears()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        aside(lambda: None, ears)
        until_heard(ears)
    assert len(os.listdir("/proc/self/fd")) == before


# --- reclaim


PUSHED = {"actions": ("reclaim", "brake", "kill")}


def sized(make_ward: MakeWard, name: str, size: int, **rule: object) -> Ward:
    ward = make_ward(name, plan(**(PUSHED | rule)))
    ward.footprint_bytes, ward.risen_bytes = size, 0
    return ward


def test_a_push_is_gentle_measured_and_one_at_a_time(make_ward: MakeWard) -> None:
    ears, measured = Ears(), []
    squeeze = Squeeze(ears, lambda ward, freed: measured.append((ward.id, freed)))
    ward = sized(make_ward, "cold", 100 * MIB)
    reclaim = Path(f"{ward.cgroup}/memory.reclaim")
    assert squeeze.due(10.0)
    squeeze.start(ward, 10.0)
    assert not squeeze.due(10.0 + SQUEEZE_SECONDS + 1), "while it is under way"
    until_heard(ears)
    assert reclaim.read_text() == str(100 * MIB // SQUEEZE_PART)
    assert measured == [("cold", 0)]
    assert not squeeze.due(10.0 + SQUEEZE_SECONDS / 2)
    assert squeeze.due(10.0 + SQUEEZE_SECONDS)
    ward.footprint_bytes = 100 * SQUEEZE_BYTES
    squeeze.start(ward, 20.0)
    until_heard(ears)
    assert reclaim.read_text().startswith(str(SQUEEZE_BYTES))


def test_the_largest_cold_one_is_pushed(make_ward: MakeWard) -> None:
    wards = [sized(make_ward, str(size), size * MIB) for size in (10, 300, 200)]
    assert coldest(wards) is wards[1]
    wards[1].risen_bytes = 1
    assert coldest(wards) is wards[2]
    assert coldest([]) is None


def test_only_for_who_asks_for_it(make_ward: MakeWard) -> None:
    assert coldest([sized(make_ward, "a", 100 * MIB, actions=Rule().actions)]) is None


@pytest.mark.parametrize("files", [{"memory__min": "1\n"}, {"memory__low": "1\n"}])
def test_never_one_whose_memory_is_protected(make_ward: MakeWard, files: dict[str, str]) -> None:
    """Targeted reclaim ignores the target's own protection."""
    ward = make_ward("a", plan(**PUSHED), **files)
    ward.risen_bytes = 0
    assert coldest([ward]) is None


@pytest.mark.parametrize("rule", [{"actions": ("kill", "brake")}, {"protected": True}, {"mode": "Observe"}])
def test_never_one_that_may_not_be_touched(make_ward: MakeWard, rule: dict[str, object]) -> None:
    assert coldest([sized(make_ward, "a", 100 * MIB, **rule)]) is None
