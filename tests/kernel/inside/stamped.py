"""memguard that says when each step of its start was done, in ms since it was called (`-m inside.stamped`)."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import Any

#: time.monotonic() of whoever starts it, just before.
BEGAN = float(os.environ["MG_BEGAN"])
STEPS: dict[str, float] = {}


def done(step: str) -> None:
    """It was done now."""
    STEPS[step] = round((time.monotonic() - BEGAN) * 1000, 3)


done("interpreterMs")

from memguard.__main__ import main  # noqa: E402 - what was there before is the interpreter's
from memguard.guard import janitor  # noqa: E402

_spawn = janitor.spawn_janitor


def _spawned() -> janitor.Janitor:
    """From here on it is the guard, which imports the rest."""
    found = _spawn()
    from memguard.guard import life
    from memguard.guard.report import Report

    done("importedMs")
    life.Guard = _stamped(life.Guard, "discoveredMs")  # type: ignore[assignment, misc]
    life.protect = _stamped(life.protect, "protectedMs")
    say = Report.say

    def said(self: Report, kind: str, **facts: Any) -> None:
        if kind == "start":
            done("readyMs")
            facts["steps"] = STEPS
        say(self, kind, **facts)

    Report.say = said  # type: ignore[method-assign]
    return found


def _stamped(work: Callable[..., Any], step: str) -> Callable[..., Any]:
    def stamped(*arguments: Any, **options: Any) -> Any:
        found = work(*arguments, **options)
        done(step)
        return found

    return stamped


janitor.spawn_janitor = _spawned

if __name__ == "__main__":
    sys.exit(main())
