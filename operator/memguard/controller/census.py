"""Who runs on a node in trouble: the API server is asked when there is somebody whom we do not know."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from memguard.controller.deeds import Deeds
from memguard.core.model import Identity, unread
from memguard.core.policy import workload
from memguard.kube.identities import identities
from memguard.kube.objects import Pod


class Census:
    """Of the node `name`. One thread at a time changes it, any may ask."""

    def __init__(self, name: str, deeds: Deeds) -> None:
        self.name = name
        self._deeds = deeds
        self._identities: dict[str, Identity] = {}
        self._pods: dict[str, Pod] = {}
        self._listed_at: datetime | None = None

    @property
    def identities(self) -> Mapping[str, Identity]:
        """By container id, as far as it was asked; another mapping after each change."""
        return self._identities

    @property
    def workloads(self) -> tuple[str, ...]:
        """The workloads that they are of."""
        return tuple({workload(unread(one)): None for one in self._identities.values()})

    @property
    def namespaces(self) -> frozenset[str]:
        """Theirs."""
        return frozenset(one.namespace or "" for one in self._identities.values())

    def recognise(self, ids: Iterable[str], now: datetime) -> None:
        """Know the containers of these ids. Raises KubeError."""
        if all(one in self._identities for one in ids):
            return
        pods = self._deeds.pods_on(self.name)
        self._pods, self._listed_at = {pod.metadata.uid: pod for pod in pods}, now
        self._identities = {identity.id: identity for pod in pods for identity in identities(pod)}

    def pod(self, uid: str, now: datetime) -> Pod | None:
        """As it is in this turn: somebody else may have ended it since we looked. Raises KubeError."""
        pod = self._pods.get(uid)
        if pod is None or self._listed_at == now:
            return pod
        fresh = self._deeds.pod(pod.metadata.namespace, pod.metadata.name, uid)
        if fresh is not None:
            self._pods[uid] = fresh
            self._identities = self._identities | {one.id: one for one in identities(fresh)}
        return fresh
