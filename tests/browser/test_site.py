"""The site in a real browser, opened from the disk: it fetches nothing, finds, and reads in the dark and on a phone."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.browser.chromium import PHONE
from tests.browser.conftest import Look, Seen
from tests.browser.sight import texts, unreadable


def fetched(seen: Seen) -> list[str]:
    """What was asked of anybody but the disk."""
    return [url for url in seen.requests if not url.startswith(("file:", "data:"))]


def test_the_search_finds_without_a_server(look: Look, site: Path) -> None:
    seen = look(site / "index.html")
    seen.page.locator(".md-search__input").click()
    seen.page.locator(".md-search__input").press_sequentially("memory.high")
    found = seen.page.locator(".md-search-result__link").first
    found.wait_for(timeout=30_000)
    assert "braking.html" in seen.page.locator(".md-search-result").inner_html()
    found.click()
    seen.page.wait_for_url("**/*.html?h=*")
    assert fetched(seen) == []


@pytest.mark.parametrize("name", ["index", "concepts", "kinds", "cookbook", "comparison"])
def test_a_page_fits_a_phone_and_fetches_nothing(look: Look, site: Path, name: str) -> None:
    seen = look(site / f"{name}.html", size=PHONE)
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert fetched(seen) == []
    assert seen.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_and_links_can_be_read(look: Look, site: Path, scheme: str) -> None:
    """What lies off the window, as the menu of a narrow one does, nobody sees."""
    found = [one for one in texts(look(site / "concepts.html", color_scheme=scheme).page) if one["hit"]]
    assert len(found) > 150
    assert unreadable(found) == []
    grounds = [sum(one["ground"][:3]) / 3 for one in found]
    assert (sorted(grounds)[len(grounds) // 2] < 64) == (scheme == "dark")


def test_every_picture_is_drawn(look: Look, site: Path) -> None:
    pictures = look(site / "concepts.html").page.locator(".md-typeset img")
    assert pictures.count() >= 7
    widths = pictures.evaluate_all("(all) => all.map((one) => one.complete ? one.naturalWidth : 0)")
    assert min(widths) > 300
    assert all(one.get_attribute("alt") for one in pictures.all())


def test_what_is_copied_from_a_console_is_what_was_typed(look: Look, site: Path) -> None:
    code = look(site / "quickstart.html").page.locator(".highlight code", has_text="helm install")
    assert code.inner_text().startswith("$ kubectl create namespace")
    code.evaluate("(one) => one.setAttribute('data-md-copying', '')")
    assert code.inner_text().startswith("kubectl create namespace")
    assert "\n$ " not in code.inner_text()
