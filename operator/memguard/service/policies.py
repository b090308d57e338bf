"""Policies as they were read, for core/compile: of what cannot be read, the name and what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from memguard.core.notes import Named
from memguard.kube.codec import Broken, Found


def named(items: Iterable[Found[Any] | Broken]) -> tuple[Any, ...]:
    """As core/compile takes them: `Cluster` or `Tenant`."""
    return tuple(
        Named(namespace=one.namespace, name=one.name, spec=None, problem=one.problem)
        if isinstance(one, Broken)
        else Named(namespace=one.namespace, name=one.name, spec=one.object.spec)
        for one in items
    )
