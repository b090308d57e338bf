"""`python -m tools.report_pictures`: takes the pictures of the incident report in docs/images anew.

Of docs/examples/report.json, or of another record: a MemoryGuardDecision or a report's data, named as an argument. Needs
Chromium (tools/setup.sh browser); with the font Inter installed (fonts-inter) they look as they do in the docs.
"""

from __future__ import annotations

import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from playwright.sync_api import Browser
from tests.browser.chromium import started

from memguard.cli.incident.page import page
from memguard.cli.incident.reading import read_incident

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "docs" / "examples" / "report.json"
IMAGES = ROOT / "docs" / "images"

#: name: theme, width of the window, sharpness; from the top of this to the end of that
PICTURES = {
    "light": ("light", 1040, 1, ".top", "#course figure:nth-of-type(2)"),
    "dark": ("dark", 1040, 1, "#why", "#why"),
    "phone": ("light", 390, 1.75, ".top", ".tiles"),
}
#: Below what is shown.
MARGIN = 32


def main(arguments: list[str]) -> int:
    """Writes them."""
    IMAGES.mkdir(exist_ok=True)
    incident = read_incident(arguments[0] if arguments else str(EXAMPLE), datetime.now(UTC))
    with tempfile.NamedTemporaryFile("w", suffix=".html") as file, started() as browser:
        file.write(page(incident))
        file.flush()
        for name in PICTURES:
            path = _taken(browser, Path(file.name).as_uri(), name)
            sys.stdout.write(f"{path.relative_to(ROOT)}: {path.stat().st_size >> 10} KiB\n")
    return 0


def _taken(browser: Browser, address: str, name: str) -> Path:
    scheme, width, sharpness, first, last = PICTURES[name]
    shown = browser.new_page(
        viewport={"width": width, "height": 900},
        color_scheme="dark" if scheme == "dark" else "light",
        device_scale_factor=sharpness,
    )
    shown.goto(address)
    top = shown.locator(first).first.evaluate("(one) => one.getBoundingClientRect().top")
    bottom = shown.locator(last).first.evaluate("(one) => one.getBoundingClientRect().bottom")
    path = IMAGES / f"report-{name}.png"
    clip = {"x": 0, "y": top, "width": width, "height": bottom - top + MARGIN}
    shown.screenshot(path=path, full_page=True, clip=clip)  # type: ignore[arg-type]
    shown.close()
    return path


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
