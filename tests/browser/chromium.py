"""The system's own Chromium: of tests and of the tool that takes pictures. `tools/setup.sh browser` installs it."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator

from playwright.sync_api import Browser, sync_playwright

#: Program -> Debian package.
PREREQUISITES = {"chromium": "chromium"}
(PROGRAM,) = PREREQUISITES

PHONE = {"width": 360, "height": 740}
DESKTOP = {"width": 1180, "height": 900}


@contextlib.contextmanager
def started() -> Iterator[Browser]:
    """A browser; raises FileNotFoundError where there is none."""
    program = shutil.which(PROGRAM)
    if program is None:
        raise FileNotFoundError(f"{PROGRAM} is missing: tools/setup.sh browser installs it")
    # Its own sandbox cannot be had by root.
    arguments = ["--no-sandbox"] if os.getuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=arguments)
        yield browser
        browser.close()
