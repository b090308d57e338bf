"""How a report leaves: for people as a table or a page, for programs as JSON or YAML."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from memguard.cli.incident.incident import Incident
from memguard.cli.output import Format, console, encode, write


class ReportFormat(StrEnum):
    """`-o` of a report."""

    TABLE = "table"
    HTML = "html"
    JSON = "json"
    YAML = "yaml"


ReportOutput = Annotated[
    ReportFormat,
    typer.Option(
        "-o", "--output", help="How to print; html is a page that needs nothing else, json and yaml are stable."
    ),
]


def deliver(incident: Incident, form: ReportFormat) -> None:
    """Print the report."""
    match form:
        case ReportFormat.HTML:
            from memguard.cli.incident.page import page

            write(page(incident).encode())
        case ReportFormat.TABLE:
            from memguard.cli.incident.view import view

            console().print(view(incident))
        case _:
            write(encode(incident, Format(form.value)))
