"""All checks, in the order in which they should be mended."""

from __future__ import annotations

from memguard.cli.checks import hierarchy, neighbours, privileges
from memguard.cli.checks.check import DoctorReport, Place

TREE_CHECKS = (hierarchy.memory_controller, hierarchy.files, hierarchy.writable, hierarchy.mapping)
CHECKS = (
    neighbours.pressure,
    privileges.capabilities,
    privileges.real_time,
    privileges.pages_in_place,
    privileges.open_files,
    privileges.apparmor,
    neighbours.runtime,
    neighbours.rivals,
    neighbours.zfs,
)


def diagnose(place: Place) -> DoctorReport:
    """Ask everything that can be asked here."""
    tree = hierarchy.version(place)
    # In a tree that is not v2 nothing else about it means anything.
    questions = (*(TREE_CHECKS if tree.status == "ok" else ()), *CHECKS)
    checks = (tree, *(ask(place) for ask in questions))
    return DoctorReport(fit=all(check.status != "fail" for check in checks), checks=checks)
