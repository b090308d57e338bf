"""What mkdocs does not do by itself: pages of the repository's root, links that lead out of docs/, bars in tables.

A document is read in two places, beside the code and on the site, so its links are written for the first. On the site
a link to one of the root's documents leads to its page there, and one to code or to a directory is its words alone.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
#: Pages of the site that stand elsewhere in the repository.
ELSEWHERE = {
    "contributing.md": "CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
    "vulnerabilities.md": "SECURITY.md",
    "chart.md": "charts/memguard/README.md",
}
#: The README's place is the site's home.
PLACES = {source: page for page, source in ELSEWHERE.items()} | {"README.md": "index.md"}
_LINK = re.compile(r"(?P<image>!?)\[(?P<words>(?:[^\[\]]|\[[^\]]*\])*)\]\((?P<target>[^)\s]+)\)")
_CODE = re.compile(r"(^ *```.*?^ *```|`[^`\n]+`)", re.DOTALL | re.MULTILINE)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """The navigation with the pages of each directory that it names by `NAME/`."""
    config.nav = _spelled_out(config.nav, Path(config.docs_dir))
    return config


def _spelled_out(entry: Any, docs: Path) -> Any:
    if isinstance(entry, list):
        return [_spelled_out(one, docs) for one in entry]
    if isinstance(entry, dict):
        return {title: _spelled_out(one, docs) for title, one in entry.items()}
    if not str(entry).endswith("/"):
        return entry
    return [path.relative_to(docs).as_posix() for path in sorted((docs / entry).glob("*.md"))]


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """The site's files with those pages among them."""
    for page, source in ELSEWHERE.items():
        files.append(File.generated(config, page, content=(ROOT / source).read_text()))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001
    """A page with its links and its tables as the site has them."""
    return linked(barred(markdown), page.file.src_uri)


def barred(markdown: str) -> str:
    """With bars in code as the site wants them: code hosts need a backslash before one in a table, it would show it."""
    return _CODE.sub(
        lambda code: code[0] if code[0].lstrip().startswith("```") else code[0].replace(r"\|", "|"), markdown
    )


def linked(markdown: str, page: str) -> str:
    """The text of a page with links that lead somewhere on the site; code is left alone."""
    source = ELSEWHERE.get(page, f"docs/{page}")

    def changed(found: re.Match[str]) -> str:
        target = place_on_site(found["target"], source, page)
        return found["words"] if target is None else f"{found['image']}[{found['words']}]({target})"

    parts = _CODE.split(markdown)
    return "".join(part if index % 2 else _LINK.sub(changed, part) for index, part in enumerate(parts))


def place_on_site(target: str, source: str, page: str) -> str | None:
    """Where a link of the repository's file `source` leads on the page `page`; None where the site has nothing."""
    path, hash_, anchor = target.partition("#")
    if not path or "://" in path or path.startswith("mailto:"):
        return target
    place = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
    if place in PLACES:
        place = f"docs/{PLACES[place]}"
    if not place.startswith("docs/"):
        return None if (ROOT / place).exists() else target
    return posixpath.relpath(place.removeprefix("docs/"), posixpath.dirname(page) or ".") + hash_ + anchor
