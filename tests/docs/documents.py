"""The repository's documents as text: their code, their links, and the anchors that their headings make."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^\1```", re.DOTALL | re.MULTILINE)
_INLINE = re.compile(r"`[^`\n]+`")
_LINK = re.compile(r"!?\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^)\s]+)\)")
#: What `make generate` writes: a whole page, or what stands between two marks of one.
_GENERATED = "\nGenerated from "
_REGION = re.compile(r"<!-- (?!end ).*?<!-- end -->", re.DOTALL)
_HEADING = re.compile(r"^#{1,6} +(.*?) *#*$", re.MULTILINE)


def documents() -> list[Path]:
    """All that is written for people, outside of what was built."""
    listed = (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "charts").rglob("*.md"))
    return sorted((*listed, *(ROOT / "bench").rglob("*.md")))


def blocks(path: Path, language: str) -> list[str]:
    """The code blocks of a language, without their indentation."""
    found = ((indent, text) for indent, name, text in _BLOCK.findall(path.read_text()) if name == language)
    return [re.sub(f"^{indent}", "", text, flags=re.MULTILINE) for indent, text in found]


def prose(path: Path) -> str:
    """A document without its code."""
    return _INLINE.sub("", _BLOCK.sub("", path.read_text()))


def links(path: Path) -> list[str]:
    """Where its links and pictures lead."""
    return _LINK.findall(prose(path))


def anchors(path: Path) -> set[str]:
    """What can stand behind a # in a link to it, where the repository is read."""
    return set(_numbered(slug(heading) for heading in _HEADING.findall(_BLOCK.sub("", path.read_text()))))


def slug(heading: str) -> str:
    """The anchor of a heading as code hosts make it."""
    words = _LINK.sub(lambda found: found[0][found[0].index("[") + 1 : found[0].index("](")], heading)
    return re.sub(r"[^\w\- ]", "", words.replace("`", "").lower()).strip().replace(" ", "-")


def _numbered(slugs: Iterator[str]) -> Iterator[str]:
    seen: dict[str, int] = {}
    for one in slugs:
        count = seen.get(one, 0)
        seen[one] = count + 1
        yield f"{one}-{count}" if count else one


def commands(path: Path) -> list[str]:
    """What its console blocks have people type; a command goes on after a backslash at its line's end."""
    text = "\n".join(blocks(path, "console"))
    typed = re.findall(r"^\$ ((?:.*\\\n)*.*)$", text, re.MULTILINE)
    return [re.sub(r"\s*\\\n\s*", " ", one) for one in typed]


def lines_of_prose(path: Path) -> list[str]:
    """What people wrote and wrap: no code, table, picture or heading, and nothing that is generated."""
    text = _BLOCK.sub("", path.read_text())
    if _GENERATED in text:
        return []
    return [line for line in _REGION.sub("", text).splitlines() if not line.startswith(("|", "#", "!["))]
