"""No link of any document leads nowhere, whether it is read beside the code or on the site."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from tests.chart.manifests import one, render
from tests.docs.documents import ROOT, anchors, documents, links, slug
from tools.docs_site import linked

NAMES = [path.relative_to(ROOT).as_posix() for path in documents()]


@pytest.mark.parametrize("name", NAMES)
def test_every_link_and_picture_of_a_document_is_there(name: str) -> None:
    source, wrong = ROOT / name, []
    for target in links(source):
        path, _, anchor = target.partition("#")
        if "://" in path or path.startswith("mailto:"):
            continue
        place = (source.parent / path) if path else source
        if not place.exists() or (anchor and anchor not in anchors(place)):
            wrong.append(target)
    assert wrong == []


def test_the_anchors_are_those_of_code_hosts() -> None:
    assert slug("What it `costs`, in [figures](x.md)") == "what-it-costs-in-figures"
    assert slug("Two horizons: a + b") == "two-horizons-a--b"


class Page(HTMLParser):
    """What a page of the site refers to, and what can be referred to in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.sources: list[str] = []
        self.ids: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value for name, value in attrs if value is not None}
        self.ids |= {found[name] for name in ("id", "name") if name in found}
        if tag == "a" and "href" in found:
            self.targets.append(found["href"])
        self.sources += [found[name] for name in ("src", "href") if name in found and (tag, name) != ("a", "href")]


@pytest.fixture(scope="module", name="pages")
def _pages(site: Path) -> dict[Path, Page]:
    return {path: Page(path.read_text()) for path in site.rglob("*.html")}


def test_every_link_of_the_site_leads_to_a_page_and_a_place_on_it(site: Path, pages: dict[Path, Page]) -> None:
    wrong = []
    for path, page in pages.items():
        if path.name == "404.html":  # its links begin at the site's root, wherever it will be
            continue
        for target in (*page.targets, *page.sources):
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                continue
            place = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            there = pages[place].ids if place in pages else set()
            if not place.exists() or (parts.fragment and place in pages and parts.fragment not in there | {"__skip"}):
                wrong.append(f"{path.relative_to(site)}: {target}")
    assert wrong == []


@pytest.mark.row("K4")
def test_every_alert_leads_to_its_page_of_the_site(site: Path) -> None:
    """With the site's own address for `prometheusRule.runbooks`, as the chart puts it before a rule's link."""
    values = {"prometheusRule": {"enabled": True, "runbooks": "https://docs.example.com/runbooks"}}
    rules = one(render(values), "PrometheusRule", "memguard")["spec"]["groups"]
    addresses = {rule["annotations"]["runbook_url"] for group in rules for rule in group["rules"]}
    assert addresses
    gone = {each for each in addresses if not (site / each.removeprefix("https://docs.example.com/")).is_file()}
    assert gone == set()


def test_the_site_asks_nobody_else_for_anything(site: Path, pages: dict[Path, Page]) -> None:
    foreign = {source for page in pages.values() for source in page.sources if "//" in source}
    assert foreign == set()
    styles = [
        path.name for path in site.rglob("*.css") if "url(http" in path.read_text() or "@import" in path.read_text()
    ]
    assert styles == []


def test_every_page_is_in_the_navigation(pages: dict[Path, Page], site: Path) -> None:
    """--strict says the same of pages that the navigation leaves out; this, that it shows them."""
    home = pages[site / "index.html"]
    shown = {(site / unquote(urlsplit(target).path)).resolve() for target in home.targets}
    first = {path for path in pages if path.name != "404.html"}
    within = {
        (path.parent / unquote(urlsplit(target).path)).resolve()
        for path in shown & first
        for target in pages[path].targets
        if not urlsplit(target).scheme
    }
    assert first - shown - within == set()


def test_links_out_of_docs_lead_to_pages_or_stay_words() -> None:
    assert linked("[a](../CONTRIBUTING.md#layout)", "score.md") == "[a](contributing.md#layout)"
    assert linked("[a](docs/score.md)", "contributing.md") == "[a](score.md)"
    assert linked("[the file](../Dockerfile), [b](braking.md)", "images.md") == "the file, [b](braking.md)"
    assert linked("[a](../score.md)", "runbooks/x.md") == "[a](../score.md)"
    assert linked("`[a](../Dockerfile)`", "score.md") == "`[a](../Dockerfile)`"
    assert linked("[gone](../nothing.md)", "score.md") == "[gone](../nothing.md)"
