"""A set of objects as it was told, and what each telling changed. Pure: the watcher brings the news."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, TypeVar

import msgspec

from memguard.kube.codec import Broken, Found, Key

T = TypeVar("T")


class Change(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """What is different now. `listed`: it comes from a complete list, so nothing beyond the store exists.

    `upserted` are new or have another resource version; `deleted` are as they were last known. One that was made anew
    under the same name is in both. `broken` no longer decode, and are in `deleted` when they did before.
    An empty change tells that one of those is gone.
    """

    upserted: tuple[T, ...] = ()
    deleted: tuple[T, ...] = ()
    broken: tuple[Broken, ...] = ()
    listed: bool = False


class Store(Generic[T]):
    """Objects by namespace and name."""

    def __init__(self) -> None:
        self._items: dict[Key, Found[T] | Broken] = {}

    def objects(self) -> dict[Key, T]:
        """Those that decode."""
        return {key: item.object for key, item in self._items.items() if isinstance(item, Found)}

    def find(self, key: Key) -> T | None:
        """One that decodes."""
        item = self._items.get(key)
        return item.object if isinstance(item, Found) else None

    def broken(self) -> dict[Key, Broken]:
        """Those that do not."""
        return {key: item for key, item in self._items.items() if isinstance(item, Broken)}

    def replace(self, items: Iterable[Found[T] | Broken]) -> Change[T]:
        """These are all."""
        there = {item.key: item for item in items}
        gone = [item for key, item in self._items.items() if key not in there]
        news = [item for item in there.values() if self._news(item)]
        renewed = [known for item in news if (known := self._replaced(item)) is not None]
        self._items = there
        return _change(news, [*gone, *renewed], listed=True)

    def upsert(self, item: Found[T] | Broken) -> Change[T] | None:
        """It is there, in this state; None when that was known."""
        if not self._news(item):
            return None
        renewed = self._replaced(item)
        self._items[item.key] = item
        return _change([item], [] if renewed is None else [renewed], listed=False)

    def remove(self, key: Key) -> Change[T] | None:
        """It is gone; None when it was."""
        item = self._items.pop(key, None)
        return None if item is None else _change([], [item], listed=False)

    def _news(self, item: Found[T] | Broken) -> bool:
        known = self._items.get(item.key)
        return known is None or (known.uid, known.resource_version) != (item.uid, item.resource_version)

    def _replaced(self, item: Found[T] | Broken) -> Found[T] | Broken | None:
        """What is no longer there now that this is."""
        known = self._items.get(item.key)
        if known is None or (known.uid == item.uid and isinstance(item, Found)):
            return None
        return known


def _change(news: Iterable[Found[T] | Broken], gone: Iterable[Found[T] | Broken], *, listed: bool) -> Change[T]:
    news = tuple(news)
    return Change(
        upserted=tuple(item.object for item in news if isinstance(item, Found)),
        deleted=tuple(item.object for item in gone if isinstance(item, Found)),
        broken=tuple(item for item in news if isinstance(item, Broken)),
        listed=listed,
    )
