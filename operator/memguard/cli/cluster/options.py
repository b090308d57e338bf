"""The options that kubectl has, under kubectl's names, and how a result leaves."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from memguard.cli.cluster.suggest import contexts, namespaces, nodes
from memguard.cli.output import Format, emit

if TYPE_CHECKING:
    from rich.console import RenderableType


class Form(StrEnum):
    """`-o`."""

    TABLE = "table"
    WIDE = "wide"
    JSON = "json"
    YAML = "yaml"


Output = Annotated[Form, typer.Option("-o", "--output", help="How to print; json and yaml are stable.")]
Kubeconfig = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="How to reach the cluster.", show_default="$KUBECONFIG, ~/.kube/config"),
]
Context = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Which of its contexts.", show_default="the current", autocompletion=contexts),
]
Namespace = Annotated[
    str | None,
    typer.Option(
        "-n",
        "--namespace",
        metavar="NAME",
        help="Which namespace.",
        show_default="the context's",
        autocompletion=namespaces,
    ),
]
NodeName = Annotated[str | None, typer.Option("--node", metavar="NAME", help="Only this node.", autocompletion=nodes)]
NodeNames = Annotated[
    list[str] | None,
    typer.Option("--node", metavar="NAME", help="Only this node; may be repeated.", autocompletion=nodes),
]
AllNamespaces = Annotated[bool, typer.Option("-A", "--all-namespaces", help="All namespaces.")]
Selector = Annotated[
    str, typer.Option("-l", "--selector", metavar="LABELS", help="Only what has these labels: a=b,c!=d, as in kubectl.")
]


def where(namespace: str | None, default: str, *, everywhere: bool) -> str | None:
    """The namespace that is asked for; None for all."""
    if everywhere and namespace is not None:
        raise typer.BadParameter("--all-namespaces and --namespace exclude each other")
    return None if everywhere else namespace or default


def show(document: msgspec.Struct, form: Form, view: Callable[[], RenderableType]) -> None:
    """Print a document; `view` draws it for people."""
    emit(document, Format.TABLE if form is Form.WIDE else Format(form.value), view)
