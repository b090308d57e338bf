"""`memguard report`: one incident as a page, from a file."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from memguard.cli.incident.delivery import ReportFormat, ReportOutput, deliver
from memguard.cli.incident.reading import read_incident

Record = Annotated[
    str,
    typer.Argument(
        metavar="FILE", help="A MemoryGuardDecision as kubectl prints it, or a report's data; - reads stdin."
    ),
]


def report(record: Record, output: ReportOutput = ReportFormat.TABLE) -> None:
    """Tell one incident: what happened, why this one, what would have changed it, what came after.

    FILE is one MemoryGuardDecision, in YAML or JSON. `kubectl memguard report NAME` reads it from the cluster, together
    with how the pod is now and its Events.

    \b
    Examples:
      kubectl -n shop get memoryguarddecision NAME -o yaml > decision.yaml
      memguard report decision.yaml
      memguard report decision.yaml -o html > report.html

    \b
    Exit codes: 0 told, 2 bad input.
    """
    deliver(read_incident(record, datetime.now(UTC)), output)
