"""What could be meant, for the shell's completion: names that the cluster knows. Silent where it cannot be asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import typer

from memguard.cli.cluster.cluster import DECISIONS, NODE_MEMORIES, Cluster
from memguard.cli.cluster.login import Access, context_names
from memguard.errors import MemguardError
from memguard.kube.resources import NAMESPACES, PODS, Selection

Names = Callable[[typer.Context, str], list[str]]


def _suggested(names: Callable[[Cluster, str | None], Iterable[str]]) -> Names:
    """Those that begin like what was typed, of the cluster and namespace that were typed before it."""

    def suggest(ctx: typer.Context, incomplete: str) -> list[str]:
        given = ctx.params
        try:
            access = Access(*map(given.get, ("kubeconfig", "context", "as_user", "as_group")))
            cluster = Cluster.reached(access, given.get("namespace"))
            found = sorted(set(names(cluster, given.get("namespace") or cluster.namespace)))
        except MemguardError:
            return []
        return [name for name in found if name.startswith(incomplete)]

    return suggest


node_names = _suggested(lambda cluster, _: _names(cluster.all(Selection(NODE_MEMORIES))))
namespace_names = _suggested(lambda cluster, _: _names(cluster.all(Selection(NAMESPACES))))
decision_names = _suggested(lambda cluster, space: _names(cluster.all(Selection(DECISIONS, space))))
pod_names = _suggested(lambda cluster, space: (f"pod/{name}" for name in _names(cluster.all(Selection(PODS, space)))))


def _names(objects: Iterable[Any]) -> Iterator[str]:
    return (one.metadata.name for one in objects)


def contexts(ctx: typer.Context, incomplete: str) -> list[str]:
    """Of the kubeconfig."""
    try:
        return [name for name in context_names(ctx.params.get("kubeconfig")) if name.startswith(incomplete)]
    except MemguardError:
        return []
