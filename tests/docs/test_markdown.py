"""What the generators write is the Markdown that it is meant to be."""

from __future__ import annotations

import re
from pathlib import Path

from tools.docs_site import barred
from tools.markdown import code, filled, table


def test_a_bar_in_a_cell_does_not_end_it() -> None:
    assert table(("a",), [("`x|y`",)]).splitlines()[-1] == r"| `x\|y` |"


def test_the_site_shows_bars_without_the_backslash_that_code_hosts_need(site: Path) -> None:
    cells = re.findall(r"<td.*?</td>", (site / "cli.html").read_text(), re.DOTALL)
    assert [cell for cell in cells if "table|wide|json" in cell]
    assert [cell for cell in cells if r"\|" in cell] == []


def test_numbers_are_aligned_and_nothing_else_is() -> None:
    head, rule, *_ = table(("n", "mixed", "empty"), [(1, "1", ""), ("", "x", ""), (-2.5, "3", "")]).splitlines()
    assert (head, rule) == ("| n | mixed | empty |", "| ---: | --- | --- |")


def test_only_what_is_marked_is_written_anew() -> None:
    text = "a\n<!-- part: x -->\nold\n<!-- end -->\nb\n<!-- other: x -->\nold\n<!-- end -->\n"
    assert filled(text, "part", lambda name: code(f"{name}\n\n")) == text.replace("old", "```text\nx\n```", 1)


def test_bars_in_blocks_of_code_stay_as_they_are() -> None:
    assert barred("```sh\ngrep 'a\\|b'\n```\n") == "```sh\ngrep 'a\\|b'\n```\n"
