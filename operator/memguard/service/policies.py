"""Policies as they were read, for core/compile: of what cannot be read, the name and what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from memguard.core.compile import MOST_NAMESPACE_BYTES
from memguard.core.notes import Named
from memguard.kube.codec import Broken, Found

#: Of one namespace's policies: four times what may stand in a plan, since those that come first may be read last.
MOST_READ_BYTES = 4 * MOST_NAMESPACE_BYTES


def named(items: Iterable[Found[Any] | Broken]) -> tuple[Any, ...]:
    """As core/compile takes them: `Cluster` or `Tenant`."""
    return tuple(
        Named(namespace=one.namespace, name=one.name, spec=None, problem=one.problem)
        if isinstance(one, Broken)
        else Named(namespace=one.namespace, name=one.name, spec=one.object.spec)
        for one in items
    )
