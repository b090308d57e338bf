"""What becomes of lines when somebody else writes there, and when nobody does but they may not stand any more."""

from __future__ import annotations

import pytest
from tests.guard.conftest import Inhabit, Serve
from tests.guard.test_loop import ENFORCE, LIMITS, TUNING, names, unkillable
from tests.guard.world import EVENTS, Duty, Load, World, identity
from tests.kernel_files.trees import MIB

from memguard.guard.limits import MOST_TOUCH_SECONDS
from memguard.guard.loop import HOUSEKEEPING_SECONDS
from memguard.kernel import inotify
from memguard.kernel.inotify import Inotify
from memguard.kernel.touches import Touches

EVERYBODY = '[[containers]]\ncgroup = "*"\nnamespace = "shop"\n'
#: More than have their turn in one housekeeping.
MANY = 40


def crowd(world: World, count: int = MANY) -> list[Load]:
    return [world.container(number, anon=20 * MIB, limit=256 * MIB) for number in range(1, count + 1)]


def high(load: Load) -> str:
    return load.content("memory.high")


@pytest.fixture
def web(world: World) -> Load:
    """In a crowd."""
    crowd(world)
    return world.container(60, anon=100 * MIB, limit=256 * MIB)


@pytest.fixture
def duty(serve: Serve, web: Load) -> Duty:
    duty = serve(ENFORCE + TUNING + LIMITS + EVERYBODY)
    duty.run(1)
    return duty


# --- somebody writes


@pytest.mark.row("E4")
def test_a_ring_of_the_old_line_does_not_take_the_new_one_away(duty: Duty, web: Load) -> None:
    """The limit is written and the line rings in one moment."""
    web.limit = 512 * MIB
    web.write("memory.max", f"{web.limit}\n")
    web.write("memory.events.local", EVENTS.format(1, 0))
    duty.run(0.2)
    assert high(web) != "max"


@pytest.mark.row("E4")
def test_a_limit_that_is_seen_before_it_is_heard_has_its_line_at_once(world: World, serve: Serve) -> None:
    """A resting line is looked at every few milliseconds, also while nobody listens."""
    crowd(world)
    web = world.container(60, anon=100 * MIB, cache=150 * MIB, limit=256 * MIB)
    duty = serve(ENFORCE + TUNING + LIMITS + EVERYBODY)
    duty.run(1)
    assert duty.guard.limits.bells[web.path].state == "resting"
    web.write("memory.high", "max\n")
    duty.run(0.01)
    web.limit = 512 * MIB
    web.write("memory.max", f"{web.limit}\n")
    duty.run(0.3)
    assert high(web) != "max"


@pytest.mark.row("E4")
def test_what_is_written_while_a_line_is_hung_is_heard(
    world: World, duty: Duty, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The runtime sets a new container's limits just then."""
    attend, written = Touches.attend, []

    def beaten(touches: Touches, path: str) -> None:
        attend(touches, path)
        if path.endswith(f"{70:064x}.scope") and not written:
            written.append(path)
            (world.cgroup_root / path / "memory.high").write_text("max\n")

    monkeypatch.setattr(Touches, "attend", beaten)
    late = world.container(70, anon=100 * MIB, limit=256 * MIB)
    duty.run(2)
    assert written
    assert high(late) == str(240 * MIB)


def test_who_writes_again_and_again_does_not_fill_the_journal(world: World, duty: Duty, web: Load) -> None:
    world.hooks.append(lambda _: web.write("memory.high", "max\n"))
    duty.run(5)
    assert len(duty.lines("line")) <= 2


@pytest.mark.row("A4")
def test_events_without_end_do_not_keep_the_guard(duty: Duty, web: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = []

    def another(events: Inotify) -> bytes:
        reads.append(events)
        return inotify._HEADER.pack(1, 0x08, 0, 0)

    monkeypatch.setattr(Inotify, "_read", another)
    before = duty.world.time
    web.write("memory.max", f"{256 * MIB}\n")
    duty.run(MOST_TOUCH_SECONDS)
    assert reads
    assert duty.world.time - before >= MOST_TOUCH_SECONDS


@pytest.mark.row("E4")
def test_a_line_that_cannot_be_read_is_tried_again_with_each_housekeeping(
    duty: Duty, web: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the others are looked after all the same."""
    limits = duty.guard.limits
    with monkeypatch.context() as broken:
        broken.setattr(limits, "_check", _refuse)
        web.write("memory.high", "max\n")
        duty.run(0.1)
        assert high(web) == "max"
        assert duty.lines("trouble")[0]["reason"] == "no descriptor"
    duty.run(HOUSEKEEPING_SECONDS + 1)
    assert high(web) == str(240 * MIB)


def _refuse(*_: object) -> None:
    raise OSError("no descriptor")


# --- nobody writes


@pytest.mark.row("K5", "E4")
def test_lines_come_down_when_the_budget_is_spent(world: World, serve: Serve) -> None:
    loads = crowd(world)
    duty = serve(ENFORCE + TUNING + "[budget]\nperNode = 1\nwindowSeconds = 600\n" + LIMITS + EVERYBODY)
    duty.run(1)
    assert all(high(load) != "max" for load in loads)
    loads[0].rate = 200 * MIB
    duty.run(5, until=lambda: not loads[0].alive)
    duty.run(HOUSEKEEPING_SECONDS + 3)
    assert {high(load) for load in loads[1:]} == {"max"}


@pytest.mark.row("E4")
def test_a_line_comes_down_when_somebody_is_found_to_be_unkillable(world: World, duty: Duty, web: Load) -> None:
    unkillable(world, web)
    ward = duty.guard.watch.wards[web.path]
    assert ward.study(duty.clock.now(), duty.clock.monotonic(), str(world.proc_root), swap=False)
    ward.adopt(duty.guard.watch.terms)
    duty.run(HOUSEKEEPING_SECONDS + 3)
    assert high(web) == "max"


@pytest.fixture
def pod_of_two(world: World) -> tuple[Load, Load, str]:
    """An application, a protected sidecar that is too small to matter, and the pod's slice."""
    crowd(world)
    pod = world.charged_pod(90, 512 * MIB)
    app = world.container(90, anon=300 * MIB, pod=90, pod_limit=512 * MIB)
    side = world.container(91, anon=MIB, pod=90)
    return app, side, pod.path


PROTECTED = '[[rules]]\nmatch = { container = "side" }\nprotected = true\n'


def grows(duty: Duty, side: Load) -> None:
    side.anon = 100 * MIB
    side.show()
    assert side.pod is not None
    side.pod.charge()
    duty.world.meminfo()
    duty.guard.watch.sweep()


@pytest.mark.row("K5")
def test_a_pods_line_comes_down_when_a_protected_sidecar_is_no_longer_small(
    world: World, serve: Serve, pod_of_two: tuple[Load, Load, str]
) -> None:
    _, side, pod = pod_of_two
    duty = serve(ENFORCE + TUNING + PROTECTED + LIMITS + identity(side, "shop", "p", "side") + EVERYBODY)
    duty.run(1)
    assert duty.guard.limits.bells[pod].state == "armed"
    grows(duty, side)
    duty.run(HOUSEKEEPING_SECONDS + 3)
    assert pod not in duty.guard.limits.bells
    assert (world.cgroup_root / pod / "memory.high").read_text().strip() == "max"


@pytest.mark.row("K5")
def test_a_pods_brake_goes_when_a_protected_sidecar_is_no_longer_small(
    world: World, serve: Serve, inhabit: Inhabit, pod_of_two: tuple[Load, Load, str]
) -> None:
    """Also in the middle of a long grace, and whoever has the next turn."""
    app, side, pod = pod_of_two
    process = inhabit(app.directory, world.proc_root, "trap '' TERM")
    app.write("cgroup.procs", f"{process.pid}\n")
    app.pids, app.rate = [process.pid], 60 * MIB
    patient = "[[rules]]\nguardLimit = true\ngraceSeconds = 120\n"
    duty = serve(ENFORCE + TUNING + PROTECTED + patient + identity(side, "shop", "p", "side") + EVERYBODY)
    duty.run(60, until=duty.decisions)
    app.rate = 0
    duty.run(1)
    assert duty.guard.limits.bells[pod].state == "braking"
    side.anon = 8 * MIB
    side.show()
    duty.guard.watch.sweep()
    duty.run(HOUSEKEEPING_SECONDS + 3)
    assert duty.guard.limits.bells[pod].state != "braking"


def test_a_pods_line_goes_with_its_last_container(
    world: World, serve: Serve, pod_of_two: tuple[Load, Load, str]
) -> None:
    app, side, pod = pod_of_two
    duty = serve(ENFORCE + TUNING + LIMITS + EVERYBODY + names(app))
    duty.run(1)
    assert pod in duty.guard.limits.bells
    for load in (app, side):
        load.vanish()
    duty.run(1)
    assert pod not in duty.guard.limits.bells
