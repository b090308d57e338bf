"""The site in a real browser, opened from the disk: it fetches nothing, finds, and reads in the dark and on a phone."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page
from tests.docs.built import build

#: The contrast that WCAG 2 asks of text (AA).
CONTRAST = 4.5
LUMINANCE = """(color) => {
  const canvas = document.createElement("canvas").getContext("2d")
  canvas.fillStyle = color
  canvas.fillRect(0, 0, 1, 1)
  const linear = (c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4
  const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].map((c) => linear(c / 255))
  return 0.2126 * r + 0.7152 * g + 0.0722 * b
}"""


@pytest.fixture(scope="module", name="site")
def _site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("docs"))


@pytest.fixture
def requested() -> list[str]:
    """Every address that was asked for."""
    return []


def opened(
    browser: Browser, file: Path, requested: list[str], *, scheme: Literal["light", "dark"] = "light", width: int = 1400
) -> Page:
    page = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme).new_page()
    page.on("request", lambda request: requested.append(request.url))
    page.goto(file.as_uri())
    return page


def test_the_search_finds_without_a_server(browser: Browser, site: Path, requested: list[str]) -> None:
    page = opened(browser, site / "index.html", requested)
    page.locator(".md-search__input").click()
    page.locator(".md-search__input").press_sequentially("memory.high")
    found = page.locator(".md-search-result__link").first
    found.wait_for(timeout=30_000)
    assert "braking.html" in page.locator(".md-search-result").inner_html()
    found.click()
    page.wait_for_url("**/*.html?h=*")
    assert [url for url in requested if not url.startswith(("file:", "data:"))] == []


@pytest.mark.parametrize("name", ["index", "concepts", "kinds", "cookbook", "comparison"])
def test_a_page_fits_a_phone_and_fetches_nothing(browser: Browser, site: Path, requested: list[str], name: str) -> None:
    page = opened(browser, site / f"{name}.html", requested, width=390)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert [url for url in requested if not url.startswith(("file:", "data:"))] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_and_links_can_be_read(
    browser: Browser, site: Path, requested: list[str], scheme: Literal["light", "dark"]
) -> None:
    page = opened(browser, site / "concepts.html", requested, scheme=scheme)
    colour = "getComputedStyle(document.querySelector('{}')).{}"
    page_colour = page.evaluate(colour.format("body", "backgroundColor"))
    ground = page.evaluate(LUMINANCE, page_colour)
    assert (ground < 0.1) == (scheme == "dark")
    for what in (".md-typeset p", ".md-typeset p a", ".md-typeset h1", ".md-typeset td"):
        ink = page.evaluate(LUMINANCE, page.evaluate(colour.format(what, "color")))
        light, dark = max(ink, ground), min(ink, ground)
        assert (light + 0.05) / (dark + 0.05) >= CONTRAST, what


def test_every_picture_is_drawn(browser: Browser, site: Path, requested: list[str]) -> None:
    page = opened(browser, site / "concepts.html", requested)
    pictures = page.locator(".md-typeset img")
    assert pictures.count() >= 7
    widths = pictures.evaluate_all("(all) => all.map((one) => one.complete ? one.naturalWidth : 0)")
    assert min(widths) > 300
    assert all(pictures.nth(index).get_attribute("alt") for index in range(pictures.count()))


def test_what_is_copied_from_a_console_is_what_was_typed(browser: Browser, site: Path, requested: list[str]) -> None:
    page = opened(browser, site / "quickstart.html", requested)
    code = page.locator(".highlight code", has_text="helm install")
    assert code.inner_text().startswith("$ helm install")
    code.evaluate("(one) => one.setAttribute('data-md-copying', '')")
    assert code.inner_text().startswith("helm install")
    assert "\n$ " not in code.inner_text()
