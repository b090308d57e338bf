"""The incident report as people meet it: in light and dark, on a phone, by keyboard, on paper, offline."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.browser.chromium import DESKTOP, PHONE
from tests.browser.conftest import Look
from tests.browser.sight import focusable, overflowing, texts, touching, unreadable, walked
from tests.cli import records
from tests.cli.test_incident_page import NASTY, hostile

from memguard.cli.incident.page import page, raw

KINDS = records.kinds()
KILLED = page(KINDS["killed"])


@pytest.mark.row("G3")
@pytest.mark.parametrize("kind", KINDS)
def test_it_renders_without_a_complaint_and_without_the_network(look: Look, kind: str) -> None:
    seen = look(page(KINDS[kind]), size=PHONE)
    assert seen.page.title().startswith(KINDS[kind].subject[:20])
    assert seen.requests == [seen.address]
    assert seen.complaints == []
    assert seen.page.locator("h1").is_visible()
    assert overflowing(seen.page) == []
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


@pytest.mark.parametrize("name", NASTY)
def test_a_hostile_name_stays_a_name(look: Look, name: str) -> None:
    seen = look(page(hostile(name)), size=PHONE)
    assert seen.requests == [seen.address]
    assert seen.complaints == []
    assert overflowing(seen.page) == []
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert seen.page.locator("script, iframe, img").count() == 0


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("kind", ["killed", "observed", "kernel came", "own limit"])
def test_every_text_can_be_read(look: Look, kind: str, scheme: str, size: dict[str, int]) -> None:
    seen = look(page(KINDS[kind]), size=size, color_scheme=scheme)
    for summary in seen.page.locator("summary").all():
        summary.click()
    found = texts(seen.page)
    assert len(found) > 150
    assert [one["text"] for one in found if not one["hit"]] == [], "nothing lies on it"
    assert unreadable(found) == []


def test_dark_is_dark_and_light_is_light(look: Look) -> None:
    grounds, inks = [], []
    for scheme in ("light", "dark"):
        seen = look(KILLED, color_scheme=scheme)
        style = "getComputedStyle(document.body)"
        grounds.append(seen.page.evaluate(f"{style}.backgroundColor"))
        inks.append(seen.page.evaluate(f"{style}.color"))
    assert grounds == ["rgb(255, 255, 255)", "rgb(16, 19, 23)"]
    assert inks[0] != inks[1]


@pytest.mark.parametrize(("size", "shown"), [(DESKTOP, "wide"), (PHONE, "narrow")], ids=["desktop", "phone"])
def test_pictures_are_drawn_for_the_width_so_that_their_words_keep_their_size(
    look: Look, size: dict[str, int], shown: str
) -> None:
    seen = look(KILLED, size=size)
    other = {"wide": "narrow", "narrow": "wide"}[shown]
    assert seen.page.locator(f"svg.{shown}").count() == 2
    assert all(one.is_visible() for one in seen.page.locator(f"svg.{shown}").all())
    assert not any(one.is_visible() for one in seen.page.locator(f"svg.{other}").all())
    for svg in seen.page.locator(f"svg.{shown}").all():
        scale = svg.evaluate("(one) => one.clientWidth / one.viewBox.baseVal.width")
        assert scale > 0.9


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_no_word_of_a_picture_lies_on_another(look: Look, size: dict[str, int]) -> None:
    for kind in ("killed", "own limit", "old", "evicted"):
        assert touching(look(page(KINDS[kind]), size=size).page) == [], kind


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_the_keyboard_reaches_everything_in_order_and_shows_where_it_is(look: Look, size: dict[str, int]) -> None:
    seen = look(KILLED, size=size)
    reached = walked(seen.page)
    assert [name for name, _ in reached] == focusable(seen.page)
    assert [name for name, visible in reached if not visible] == []
    assert reached[0][0] == "A Skip to the report"
    assert "A Download the JSON" in dict(reached)
    assert sum(name.startswith("SUMMARY") for name, _ in reached) == seen.page.locator("details").count() == 4


def test_what_is_folded_opens_by_keyboard_and_is_reached_then(look: Look) -> None:
    seen = look(KILLED)
    for summary in seen.page.locator("summary").all():
        summary.focus()
        seen.page.keyboard.press("Enter")
    assert seen.page.locator("details[open]").count() == 4
    seen.page.locator(".skip").focus()
    reached = [name for name, _ in walked(seen.page)]
    assert len([name for name in reached if name.startswith(("PRE", "DIV"))]) == 2, "what scrolls can be scrolled"


def test_the_skip_link_leads_past_the_navigation(look: Look) -> None:
    seen = look(KILLED)
    seen.page.keyboard.press("Tab")
    seen.page.keyboard.press("Enter")
    assert seen.page.evaluate("document.activeElement.tagName") == "MAIN"


def test_a_word_that_is_linked_unfolds_its_meaning(look: Look) -> None:
    seen = look(KILLED)
    seen.page.get_by_role("link", name="badness").click()
    assert seen.page.locator("#word-badness").is_visible()


def test_the_download_is_the_data_exactly(look: Look, tmp_path: Path) -> None:
    seen = look(KILLED)
    with seen.page.expect_download() as started:
        seen.page.get_by_role("link", name="Download the JSON").click()
    started.value.save_as(tmp_path / "data.json")
    assert started.value.suggested_filename == f"memguard-{records.NAME}.json"
    assert (tmp_path / "data.json").read_text() == raw(KINDS["killed"])
    assert seen.complaints == []
    seen.page.locator("summary", has_text="Look at it here").click()
    assert seen.page.locator("pre").inner_text() == raw(KINDS["killed"])


def test_its_own_rules_hold_off_a_script_that_got_in(look: Look) -> None:
    """As if escaping had failed: a second lock on the same door."""
    broken = KILLED.replace(
        "</main>", "<script>document.title = 'mine'</script><img src='https://example.com/x'></main>"
    )
    seen = look(broken)
    assert seen.page.title() != "mine"
    assert seen.answered == [seen.address]
    assert any("Content Security Policy" in words for words in seen.complaints)


def test_paper_is_white_and_leaves_out_what_cannot_be_clicked(look: Look) -> None:
    seen = look(KILLED, color_scheme="dark")
    seen.page.emulate_media(media="print", color_scheme="dark")
    assert seen.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    for hidden in ("nav", ".skip", ".button", "pre", "summary"):
        assert not any(one.is_visible() for one in seen.page.locator(hidden).all())
    seen.page.set_viewport_size({"width": 680, "height": 960})  # A4 within its margins
    assert [one.is_visible() for one in seen.page.locator("svg.wide").all()] == [True, True]
    assert not any(one.is_visible() for one in seen.page.locator("svg.narrow").all())
    printed = seen.page.pdf(format="A4")
    assert printed.startswith(b"%PDF")


def test_a_reader_without_colours_is_told_everything(look: Look) -> None:
    """The accessibility tree: names of pictures, of regions, and the order of headings."""
    tree = look(KILLED).page.locator("body").aria_snapshot()
    for words in (
        'navigation "In this report"',
        'img "Memory around the action 1, 1.6 s before: the reserve of 123 MiB was reached.',
        'heading "shop/cart-7d9/app was killed" [level=1]',
        'heading "What happened" [level=2]',
        'rowheader "memory footprint on a logarithmic scale',
        'link "Download the JSON"',
    ):
        assert words in tree
