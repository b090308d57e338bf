"""Table and pictures, from a stored run: whole, well-formed, and nothing on top of anything else."""

from __future__ import annotations

import re
from itertools import combinations
from xml.etree import ElementTree as ET

import msgspec
import pytest
from demo.ending import Ending
from demo.picture import WIDTH, picture
from demo.report import Report
from demo.sketch import NARROWEST, sketch
from demo.svg import wrapped
from demo.table import table, verdict
from rich.console import Console

from memguard.cli.view.plot import spread, ticks

SVG = "{http://www.w3.org/2000/svg}"
#: Font sizes of picture.py's classes, and a generous width of a character.
SIZES = {"title": 22, "story": 16, "said": 13, "axis": 11, "badge": 11}
CHARACTER = 0.56


def bare(ending: Ending) -> Ending:
    """Nothing happened and nothing was measured."""
    return msgspec.structs.replace(
        ending, moments=(), curves=(), braked=(), died=(), hand="nobody", reason="", late_seconds=None,
        others_worst_seconds=None, complaints=("it failed",),
    )  # fmt: skip


def plain(report: Report, width: int = 110) -> str:
    console = Console(width=width, markup=False, highlight=False, color_system=None)
    with console.capture() as capture:
        console.print(table(report))
        console.print(verdict(report))
    return capture.get()


class TestPicture:
    def test_is_well_formed_and_has_a_panel_for_each_story(self, report: Report) -> None:
        root = ET.fromstring(picture(report))  # noqa: S314 - our own
        titles = [element.text for element in root.iter(f"{SVG}text") if element.get("class") == "story"]
        assert root.tag == f"{SVG}svg"
        assert titles == [f"{number}. {ending.title}" for number, ending in enumerate(report.stories, 1)]

    def test_marks_line_reserve_hold_kill_and_release(self, report: Report) -> None:
        drawn = picture(report)
        for class_ in ("threshold", "reserve", "hold", "bar", "fate", "culprit-curve", "domain-curve"):
            assert f'class="{class_}"' in drawn or f' {class_}"' in drawn
        for moment in report.stories[0].moments:
            assert f">{moment.words}<" in drawn

    def test_axes_have_units(self, report: Report) -> None:
        drawn = picture(report)
        assert drawn.count("MiB in use") == 3
        assert drawn.count("seconds since the growth began") == 3
        assert drawn.count("milliseconds since the reserve was touched") == 2
        assert drawn.count("milliseconds since the line was crossed") == 1

    def test_can_be_read_in_the_dark(self, report: Report) -> None:
        assert "@media (prefers-color-scheme:dark)" in picture(report)

    def test_no_label_lies_on_another_or_beyond_the_edge(self, report: Report) -> None:
        boxes = [_box(element) for element in ET.fromstring(picture(report)).iter(f"{SVG}text")]  # noqa: S314
        for box in boxes:
            assert box.left >= 0
            assert box.right <= WIDTH, box
        for a, b in combinations(boxes, 2):
            assert not a.touches(b), (a, b)

    def test_quotes_what_a_name_may_hold(self, report: Report) -> None:
        odd = msgspec.structs.replace(report.stories[0], culprit="<&>\"'", complaints=("<&>\"'",))
        ET.fromstring(picture(msgspec.structs.replace(report, stories=(odd,))))  # noqa: S314 - our own

    def test_can_be_drawn_when_nothing_happened(self, report: Report) -> None:
        drawn = picture(msgspec.structs.replace(report, stories=(bare(report.stories[0]),)))
        ET.fromstring(drawn)  # noqa: S314 - our own
        assert "WENT WRONG: it failed" in drawn

    def test_an_end_before_the_line_is_counted_from_the_end(self, report: Report) -> None:
        first = report.stories[0]
        moments = tuple(moment for moment in first.moments if moment.kind != "line")
        early = msgspec.structs.replace(first, moments=moments, late_seconds=None)
        drawn = picture(msgspec.structs.replace(report, stories=(early,)))
        assert "milliseconds since the kill" in drawn
        assert "before the reserve was reached" in drawn


class Box(msgspec.Struct, frozen=True):
    words: str
    left: float
    right: float
    top: float
    bottom: float

    def touches(self, other: Box) -> bool:
        beside = self.right <= other.left or other.right <= self.left
        return not (beside or self.bottom <= other.top or other.bottom <= self.top)


def _box(element: ET.Element) -> Box:
    classes = element.get("class", "").split()
    size = next((SIZES[name] for name in classes if name in SIZES), 12)
    spans = [(span.text or "", float(span.get("dx", 0)), SIZES["said"]) for span in element]
    width = sum(len(words) * CHARACTER * height + gap for words, gap, height in [(element.text or "", 0, size), *spans])
    anchor = {"middle": 0.5, "end": 1.0}.get(element.get("text-anchor", ""), 0.0)
    x, y = float(element.get("x", 0)), float(element.get("y", 0))
    words = "".join(element.itertext())
    return Box(words, x - anchor * width, x + (1 - anchor) * width, y - 0.75 * size, y + 0.2 * size)


class TestSketch:
    @pytest.mark.parametrize("width", [60, 80, 110, 300])
    def test_fits(self, endings: dict[str, Ending], width: int) -> None:
        for ending in endings.values():
            *drawn, told = sketch(ending, width).plain.splitlines()
            assert max(map(len, drawn)) <= width
            assert told.startswith("1 ")

    def test_shows_everything(self, endings: dict[str, Ending]) -> None:
        drawn = sketch(endings["node"], 100).plain
        assert "╌" in drawn  # the line
        assert "│" in drawn  # the kill
        assert {"node", "search", "orders", "cart"} <= set(drawn.split())
        assert re.search(r"\n +1 2 3 +4 *\n", drawn)
        assert re.search(r"3 killed, whole \(\d\.\d ms after the reserve\)", drawn)

    def test_only_a_limit_has_a_line(self, endings: dict[str, Ending]) -> None:
        assert "the line is at 240" in sketch(endings["limit"], 100).plain
        for name in ("node", "observe"):
            assert "line" not in sketch(endings[name], 100).plain
            assert "the reserve begins at 867" in sketch(endings[name], 100).plain

    def test_can_be_drawn_when_nothing_happened(self, endings: dict[str, Ending]) -> None:
        assert sketch(bare(endings["node"]), NARROWEST)


class TestTable:
    def test_says_who_by_whose_hand_how_late_what_was_left_and_why(self, report: Report) -> None:
        drawn = plain(report, width=400)
        rows = {line[:20].strip(): line[20:] for line in drawn.splitlines() if line.strip()}
        assert re.findall(r"shop/\S+, whole", rows["who died"]) == [
            "shop/cart-7d9/app, whole", "shop/report-6b8/app, whole", "shop/cart-7d9/app, whole",
        ]  # fmt: skip
        assert "memguard: cgroup.kill" in rows["by whose hand"]
        assert "memguard: SIGTERM, and it exited by itself" in rows["by whose hand"]
        assert "the kernel: its OOM killer" in rows["by whose hand"]
        assert re.findall("after the (.*?) was", rows["how late"]) == ["reserve", "line", "reserve"]
        assert rows["kernel OOM kills"].split() == ["none", "none", "3", "processes"]
        assert re.match(r"9\d MiB of 967 MiB +1\d MiB of 256 MiB +0 MiB of 967 MiB", rows["left at the worst"].strip())
        assert rows["others' worst wait"].count("ms for 1 MiB of memory") == 3
        assert rows["as it should be"].split() == ["yes"] * 3
        assert "shop/cart-7d9/app is chosen: node has" in rows["why (memguard)"]
        assert "It would have, and this is why:" in rows["why (memguard)"]
        assert drawn.endswith("Every story ended as it should.\n")

    @pytest.mark.parametrize("width", [80, 110, 160])
    def test_loses_no_word_of_the_sentence(self, report: Report, width: int) -> None:
        assert "…" not in plain(report, width)

    def test_says_plainly_what_went_wrong(self, report: Report) -> None:
        wrong = msgspec.structs.replace(report, stories=(bare(report.stories[0]), *report.stories[1:]))
        drawn = plain(wrong, width=400)
        assert "NO: it failed" in drawn
        assert drawn.endswith("THE DEMO WENT WRONG. The node runs dry: it failed.\n")


class TestPlaces:
    def test_neighbours_make_room_and_stay_within(self) -> None:
        assert spread([10, 11, 12, 99], 5, 0, 100) == [10, 15, 20, 99]
        assert spread([98, 99, 100], 5, 0, 100) == [90, 95, 100]
        assert spread([], 5, 0, 100) == []

    def test_ticks_are_round_and_within(self) -> None:
        assert ticks(-0.3, 1.4, 8, (0.1, 0.25, 0.5)) == [-0.25, 0.0, 0.25, 0.5, 0.75, 1.0, 1.25]

    def test_text_is_wrapped_at_words(self) -> None:
        assert wrapped("one two three", 60, 12) == ["one two", "three"]
