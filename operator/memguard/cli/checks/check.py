"""What a check answers, and where it looks."""

from __future__ import annotations

from typing import Literal

from memguard.core.model import Record
from memguard.kernel.cgroup import CGROUP_ROOT

Status = Literal["ok", "warn", "fail", "unknown"]


class Place(Record, frozen=True, kw_only=True):
    """Where the kernel's trees are mounted."""

    cgroup_root: str = CGROUP_ROOT
    proc_root: str = "/proc"


class Check(Record, frozen=True, kw_only=True):
    """One answer. `warn` makes a weaker guard, `fail` a machine that can only be observed, or not even that.

    `unknown`: whoever asks may not look, which is nobody's illness.
    """

    name: str
    status: Status
    finding: str
    remedy: str | None = None


class DoctorReport(Record, frozen=True, kw_only=True):
    """`memguard doctor`: fit when nothing fails."""

    fit: bool
    checks: tuple[Check, ...]

    @property
    def readable(self) -> bool:
        """Is there a cgroup v2 tree, the first check? Without one guard, top, snapshot and record refuse."""
        return self.checks[0].status != "fail"


def ok(name: str, finding: str) -> Check:
    """All is well."""
    return Check(name=name, status="ok", finding=finding)


def warn(name: str, finding: str, remedy: str) -> Check:
    """It will do, but not as well."""
    return Check(name=name, status="warn", finding=finding, remedy=remedy)


def fail(name: str, finding: str, remedy: str) -> Check:
    """No guarding like this."""
    return Check(name=name, status="fail", finding=finding, remedy=remedy)


def unknown(name: str, finding: str, remedy: str) -> Check:
    """It could not be looked at."""
    return Check(name=name, status="unknown", finding=f"not known: {finding}", remedy=remedy)
