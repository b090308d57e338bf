"""A real browser that looks at our pages. Where it is missing the tests fail: nothing is skipped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page
from tests.browser.chromium import DESKTOP, started


@dataclass
class Seen:
    """A page that is open, and what it did: what it asked for, what of that came, words on the console, errors."""

    page: Page
    address: str
    requests: list[str] = field(default_factory=list)
    answered: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)


Look = Callable[..., Seen]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Not for the whole session: a test that forks keeps the browser's pipes open, and its end would be waited for."""
    with started() as browser:
        yield browser


@pytest.fixture
def look(browser: Browser, tmp_path: Path) -> Iterator[Look]:
    """Opens a page's text or its file from the disk: `look(html, size=PHONE, color_scheme="dark")`."""
    contexts = []

    def _look(what: str | Path, size: Any = None, **more: Any) -> Seen:
        path = what if isinstance(what, Path) else tmp_path / f"page-{len(contexts)}.html"
        if isinstance(what, str):
            path.write_text(what)
        context = browser.new_context(viewport=size or DESKTOP, **more)
        contexts.append(context)
        seen = Seen(context.new_page(), path.as_uri())
        seen.page.on("request", lambda request: seen.requests.append(request.url))
        seen.page.on("requestfinished", lambda request: seen.answered.append(request.url))
        seen.page.on("console", lambda message: seen.complaints.append(message.text))
        seen.page.on("pageerror", lambda error: seen.complaints.append(str(error)))
        seen.page.goto(seen.address)
        return seen

    yield _look
    for context in contexts:
        context.close()
