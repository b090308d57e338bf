"""A node runs dry beside 250 containers: how many memory.stat files does the decision read?"""

from __future__ import annotations

from inside.costs import MANY, populate
from inside.stage import populated, stage, tell, until


def main() -> None:
    """One incident under a guard that counts."""
    with stage() as scene:
        hog = scene.container("hog")
        populate(scene, MANY)
        guard = scene.guard(wrapper="inside.counted", reserve_mib=400)
        scene.load(hog, "hog", "rate=0", "max=2000")
        until(lambda: populated(hog), 2)
        gone = until(lambda: not populated(hog), 20, step=0.01)
        until(lambda: bool(guard.said("decision")), 2, step=0.02)
        tell({"gone": gone, "timings": [line["timing"] for line in guard.said("decision", mode="Enforce")]})


if __name__ == "__main__":
    main()
