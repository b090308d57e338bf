"""A container that nests cgroups (crun's child, systemd in a pod): its memory is all of them, and they die together."""

from __future__ import annotations

from inside.stage import populated, stage, tell, until


def main() -> None:
    """Two hogs in two nested cgroups, each below the limit, together above it; beside them a bystander's nest."""
    with stage() as scene:
        hog = scene.container("hog", limit_mib=200, nested=("a", "b/c"))
        web = scene.container("web", limit_mib=200, nested=("container",))
        scene.load(web / "container", "hog", "rate=0", "max=50")
        guard = scene.guard()
        for child in ("a", "b/c"):
            scene.load(hog / child, "hog", "rate=100", "max=150")
        until(lambda: populated(hog), 2)
        gone = until(lambda: not populated(hog), 20, step=0.01)
        until(lambda: bool(guard.said("outcome")), 2, step=0.02)
        events = dict(line.split() for line in (hog / "memory.events").read_text().splitlines())
        tell(
            {
                "gone": gone,
                "kernel": int(events["oom_kill"]),
                "victims": [line["victim"]["name"] for line in guard.said("decision", mode="Enforce")],
                "outcomes": guard.said("outcome"),
                "web": populated(web),
                "exit": guard.stop(),
            }
        )


if __name__ == "__main__":
    main()
