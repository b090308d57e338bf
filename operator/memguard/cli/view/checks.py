"""`memguard doctor` for people."""

from __future__ import annotations

from rich.console import Group

from memguard.cli.checks.check import DoctorReport
from memguard.cli.view.table import BAD, GOOD, WARNING, cell, table

STYLES = {"ok": GOOD, "warn": WARNING, "fail": BAD}


def checks_view(report: DoctorReport) -> Group:
    """Every check with its remedy, and the verdict."""
    made = table("check", "", "finding", "remedy")
    for check in report.checks:
        status = cell(check.status, STYLES[check.status])
        made.add_row(cell(check.name), status, cell(check.finding), cell(check.remedy or ""))
    return Group(made, cell(_verdict(report), GOOD if report.fit else BAD))


def _verdict(report: DoctorReport) -> str:
    if report.fit:
        return "This machine is fit."
    if report.readable:
        return "This machine is not fit: observe only."
    return "This machine is not fit: without cgroup v2 nothing of memguard works here, not even observing."
