"""What users see on one incident, byte by byte; `make generate` writes these files anew."""

from __future__ import annotations

import pytest
from tests.cli import golden


@pytest.mark.row("G2", "G3")
@pytest.mark.parametrize("name", golden.COMMANDS)
def test_the_golden_outputs_are_current(name: str) -> None:
    path, text = golden.output(name)
    assert path.read_text() == text, "if this change is meant: make generate"
