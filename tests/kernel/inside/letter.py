"""A guard's whole work under a profile that ends it at the first call which the profile does not allow."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from inside.stage import ROOT, RUN, Guard, held, kill_dead, pages_may_move, populated, stage, tell, until

CONFINED = "inside.confined"
#: Whatever a guard can be asked to write, and to send.
RULE = 'graceSeconds = 0.3\nnotifySignal = "SIGURG"\nactions = ["notify", "reclaim", "brake", "terminate", "kill"]'


def main() -> None:
    """Each of its deeds, its death, and the supervisor's work."""
    tell({"limit": at_limit(), "node": at_node(), "death": death(), "supervisor": supervised()})


def at_limit() -> dict[str, Any]:
    """A line that rings, a stop signal that is not heard, a kill; then a new configuration, good and broken."""
    with stage() as scene:
        hog = scene.container("hog", limit_mib=160)
        files = f'textfile = "{RUN}/memguard.prom"\ntrace = "{RUN}/trace.jsonl"\n'
        guard = scene.guard(wrapper=CONFINED, rule=RULE, extra=files)
        scene.load(hog, "hog", "rate=100", "max=2000", "term_ms=60000")
        gone = _gone(hog)
        good = guard.config.read_text()
        reloads = [_reloaded(guard, text) for text in (good, good + "\nmode = [")]
        until((RUN / "memguard.prom").exists, 10, step=0.05)
        written = [name for name in ("memguard.prom", "trace.jsonl") if (RUN / name).exists()]
        return _told(guard, gone) | {"reloads": reloads, "written": written}


def at_node() -> dict[str, Any]:
    """The node's reserve: a freeze, the ranking of all, a kill."""
    with stage() as scene:
        hog, web = scene.container("hog"), scene.container("web")
        guard = scene.guard(wrapper=CONFINED, reserve_mib=500)
        scene.load(web, "pause")
        scene.load(hog, "hog", "rate=0", "max=2000")
        return _told(guard, _gone(hog))


def death() -> dict[str, Any]:
    """kill -9, with a line standing: the janitor is of the same profile."""
    with stage() as scene:
        scene.load(scene.container("web", limit_mib=160), "pause")
        guard = scene.guard(wrapper=CONFINED)
        stood = until(lambda: bool(held()), 10)
        kill_dead(guard.child.pid)
        return {"stood": stood, "lifted": until(lambda: not held() and pages_may_move(), 5)}


def supervised() -> dict[str, Any]:
    """A supervisor by itself, from its beginning to SIGTERM."""
    with stage() as scene:
        config = RUN / "supervisor.toml"
        config.write_text(f'runDirectory = "{RUN}/mg"\ncgroupRoot = "{ROOT}"\n')
        command = (sys.executable, "-m", CONFINED, "guard", "--supervise", "--config", str(config))
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        scene.children.append(child)
        there = until(Path(RUN, "mg", "supervisor").exists, 20, step=0.02)
        child.terminate()
        return {"there": there, "exit": child.wait(10)}


def _gone(hog: Path) -> bool:
    return until(lambda: populated(hog), 5) and until(lambda: not populated(hog), 20, step=0.01)


def _reloaded(guard: Guard, text: str) -> bool | None:
    before = len(guard.said("reload"))
    guard.config.write_text(text)
    guard.signal(signal.SIGHUP)
    until(lambda: len(guard.said("reload")) > before or guard.child.poll() is not None, 5, step=0.02)
    said = guard.said("reload")[before:]
    return said[0]["ok"] if said else None


def _told(guard: Guard, gone: bool) -> dict[str, Any]:
    victims = [line["victim"]["name"] for line in guard.said("decision", mode="Enforce")]
    return {"gone": gone, "victims": victims, "noise": guard.said("noise"), "exit": guard.stop()}


if __name__ == "__main__":
    main()
