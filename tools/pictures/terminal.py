"""What a command shows in a terminal, with its colours: it runs in a real one, rich draws what it printed."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import struct
import subprocess
import termios
from pathlib import Path

from rich.console import Console
from rich.text import Text
from tests.browser.chromium import started

#: Characters; what is wider is broken as on a terminal of this width.
COLUMNS, ROWS = 132, 60


def taken(target: Path, command: list[str]) -> Path:
    """Run it, and write the PNG, whatever it exits with. Raises FileNotFoundError where there is no Chromium."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with started() as browser:
        page = browser.new_page(offline=True)  # rich would fetch a font
        page.set_content(f'<body style="margin:0">{drawn(shown(command), " ".join(command))}')
        page.locator("svg").screenshot(path=target)
    return target


def drawn(printed: str, title: str) -> str:
    """As an SVG of a terminal's window."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO())
    console.print(Text.from_ansi(printed.rstrip()), "", sep="\n")  # rich cuts off the last line's descenders
    svg = console.export_svg(title=f"$ {title}")
    width = svg.partition('viewBox="0 0 ')[2].partition(" ")[0]
    return svg.replace("<svg ", f'<svg width="{width}" ', 1)


def shown(command: list[str]) -> str:
    """What it prints into a terminal."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    environment = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "COLUMNS")}
    environment |= {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
    printed = bytearray()
    with subprocess.Popen(command, stdout=theirs, env=environment), open(ours, "rb", buffering=0) as terminal:
        os.close(theirs)
        try:
            while piece := terminal.read(1 << 16):
                printed += piece
        except OSError:
            pass  # the terminal is closed when the command has ended
    return printed.decode(errors="replace").replace("\r\n", "\n")
