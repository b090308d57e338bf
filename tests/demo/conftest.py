"""One real run of the demo, thinned: records.jsonl holds the machine's records as they came."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from demo.ending import Ending, tell
from demo.report import Report
from demo.run import total_bytes
from demo.stories import STORIES, Story
from tests.machine.guest.result import CellResult

RECORDS = Path(__file__).with_name("records.jsonl")


@pytest.fixture(scope="session", name="records")
def _records() -> list[dict[str, Any]]:
    return [json.loads(line) for line in RECORDS.read_text().splitlines()]


@pytest.fixture(scope="session", name="memory")
def _memory(records: list[dict[str, Any]]) -> int:
    return total_bytes(records[0])


@pytest.fixture(scope="session", name="played")
def _played(records: list[dict[str, Any]]) -> dict[str, tuple[Story, CellResult]]:
    """Story and what it measured, by name."""
    cells = {record["name"]: msgspec.convert(record["result"], CellResult) for record in records[1:]}
    return {story.name: (story, cells[story.name]) for story in STORIES}


@pytest.fixture(scope="session", name="endings")
def _endings(played: dict[str, tuple[Story, CellResult]], memory: int) -> dict[str, Ending]:
    return {name: tell(story, cell, memory) for name, (story, cell) in played.items()}


@pytest.fixture(scope="session", name="report")
def _report(endings: dict[str, Ending], memory: int) -> Report:
    return Report(
        kernel="6.12.0-test", accelerator="tcg", clock="virtual", memory_bytes=memory, real_seconds=88.0,
        stories=tuple(endings.values()),
    )  # fmt: skip
