"""Survivors are told that memory is short, before somebody dies; and the loss of a critical process is an alarm."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

from inside.stage import LOADS, RUN, populated, stage, tell, until


def notified() -> dict[str, Any]:
    """A bystander with a handler for the policy's signal, beside a hog that takes the node's memory."""
    with stage() as scene:
        hog, web = scene.container("hog"), scene.container("web")
        heard = RUN / "heard"
        heard.unlink(missing_ok=True)
        script = f"trap 'echo told >> {heard}' USR1; while :; do sleep 0.05; done"
        scene.children.append(subprocess.Popen((LOADS, "enter", f"cgroup={web}", "adj=900", "--", "sh", "-c", script)))
        # Who has no handler dies of the signal: the policy names those that have one.
        guard = scene.guard(reserve_mib=500, rule='notifySignal = "SIGUSR1"\nmatch.pod = "web"\n[[rules]]')
        scene.load(hog, "hog", "rate=100", "max=2000")
        until(lambda: populated(hog), 2)
        until(lambda: not populated(hog), 20, step=0.01)
        until(heard.exists, 2, step=0.02)
        return {
            "heard": heard.read_text().split() if heard.exists() else [],
            "web": populated(web),
            "victims": [line["victim"]["name"] for line in guard.said("decision", mode="Enforce")],
            "notices": guard.said("notice"),
            "exit": guard.stop(),
        }


def critical() -> dict[str, Any]:
    """A process called kubelet that (wrongly) runs inside the victim."""
    with stage() as scene:
        hog = scene.container("hog", limit_mib=160)
        kubelet = Path(RUN / "kubelet")
        shutil.copy("/bin/sleep", kubelet)
        scene.children.append(
            subprocess.Popen((LOADS, "enter", f"cgroup={hog}", "adj=900", "--", str(kubelet), "1000"))
        )
        until(lambda: populated(hog), 2)
        guard = scene.guard()
        scene.load(hog, "hog", "rate=0", "max=2000")
        until(lambda: not populated(hog), 20, step=0.01)
        guard.hears("alarm", 3)
        return {"alarms": guard.said("alarm"), "exit": guard.stop()}


def main() -> None:
    """Both."""
    tell({"notified": notified(), "critical": critical()})


if __name__ == "__main__":
    main()
