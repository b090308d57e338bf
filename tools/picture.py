"""A picture of what a command shows in a terminal: `python -m tools.picture FILE.png COMMAND...`.

docs/images/top.png is of `memguard kubectl top containers -A --once` in the cluster of `make cluster`.
The command runs in a real terminal, with its colours; rich draws what it printed, and Chromium makes it a PNG.
"""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import tempfile
import termios
from pathlib import Path

from rich.console import Console
from rich.text import Text

#: Characters; what is wider is broken as on a terminal of this width.
COLUMNS, ROWS = 132, 60
CHROMIUM = "chromium"


def picture(target: Path, command: list[str], columns: int = COLUMNS) -> None:
    """Run it, and write the PNG, whatever it exits with. Raises CalledProcessError when Chromium fails."""
    shown = Text.from_ansi(seen(command, columns).rstrip())
    console = Console(record=True, width=columns, file=io.StringIO())
    console.print(shown)
    svg = console.export_svg(title=f"$ {' '.join(command)}")
    width, height = (round(float(one)) for one in re.findall(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)[0])
    with tempfile.TemporaryDirectory() as directory:
        page = Path(directory, "picture.html")
        page.write_text(f'<body style="margin:0;width:{width}px">{svg}</body>')
        subprocess.run(
            [
                CHROMIUM, "--headless", "--no-sandbox", "--hide-scrollbars", "--force-device-scale-factor=1",
                f"--user-data-dir={directory}/profile", f"--window-size={width},{height}",
                f"--screenshot={target.resolve()}", page.as_uri(),
            ],
            check=True, capture_output=True, timeout=120,
        )  # fmt: skip


def seen(command: list[str], columns: int) -> str:
    """What it prints into a terminal of this width."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, columns, 0, 0))
    environment = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "COLUMNS")}
    environment |= {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
    with subprocess.Popen(command, stdout=theirs, env=environment):
        os.close(theirs)
        printed = bytearray()
        while True:
            try:
                piece = os.read(ours, 1 << 16)
            except OSError:  # the terminal is closed when the command has ended
                break
            if not piece:
                break
            printed += piece
    os.close(ours)
    return printed.decode(errors="replace").replace("\r\n", "\n")


def main(arguments: list[str]) -> int:
    """A file and a command."""
    if len(arguments) < 2:
        sys.stderr.write("usage: python -m tools.picture FILE.png COMMAND...\n")
        return 2
    target = Path(arguments[0])
    target.parent.mkdir(parents=True, exist_ok=True)
    picture(target, arguments[1:])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
