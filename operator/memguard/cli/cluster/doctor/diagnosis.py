"""Whether a cluster is fit, and each of its nodes: what `kubectl memguard doctor` says."""

from __future__ import annotations

from memguard.cli.checks.check import Check
from memguard.core.model import Record


class NodeDiagnosis(Record, frozen=True, kw_only=True):
    """The checks of one node, by its own report."""

    node: str
    fit: bool
    checks: tuple[Check, ...]


class ClusterDiagnosis(Record, frozen=True, kw_only=True):
    """`kubectl memguard doctor`: fit when nothing fails, in the cluster and on any node."""

    fit: bool
    checks: tuple[Check, ...]
    nodes: tuple[NodeDiagnosis, ...]
