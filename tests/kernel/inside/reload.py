"""SIGHUP: a good configuration takes force, a broken one leaves the last good one in force and is told."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

from inside.stage import Guard, high, populated, stage, tell, until

RELOAD_SECONDS = 3.0


def main() -> None:
    """Observe -> Enforce -> three kinds of nonsense -> the hog dies all the same -> Observe: no line any more."""
    with stage() as scene:
        hog = scene.container("hog", limit_mib=160)
        web = scene.container("web", limit_mib=160)
        scene.load(web, "pause")
        guard = scene.guard(mode="Observe")
        found: dict[str, Any] = {"observing": high(web)}
        good = guard.config.read_text().replace("Observe", "Enforce")
        found["good"] = reload(guard, good)
        found["enforcing"] = high(web)
        found["syntax"] = reload(guard, good + "\nmode = [")
        found["unknown"] = reload(guard, "reserveRatios = 1\n" + good)
        found["type"] = reload(guard, good.replace("reserveRatio = 0.5", 'reserveRatio = "much"'))
        guard.config.rename(guard.config.with_suffix(".away"))
        found["missing"] = reload(guard, None)
        scene.load(hog, "hog", "rate=0", "max=2000")
        until(lambda: rose_and_fell(hog), 15)
        found["victims"] = [line["victim"]["name"] for line in guard.said("decision", mode="Enforce")]
        found["observe again"] = reload(guard, good.replace("Enforce", "Observe"))
        found["lifted"] = high(web)
        found["noise"] = guard.said("noise")
        found["exit"] = guard.stop()
        tell(found)


def reload(guard: Guard, text: str | None) -> list[dict[str, Any]]:
    """What the guard says to a SIGHUP with this configuration (None: as it lies there)."""
    before = len(guard.said("reload"))
    if text is not None:
        guard.config.write_text(text)
    guard.signal(signal.SIGHUP)
    until(lambda: len(guard.said("reload")) > before, RELOAD_SECONDS, step=0.02)
    return guard.said("reload")[before:]


def rose_and_fell(hog: Path) -> bool:
    """Did it grow, and is it gone?"""
    return int((hog / "memory.peak").read_text()) > 64 << 20 and not populated(hog)


if __name__ == "__main__":
    main()
