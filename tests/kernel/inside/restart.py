"""Guard and janitor die together: the lines stay, and the next start sweeps them."""

from __future__ import annotations

import time

from inside.stage import frozen, held, pages_may_move, rang, stage, tell, until, watch_closely


def main() -> None:
    """Twice: with a line, and with a frozen hog."""
    watch_closely()
    tell({"line": scenario(node=False), "freeze": scenario(node=True)})


def scenario(*, node: bool) -> dict[str, object]:
    """One death of both, and what the next start (which observes only) makes of it."""
    with stage() as scene:
        hog = scene.container("hog", limit_mib=0 if node else 160)
        guard = scene.guard(reserve_mib=500 if node else 100)
        if node:
            scene.load(hog, "hog", "rate=0", "max=2000")
            hit = until(lambda: frozen(hog), 15)
        else:
            scene.load(hog, "hog", "rate=20", "max=60")
            hit = until(lambda: bool(held()), 15) and not rang(hog)
        (guard.cgroup / "cgroup.kill").write_text("1")
        guard.child.wait()
        time.sleep(0.5)
        left, moved = held(), pages_may_move()
        again = scene.guard(mode="Observe", reserve_mib=1)
        start = again.said("start")[0]
        after, moves = held(), pages_may_move()
        return {
            "hit": hit, "left": left, "swept": start["swept"], "held": after, "mayMove": [moved, moves],
            "exit": again.stop(),
        }  # fmt: skip


if __name__ == "__main__":
    main()
