"""The golden outputs: `python -m tools.generate` (make generate) writes them anew.

They hold the public shapes and the decisions on one incident: a change in them is a change that users see.
"""

from __future__ import annotations

import contextlib
import io
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.cli import incident, plugin_scene

from memguard.__main__ import main

DIRECTORY = Path(__file__).parent / "golden"
COMMANDS = {
    "rank.json": ("rank", "-o", "json"),
    "rank.yaml": ("rank", "-o", "yaml"),
    "rank.txt": ("rank",),
    "replay.json": ("replay", "-o", "json"),
    "replay.txt": ("replay",),
    "explain.json": ("explain", "-o", "json"),
    "explain.txt": ("explain", "--container", "search-0"),
}


def outputs() -> Iterator[tuple[Path, str]]:
    """Every golden file with what it should hold."""
    yield from map(output, COMMANDS)
    yield from plugin_scene.outputs(DIRECTORY)


def output(name: str) -> tuple[Path, str]:
    """One of them."""
    command, *options = COMMANDS[name]
    with tempfile.TemporaryDirectory() as directory:
        trace = incident.write_trace(Path(directory) / "incident.jsonl")
        return DIRECTORY / name, _output([command, str(trace), *options])


def _output(arguments: list[str]) -> str:
    captured = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
    with contextlib.redirect_stdout(captured):
        main(arguments)
    captured.seek(0)
    return captured.read()
