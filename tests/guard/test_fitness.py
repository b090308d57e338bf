from __future__ import annotations

import os
from pathlib import Path

from memguard.guard.clock import Clock
from memguard.guard.fitness import READ_ONLY, Fitness, capabilities, writable
from memguard.kernel.selfguard import Applied


def tree(root: Path) -> Path:
    (root / "cgroup.subtree_control").write_text("memory\n")
    return root


def test_a_tree_of_our_own_can_be_written(tmp_path: Path) -> None:
    assert writable(str(tree(tmp_path)))


def test_somebody_elses_tree_is_only_observed(tmp_path: Path) -> None:
    root = tree(tmp_path)
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.setresgid(65534, 65534, 65534)
            os.setresuid(65534, 65534, 65534)
            status = 0 if Fitness(str(root), None, Clock()).why_not() == READ_ONLY else 2
        finally:
            os._exit(status)
    (root / "cgroup.subtree_control").chmod(0o644)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_what_cannot_be_had_says_what_it_costs(tmp_path: Path) -> None:
    measures = (Applied("memory lock", ok=False, detail="Operation not permitted: needs CAP_IPC_LOCK"),)
    found = {c.name: c for c in capabilities(str(tmp_path / "none"), measures, psi="EPERM", supervised=False)}
    assert list(found) == ["cgroup-write", "host-pid", "signals", "psi-trigger", "supervisor", "memory-lock"]
    assert not any(found[name].ok for name in ("cgroup-write", "psi-trigger", "supervisor", "memory-lock"))
    assert all(capability.detail for capability in found.values() if not capability.ok)
