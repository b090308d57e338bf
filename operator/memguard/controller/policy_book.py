"""All policies, as they are now: each change is told at once, a list twice a minute makes sure of it.

Of the administrators' policies kopf tells. It lists whole objects at once, and keeps nothing small: 600 policies with a
quarter of a MiB of annotations each made it 777 MiB. So tenants' policies, of which anybody may write thousands, are
watched by the lean client, and of each namespace only as much is kept as any plan could have room for.

A plan that lacks a policy might end what that protects, so nothing is planned before both kinds were listed, nor when
the last list is too long ago.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import msgspec

from memguard.core.compile import Compiled, compile_plan
from memguard.errors import KubeError
from memguard.kube.client import Client
from memguard.kube.codec import Broken, Found, Happening, Key
from memguard.kube.ration import Ration
from memguard.kube.resources import Resource, Selection
from memguard.kube.store import Change
from memguard.kube.watch import Watcher
from memguard.service.policies import MOST_READ_BYTES, named
from memguard.service.resources import CLUSTER_POLICIES, POLICIES, TenantPolicy

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
        nothing = partial(Ration, 0)
        #: Of the tenants' policies, to be run in a thread of its own; it keeps only their names.
        self.watcher = Watcher(client, Selection(POLICIES), _nobody, ration=nothing, heard=self._hear_tenants)
        self._ration = _ration()
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
        self._hear(resource, self._client.codec(resource).event(line))

    def _hear_tenants(self, happening: Happening[TenantPolicy]) -> None:
        self._hear(POLICIES, happening)

    def _hear(self, resource: Resource[Any], happening: Any) -> None:
        deleted = happening.deleted
        with self._lock:
            items, item = self._items[resource.plural], self._admitted(resource, happening)
            known = items.get(item.key)
            if deleted:
                news = known is not None and known.uid == item.uid and items.pop(item.key) is not None
            else:
                news = known is None or _version(known) != _version(item)
                items[item.key] = item
            if news or not deleted:
                self._told[resource.plural, item.key] = None if deleted else happening.item
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
        ration = _ration()
        try:
            tenants = self._client.list_all(Selection(POLICIES), ration=lambda: ration).items
            clusters = self._client.list_all(Selection(CLUSTER_POLICIES)).items
        except KubeError as error:
            self.problem = str(error)
            return
        lists = {POLICIES.plural: _by_key(tenants), CLUSTER_POLICIES.plural: _by_key(clusters)}
        with self._lock:
            self._ration = ration
            for (plural, key), item in self._told.items():  # since the lists began: they may lack it
                if item is None:
                    lists[plural].pop(key, None)
                else:
                    lists[plural][key] = ration.admit(item) if plural == POLICIES.plural else item
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

    def _admitted(self, resource: Resource[Any], happening: Happening[Any]) -> Item:
        if resource is not POLICIES:
            return happening.item
        if happening.deleted:
            self._ration.forget(happening.item.key)
            return happening.item
        return self._ration.admit(happening.item)

    def _turn(self, *, news: bool) -> None:
        if news:
            self.version += 1
            self._plans.clear()


def _nobody(_: Change[TenantPolicy]) -> None:
    """What the watcher keeps is nothing."""


def _ration() -> Ration:
    return Ration(MOST_READ_BYTES)


def _by_key(items: Iterable[Item]) -> dict[Key, Item]:
    return {item.key: item for item in items}


def _versions(items: Mapping[str, Mapping[Key, Item]]) -> set[tuple[str, ...]]:
    return {(plural, *_version(item)) for plural, some in items.items() for item in some.values()}


def _version(item: Item) -> tuple[str, str]:
    """Which policy, and which spec of it: that its status was written, by ourselves above all, is no news."""
    return item.uid, item.resource_version if isinstance(item, Broken) else f"spec {item.object.metadata.generation}"
