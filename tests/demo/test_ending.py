"""From measurements to an ending: the figures of a stored run, and every way in which a story can go wrong."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from demo.ending import MIB, Ending, Hand, tell
from demo.stories import LEAD_SECONDS, Story
from demo.trail import simplified
from demo.words import headline, lateness, reading
from tests.machine.guest.result import CellResult

Played = dict[str, tuple[Story, CellResult]]


class TestTheStoredRun:
    def test_every_story_ended_as_it_should(self, endings: dict[str, Ending]) -> None:
        assert {name: ending.complaints for name, ending in endings.items()} == {"node": (), "limit": (), "observe": ()}

    @pytest.mark.parametrize(("name", "hand"), [("node", "memguard"), ("limit", "memguard"), ("observe", "kernel")])
    def test_by_whose_hand(self, endings: dict[str, Ending], name: str, hand: Hand) -> None:
        assert endings[name].hand == hand

    @pytest.mark.parametrize(
        ("name", "kinds"),
        [
            ("node", ["line", "hold", "kill", "back"]),
            ("limit", ["line", "stop", "exit", "back"]),
            ("observe", ["line", "would", "dry", "kernel", "back"]),
        ],
    )
    def test_what_happened_in_order(self, endings: dict[str, Ending], name: str, kinds: list[str]) -> None:
        assert [moment.kind for moment in endings[name].moments] == kinds

    def test_memguard_is_a_few_milliseconds_late_and_the_kernel_most_of_a_second(
        self, endings: dict[str, Ending]
    ) -> None:
        late = {name: ending.late_seconds or 0 for name, ending in endings.items()}
        assert 0 < late["node"] < 0.01
        assert 0 < late["limit"] < 0.02
        assert 0.5 < late["observe"] < 2

    def test_what_was_left(self, endings: dict[str, Ending]) -> None:
        left = {name: ending.left_bytes / MIB for name, ending in endings.items()}
        assert left["node"] == pytest.approx(100, abs=5)
        assert left["limit"] == pytest.approx(16, abs=2)
        assert left["observe"] < 1

    def test_the_brake_held_until_the_exit(self, endings: dict[str, Ending]) -> None:
        ending = endings["limit"]
        ((begun, over),) = ending.braked
        line, left = ending.moment("line"), ending.moment("exit")
        assert line is not None
        assert left is not None
        assert begun <= line.at_seconds < left.at_seconds == pytest.approx(over, abs=0.02)

    def test_the_curves_reach_from_before_the_growth_to_the_end(self, endings: dict[str, Ending]) -> None:
        for ending in endings.values():
            for curve in ending.curves:
                assert curve.points[0][0] < 0 or ending.name == "limit"
                assert curve.points[-1][0] >= ending.moments[-1].at_seconds
                assert all(0 <= v <= ending.limit_bytes / MIB for _, v in curve.points)


class TestWhatGoesWrong:
    @pytest.mark.parametrize(
        ("name", "changes", "complaint"),
        [
            ("node", {"kernel_oom_kills": 2}, "the kernel's OOM killer killed 2 processes"),
            ("node", {"culprits_died": ()}, "shop/cart-7d9/app should have died, and lives"),
            ("node", {"culprits_whole": False}, "did not end whole"),
            ("node", {"innocents_touched": ("service",)}, "innocents were hit: service"),
            ("node", {"idle_touched": 1}, "1 bystanders were hit"),
            ("node", {"leftovers": {"kubepods.slice/memory.high": "1"}}, "left behind kubepods.slice/memory.high"),
            ("node", {"actions": ()}, "clocks"),
            ("limit", {"kernel_oom_kills": 1}, "the kernel's OOM killer killed 1 process"),
            ("observe", {"kernel_oom_kills": 0}, "should have come, and did not"),
        ],
    )
    def test_is_said(self, played: Played, memory: int, name: str, changes: dict[str, object], complaint: str) -> None:
        story, cell = played[name]
        ending = tell(story, replace(cell, **changes), memory)  # type: ignore[arg-type]
        assert not ending.good
        assert any(complaint in said for said in ending.complaints)
        assert headline(ending).startswith("WENT WRONG: ")

    def test_a_silent_guard(self, played: Played, memory: int) -> None:
        story, cell = played["node"]
        ending = tell(story, replace(cell, guard=replace(cell.guard, log=("Traceback", "{}"))), memory)
        assert ending.complaints == ("memguard decided nothing",)
        assert ending.hand == "nobody"

    def test_a_guard_that_died(self, played: Played, memory: int) -> None:
        story, cell = played["observe"]
        ending = tell(story, replace(cell, guard=replace(cell.guard, died_early=True)), memory)
        assert ending.complaints == ("memguard itself ended before the story did",)

    def test_the_wrong_victim(self, played: Played, memory: int) -> None:
        story, cell = played["node"]
        log = tuple(line.replace('"cart-7d9"', '"search-0"') for line in cell.guard.log)
        ending = tell(story, replace(cell, guard=replace(cell.guard, log=log)), memory)
        assert ending.complaints == ("memguard chose shop/search-0/app",)

    def test_a_kill_where_an_exit_was_due(self, played: Played, memory: int) -> None:
        story, cell = played["limit"]
        hog = next(container for container in cell.containers if container.culprit)
        killed = replace(hog, processes=tuple(replace(process, exit_code=-9) for process in hog.processes))
        others = tuple(container for container in cell.containers if container is not hog)
        ending = tell(story, replace(cell, containers=(killed, *others), exit_at=None), memory)
        assert ending.complaints == ("shop/report-6b8/app should have exited by itself, and was killed",)
        assert ending.manner == "SIGTERM, and a kill when time was up"


class TestReading:
    def test_the_journal_is_put_on_the_cells_clock(self, played: Played, endings: dict[str, Ending]) -> None:
        _, cell = played["node"]
        kill = endings["node"].moment("kill")
        assert kill is not None
        assert cell.grew_until is not None
        assert kill.at_seconds + LEAD_SECONDS == pytest.approx(cell.grew_until, abs=0.01)

    def test_a_bell_that_no_sample_saw(self, played: Played, memory: int) -> None:
        """The kernel's word that the line was crossed counts, when use fell again before the next sample."""
        story, cell = played["limit"]
        index = 1 + cell.timeline.columns.index("hog.current")
        rows = tuple((*row[:index], min(row[index], 240 * 1024), *row[index + 1 :]) for row in cell.timeline.rows)
        ending = tell(story, replace(cell, timeline=replace(cell.timeline, rows=rows)), memory)
        assert ending.late_seconds == pytest.approx(ending.timing["acted"], abs=1e-4)

    def test_memguards_own_reading_that_no_sample_confirms(self, played: Played, memory: int) -> None:
        story, cell = played["node"]
        ending = tell(story, replace(cell, reserve_bytes=50 * MIB), memory)
        assert ending.late_seconds == pytest.approx(ending.timing["acted"], abs=1e-4)
        assert lateness(ending).endswith("ms after memguard saw the reserve touched")

    def test_a_line_that_was_never_reached(self, played: Played, memory: int) -> None:
        story, cell = played["node"]
        log = tuple(line.replace('"tick"', '"psi"') for line in cell.guard.log)
        ending = tell(story, replace(cell, reserve_bytes=50 * MIB, guard=replace(cell.guard, log=log)), memory)
        assert ending.late_seconds is None
        assert lateness(ending) == "before the reserve was reached"

    def test_a_sentence_without_paths(self) -> None:
        path = "pod:kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podf1bdd9c8.slice"
        assert reading(f"a is chosen: {path} has 1 MiB") == "a is chosen: its pod's limit has 1 MiB"
        assert reading(f"a is chosen: container:{64 * 'a'} has 1 MiB") == "a is chosen: its container's limit has 1 MiB"

    def test_a_curve_keeps_its_corners(self) -> None:
        points = [(t / 10, 0.0 if t < 50 else 1.0) for t in range(100)]
        assert simplified(points, 0.01) == [points[0], points[49], points[50], points[-1]]
        assert simplified([], 1) == []

    def test_the_log_may_hold_anything(self, played: Played, memory: int) -> None:
        story, cell = played["node"]
        noise = ("", "warning: x", "[]", json.dumps({"kind": "decision"}))
        log = (*noise, *cell.guard.log)
        assert tell(story, replace(cell, guard=replace(cell.guard, log=log)), memory).good
