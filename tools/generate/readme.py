"""The README's examples are run: every `$ memguard ...` in a console block is followed by what it prints."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
COLUMNS = 118
_BLOCK = re.compile(r"(?P<head>```console\n\$ (?P<command>memguard [^\n]+)\n)(?P<output>.*?)(?P<tail>```)", re.DOTALL)


def refreshed(text: str) -> str:
    """The text with the present output of each example."""
    return _BLOCK.sub(lambda block: block["head"] + _output(block["command"]) + block["tail"], text)


def _output(command: str) -> str:
    ran = subprocess.run(
        [sys.executable, "-m", *shlex.split(command)],
        cwd=ROOT,
        env=os.environ | {"COLUMNS": str(COLUMNS)},
        capture_output=True,
        text=True,
        check=True,
    )
    return "".join(line.rstrip() + "\n" for line in ran.stdout.strip().splitlines())
