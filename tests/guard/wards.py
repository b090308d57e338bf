"""Wards on cgroup directories of plain files."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from tests.core.make import memory
from tests.kernel_files.trees import make_cgroup

from memguard.core.model import Container
from memguard.core.policy import Plan, Rule
from memguard.guard.ward import Terms, Ward
from memguard.kernel.cgroup import Cgroup

NOW = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)


def plan(**rule: object) -> Plan:
    """Everybody may be acted on, under one rule."""
    return Plan(mode="Enforce", rules=(Rule(**rule),))  # type: ignore[arg-type]


def make_ward(root: Path, path: str, proc: Path, under: Plan | None = None, **changes: str | None) -> Ward:
    """A named container, studied and ready; `changes` as make_cgroup takes them."""
    make_cgroup(root, path, **changes)
    name = path.rpartition("/")[2]
    identity = Container(id=name, cgroup=path, namespace="shop", pod=name, name="app", memory=memory())
    ward = Ward(Cgroup(path, str(root)), identity)
    assert ward.study(NOW, 100.0, str(proc), swap=False)
    ward.adopt(Terms(under or plan()))
    ward.cgroup.prepare()
    return ward
