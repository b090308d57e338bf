"""The options that kubectl has, under kubectl's names, and how a result leaves."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from re import fullmatch
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from memguard.cli.cluster.suggest import contexts, namespace_names, node_names
from memguard.cli.output import Format, emit

if TYPE_CHECKING:
    from rich.console import RenderableType


class Form(StrEnum):
    """`-o` of a command that has more to show than a narrow screen has room for."""

    TABLE = "table"
    WIDE = "wide"
    JSON = "json"
    YAML = "yaml"


WideOutput = Annotated[Form, typer.Option("-o", "--output", help="How to print; json and yaml are stable.")]
Kubeconfig = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="How to reach the cluster.", show_default="$KUBECONFIG, ~/.kube/config"),
]
Context = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Which of its contexts.", show_default="the current", autocompletion=contexts),
]
AsUser = Annotated[str | None, typer.Option("--as", metavar="NAME", help="Act as this user, as in kubectl.")]
AsGroups = Annotated[
    list[str] | None,
    typer.Option("--as-group", metavar="NAME", help="Act as one of this group; may be repeated."),
]
Namespace = Annotated[
    str | None,
    typer.Option(
        "-n",
        "--namespace",
        metavar="NAME",
        help="Which namespace.",
        show_default="the context's",
        autocompletion=namespace_names,
    ),
]
NodeName = Annotated[
    str | None, typer.Option("--node", metavar="NAME", help="Only this node.", autocompletion=node_names)
]
NodeNames = Annotated[
    list[str] | None,
    typer.Option("--node", metavar="NAME", help="Only this node; may be repeated.", autocompletion=node_names),
]
AllNamespaces = Annotated[bool, typer.Option("-A", "--all-namespaces", help="All namespaces.")]
Selector = Annotated[
    str, typer.Option("-l", "--selector", metavar="LABELS", help="Only what has these labels: a=b,c!=d, as in kubectl.")
]


UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def _seconds(text: str) -> float:
    """`90s`, `15m`, `6h`, `7d`, as kubectl takes them. Raises BadParameter."""
    found = fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text)
    if found is None:
        raise typer.BadParameter(f"{text!r} is no time: give 90s, 15m, 6h or 7d")
    return float(found[1]) * UNITS[found[2]]


Since = Annotated[
    float | None,
    typer.Option("--since", metavar="TIME", help="Not older than this: 90s, 15m, 6h, 7d.", parser=_seconds),
]


def pod_name(target: str) -> str:
    """Of pod/NAME or NAME. Raises BadParameter."""
    kind, slash, name = target.rpartition("/")
    if (slash and kind not in ("pod", "pods", "po")) or not name:
        raise typer.BadParameter(f"{target}: give pod/NAME")
    return name


def where(namespace: str | None, default: str, *, everywhere: bool) -> str | None:
    """The namespace that is asked for; None for all."""
    if everywhere and namespace is not None:
        raise typer.BadParameter("--all-namespaces and --namespace exclude each other")
    return None if everywhere else namespace or default


def show(document: msgspec.Struct, form: Form, view: Callable[[], RenderableType]) -> None:
    """Print a document; `view` draws it for people."""
    emit(document, Format.TABLE if form is Form.WIDE else Format(form.value), view)
