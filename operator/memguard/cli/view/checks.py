"""`memguard doctor` for people."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Group
from rich.table import Table

from memguard.cli.checks.check import Check, DoctorReport
from memguard.cli.view.table import BAD, GOOD, QUIET, WARNING, cell, table

STYLES = {"ok": GOOD, "warn": WARNING, "fail": BAD, "unknown": QUIET}


def checks_view(report: DoctorReport, subject: str = "machine") -> Group:
    """Every check with its remedy, and the verdict."""
    return Group(checks_table(report.checks), cell(_verdict(report, subject), GOOD if report.fit else BAD))


def checks_table(checks: Iterable[Check]) -> Table:
    """One line each."""
    made = table("check", "", "finding", "remedy")
    for check in checks:
        status = cell(check.status, STYLES[check.status])
        made.add_row(cell(check.name), status, cell(check.finding), cell(check.remedy or ""))
    return made


def _verdict(report: DoctorReport, subject: str) -> str:
    if report.fit:
        return f"This {subject} is fit."
    if report.readable or subject != "machine":
        return f"This {subject} is not fit: observe only."
    return "This machine is not fit: without cgroup v2 nothing of memguard works here, not even observing."
