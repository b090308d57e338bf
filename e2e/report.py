"""Figures of an end-to-end run, for people and for the next run to compare with: `build/e2e-report.json`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from tests.machine.image import REPOSITORY, locked

REPORT = REPOSITORY / "build" / "e2e-report.json"


def record(about: str, figures: Mapping[str, object], report: Path = REPORT) -> None:
    """Put these figures into the report under `about`; others of that name that came before stay."""
    report.parent.mkdir(parents=True, exist_ok=True)
    with locked(report.with_suffix(".lock")):
        told = json.loads(report.read_text()) if report.exists() else {}
        told[about] = {**told.get(about, {}), **figures}
        report.write_text(json.dumps(told, indent=2, sort_keys=True) + "\n")
