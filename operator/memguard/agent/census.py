"""Who runs here, and who did until lately: what the guard tells of may be gone when we hear of it."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from memguard.agent.identities import Roster, roster
from memguard.core.model import Container, Identity, Memory
from memguard.kube.objects import Pod

#: A node runs some 250 containers; as many are remembered after their end.
MOST_GONE = 256
_FIELDS = tuple(name for name in Identity.__struct_fields__ if name != "id")


class People(msgspec.Struct, frozen=True):
    """`roster`: those that run; None before anybody was heard of. `namespaces`: of all pods that are here."""

    roster: Roster | None = None
    namespaces: frozenset[str] = frozenset()

    @property
    def listed(self) -> bool:
        """Is it the API server's word, and not what was remembered?"""
        return self.roster is not None and self.roster.listed


class Census:
    """Keeps `people`, all of one moment. One thread changes it, any may ask."""

    def __init__(self, remembered: Roster | None = None) -> None:
        self.people = People(remembered)
        self._gone: dict[str, Identity] = {}

    @property
    def roster(self) -> Roster | None:
        """Those that run now."""
        return self.people.roster

    def follow(self, pods: Iterable[Pod]) -> bool:
        """These are the node's pods now; did anything change that the guard should know?"""
        pods = tuple(pods)
        before, now = self.roster, roster(pods)
        self.people = People(now, frozenset(pod.metadata.namespace for pod in pods))
        if before == now:
            return False
        gone = dict(self._gone)
        if before is not None:
            gone |= {key: one for key, one in before.containers.items() if key not in now.containers}
        self._gone = dict(list(gone.items())[-MOST_GONE:])
        return True

    def find(self, container_id: str) -> Identity | None:
        """The container of this id, also one that ended lately."""
        known = self.roster.containers.get(container_id) if self.roster else None
        return known or self._gone.get(container_id)

    def runs(self, container_id: str, pod_uid: str) -> bool:
        """Is there such a container, of just this pod?"""
        known = self.roster.containers.get(container_id) if self.roster else None
        return known is not None and known.pod_uid == pod_uid


def container(identity: Identity) -> Container:
    """The container without its readings, which are the guard's: enough to find its rule."""
    facts = {name: getattr(identity, name) for name in _FIELDS}
    return Container(id=identity.id, memory=Memory(current_bytes=0), **facts)
