"""A node runs dry beside many containers, under a guard that counts: what does the way from wake-up to kill take?

python3 -m inside.incident counted 250
"""

from __future__ import annotations

from typing import Any

from inside.crowd import arguments, counts, populate
from inside.stage import populated, stage, tell, until


def incident(wrapper: str, count: int) -> dict[str, Any]:
    """One incident; `wrapper` is the module that runs memguard."""
    with stage() as scene:
        hog = scene.container("hog")
        populate(scene, count)
        guard = scene.guard(wrapper=f"inside.{wrapper}", reserve_mib=400)
        scene.load(hog, "hog", "rate=0", "max=2000")
        until(lambda: populated(hog), 2)
        gone = until(lambda: not populated(hog), 20, step=0.01)
        until(lambda: bool(guard.said("decision")), 2, step=0.02)
        timings = [line["timing"] for line in guard.said("decision", mode="Enforce")]
        return {"containers": count, "gone": gone, "timings": timings}


def main() -> None:
    """The wrapper, then the counts."""
    wrapper, how_many = arguments()
    tell([incident(wrapper, count) for count in counts(how_many)])


if __name__ == "__main__":
    main()
