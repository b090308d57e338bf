"""How much of what tenants write is kept: who writes without end fills no memory but its own share of it."""

from __future__ import annotations

from collections import Counter
from typing import TypeVar

from memguard.kube.codec import Broken, Found, Key

T = TypeVar("T")


class Ration:
    """Each namespace's share, in bytes of its objects' specs as JSON. What is beyond it is known by its name alone.

    Whoever is beyond stays there until it is written anew or listed again, also when others of its namespace go.
    """

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self._kept: dict[Key, int] = {}
        self._used: Counter[str] = Counter()

    def admit(self, item: Found[T] | Broken) -> Found[T] | Broken:
        """The object, or that there is no room for it."""
        self.forget(item.key)
        if isinstance(item, Broken):
            return item
        if self._used[item.namespace] + item.spec_bytes > self.most_bytes:
            return Broken(
                name=item.name,
                namespace=item.namespace,
                uid=item.uid,
                resource_version=item.resource_version,
                problem=f"its namespace has more than the {self.most_bytes >> 10} KiB that are read of one",
            )
        self._used[item.namespace] += item.spec_bytes
        self._kept[item.key] = item.spec_bytes
        return item

    def forget(self, key: Key) -> None:
        """It is gone."""
        self._used[key[0]] -= self._kept.pop(key, 0)
