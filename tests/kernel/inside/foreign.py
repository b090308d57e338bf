"""memory.high is not ours alone: MemoryQoS, systemd and administrators write it too."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from guest import cgroups
from guest.cgroups import Names

from inside.stage import LOADS, MIB, ROOT, Guard, high, stage, tell, until

#: Who writes there is heard; the guard looks after its lines every 10 s, too.
HEARD_SECONDS, NOTICE_SECONDS = 1.0, 12.0


@contextmanager
def guarded(**facts: Any) -> Iterator[tuple[Path, Guard]]:
    """A container with a limit, and a guard on duty."""
    with stage() as scene:
        web = scene.container("web", limit_mib=256, **facts)
        scene.load(web, "pause")
        yield web, scene.guard()


def found_before() -> dict[str, Any]:
    """Somebody's value stands there when the guard comes."""
    with guarded(high_mib=200) as (web, guard):
        told = guard.said("unarmed")
        time.sleep(NOTICE_SECONDS)
        during = high(web)
        return {"told": told, "during": during, "exit": guard.stop(), "after": high(web), "value": str(200 * MIB)}


def written_over(value: str) -> dict[str, Any]:
    """Somebody writes over our line."""
    with guarded() as (web, guard):
        ours = high(web)
        (web / "memory.high").write_text(value)
        told = guard.hears("line", HEARD_SECONDS)
        during = high(web)
        return {
            "ours": ours, "told": told and guard.said("line"), "during": during, "exit": guard.stop(),
            "after": high(web), "value": value,
        }  # fmt: skip


def resized(limit_mib: int) -> dict[str, Any]:
    """The container's limit is changed in place, of a container that is not small."""
    with guarded() as (web, guard):
        ours = high(web)
        (web / "memory.max").write_text(str(limit_mib * MIB))
        began = time.monotonic()
        followed = until(lambda: high(web) not in {ours, "max"}, HEARD_SECONDS, step=0.0005)
        return {
            "ours": ours, "followed": followed, "seconds": time.monotonic() - began, "during": high(web),
            "exit": guard.stop(), "after": high(web),
        }  # fmt: skip


def set_property() -> dict[str, Any]:
    """systemd's set-property, of any property, puts memory.high back to the unit's own value."""
    name = "unit"
    scope, pod = Path(Names(name).container()).name, Path(Names(name).pod).name
    with stage() as scene:
        command = ("systemd-run", "--scope", "--quiet", f"--unit={scope}", f"--slice={pod}", "-p", "MemoryMax=256M")
        # We are unkillable (oom_score_adj -1000), and so would be what it starts.
        load = (LOADS, "enter", "adj=900", "--", "sleep", "1000")
        child = subprocess.Popen((*command, *load), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        scene.children.append(child)
        web = ROOT / Names(name).container()
        if not until(lambda: cgroups.number(web / "memory.max") == 256 * MIB, 5, step=0.05):
            child.kill()
            return {"systemd": (child.stderr.read() if child.stderr else b"").decode()}
        scene.names.append(name)
        guard = scene.guard()
        ours = high(web)
        done = subprocess.run(
            ("systemctl", "set-property", "--runtime", scope, "CPUWeight=50"),
            capture_output=True,
            text=True,
            check=False,
        )
        reset = high(web)
        told = guard.hears("line", HEARD_SECONDS)
        during = high(web)
        return {
            "systemd": done.stderr, "ours": ours, "reset": reset, "told": told and guard.said("line"),
            "during": during, "exit": guard.stop(), "after": high(web),
        }  # fmt: skip


def main() -> None:
    """All of them."""
    tell(
        {
            "before": found_before(),
            "over": written_over(str(128 * MIB)),
            "max": written_over("max"),
            "raised": resized(512),
            "lowered": resized(192),
            "property": set_property(),
        }
    )


if __name__ == "__main__":
    main()
