"""The incident report, of docs/examples/report.json: `kubectl memguard report` of a leak on a node of `make cluster`.

With the font Inter installed (fonts-inter) the pictures look as they do in the docs.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, NamedTuple

from playwright.sync_api import Browser, FloatRect
from tests.browser.chromium import started

from memguard.cli.incident.page import page
from memguard.cli.incident.reading import read_incident

DOCS = Path(__file__).resolve().parents[2] / "docs"
#: Below what is shown.
MARGIN = 32


class View(NamedTuple):
    """How the window is, and what is shown of the page: from the top of one element to the end of another."""

    scheme: Literal["light", "dark"]
    width: int
    sharpness: float
    first: str
    last: str


VIEWS = {
    "light": View("light", 1040, 1, ".top", "#course figure:nth-of-type(2)"),
    "dark": View("dark", 1040, 1, "#why", "#why"),
    "phone": View("light", 390, 1.75, ".top", ".tiles"),
}


def taken() -> Iterator[Path]:
    """The three files, written. Raises FileNotFoundError where there is no Chromium."""
    incident = read_incident(str(DOCS / "examples" / "report.json"), datetime.now(UTC))
    with tempfile.NamedTemporaryFile("w", suffix=".html") as file, started() as browser:
        file.write(page(incident))
        file.flush()
        for name, view in VIEWS.items():
            target = DOCS / "images" / f"report-{name}.png"
            _take(browser, Path(file.name).as_uri(), view, target)
            yield target


def _take(browser: Browser, address: str, view: View, target: Path) -> None:
    size = {"width": view.width, "height": 900}
    shown = browser.new_page(viewport=size, color_scheme=view.scheme, device_scale_factor=view.sharpness)  # type: ignore[arg-type]
    shown.goto(address)
    top = shown.locator(view.first).first.evaluate("(one) => one.getBoundingClientRect().top")
    bottom = shown.locator(view.last).first.evaluate("(one) => one.getBoundingClientRect().bottom")
    clip = FloatRect(x=0, y=top, width=view.width, height=bottom - top + MARGIN)
    shown.screenshot(path=target, full_page=True, clip=clip)
    shown.close()
