"""All policies, as they are now: kopf tells of each change at once, a list twice a minute makes sure of it.

A plan that lacks a policy might end what that protects, so nothing is planned before both kinds were listed, nor when
the last list is too long ago.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from memguard.core.compile import Compiled, compile_plan
from memguard.errors import KubeError
from memguard.kube.client import Client
from memguard.kube.codec import Broken, Found, Key
from memguard.kube.resources import Resource, Selection
from memguard.service.policies import named
from memguard.service.resources import CLUSTER_POLICIES, POLICIES

LIST_SECONDS = 30.0
#: After a failure: at the start nothing can be done before they are known.
AGAIN_SECONDS = 5.0
#: Older than two lists that failed, and it is not known what stands in them.
FRESH_SECONDS = 90.0
#: Plans that are kept, the oldest goes first: nodes with the same labels and namespaces have the same.
MOST_PLANS = 256

Item = Found[Any] | Broken


class PolicyBook:
    """Any thread may tell and ask; `changed` is called after each change, from the thread that told."""

    def __init__(
        self, client: Client, changed: Callable[[], None], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._client, self._changed, self._clock = client, changed, clock
        self._lock = threading.Lock()
        self._items: dict[str, dict[Key, Item]] = {POLICIES.plural: {}, CLUSTER_POLICIES.plural: {}}
        self._listed_at: float | None = None
        self._told: dict[tuple[str, Key], Item | None] = {}
        self._plans: dict[object, Compiled] = {}
        self._stopped = threading.Event()
        self.version = 0
        self.problem = "the policies were not listed yet"

    @property
    def fresh(self) -> bool:
        """Is it known what the policies say now?"""
        return self._listed_at is not None and self._clock() - self._listed_at < FRESH_SECONDS

    def tell(self, resource: Resource[Any], raw: Mapping[str, Any], *, deleted: bool) -> None:
        """One was made, changed or deleted."""
        line = msgspec.json.encode({"type": "DELETED" if deleted else "MODIFIED", "object": raw})
        happening: Any = self._client.codec(resource).event(line)
        with self._lock:
            items, item = self._items[resource.plural], happening.item
            known = items.get(item.key)
            if deleted:
                news = known is not None and known.uid == item.uid and items.pop(item.key) is not None
            else:
                news = known is None or _version(known) != _version(item)
                items[item.key] = item
            if news or not deleted:
                self._told[resource.plural, item.key] = None if deleted else item
            self._turn(news=news)
        if news:
            self._changed()

    def run(self) -> None:
        """List both kinds, now and twice a minute, until stopped."""
        while not self._stopped.is_set():
            self.refresh()
            self._stopped.wait(AGAIN_SECONDS if self.problem else LIST_SECONDS)

    def stop(self) -> None:
        """End `run` soon."""
        self._stopped.set()

    def refresh(self) -> None:
        """List both kinds; where that fails `problem` says why, and what is known stands for a while."""
        with self._lock:
            self._told.clear()
        began = self._clock()
        try:
            lists = {one.plural: self._listed(one) for one in (POLICIES, CLUSTER_POLICIES)}
        except KubeError as error:
            self.problem = str(error)
            return
        with self._lock:
            for (plural, key), item in self._told.items():  # since the lists began: they may lack it
                if item is None:
                    lists[plural].pop(key, None)
                else:
                    lists[plural][key] = item
            news = self._listed_at is None or _versions(lists) != _versions(self._items)
            self._items = lists
            self._listed_at, self.problem = began, ""
            self._turn(news=news)
        if news:
            self._changed()

    def tenants(self) -> tuple[Item, ...]:
        """The tenants' policies."""
        with self._lock:
            return tuple(self._items[POLICIES.plural].values())

    def clusters(self) -> tuple[Item, ...]:
        """The administrators' policies."""
        with self._lock:
            return tuple(self._items[CLUSTER_POLICIES.plural].values())

    def plan(self, labels: Mapping[str, str], namespaces: Iterable[str]) -> Compiled | None:
        """The plan of a node with these labels and pods of these namespaces; None while the policies are not known."""
        if not self.fresh:
            return None
        wanted = frozenset(namespaces)
        key = (frozenset(labels.items()), wanted)
        with self._lock:
            version, found = self.version, self._plans.get(key)
        if found is None:
            tenants = named(one for one in self.tenants() if one.namespace in wanted)
            found = compile_plan(named(self.clusters()), tenants, labels)
            with self._lock:
                if version == self.version:
                    self._plans[key] = found
                    if len(self._plans) > MOST_PLANS:
                        del self._plans[next(iter(self._plans))]
        return found

    def _listed(self, resource: Resource[Any]) -> dict[Key, Item]:
        return {item.key: item for item in self._client.list_all(Selection(resource)).items}

    def _turn(self, *, news: bool) -> None:
        if news:
            self.version += 1
            self._plans.clear()


def _versions(items: Mapping[str, Mapping[Key, Item]]) -> set[tuple[str, ...]]:
    return {(plural, *_version(item)) for plural, some in items.items() for item in some.values()}


def _version(item: Item) -> tuple[str, str]:
    """Which policy, and which spec of it: that its status was written, by ourselves above all, is no news."""
    return item.uid, item.resource_version if isinstance(item, Broken) else f"spec {item.object.metadata.generation}"
