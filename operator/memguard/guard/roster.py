"""Who is who, as the agent tells it: joined by container id alone, so that nobody is mistaken for its successor."""

from __future__ import annotations

from memguard.core.link import Mapping
from memguard.core.model import Container, Identity, unread


class Roster:
    """The containers of this node by id, and the pods' UIDs as their cgroups are named."""

    def __init__(self) -> None:
        self.known: dict[str, Identity] = {}
        self.pods: frozenset[str] = frozenset()
        #: pods that were known, and of which something may still run
        self.departed: set[str] = set()

    def follow(self, mapping: Mapping) -> set[str]:
        """Take over what the agent tells; the ids about which anything is new."""
        before = dict(self.known)
        if mapping.complete:
            self.known.clear()
        for identity in mapping.containers:
            self.known[identity.id] = identity
        for gone in mapping.gone:
            self.known.pop(gone, None)
        pods = frozenset(mapping.pods)
        self.departed = (self.departed | self.pods) - pods
        self.pods = pods
        return {key for key in before.keys() | self.known.keys() if before.get(key) != self.known.get(key)}

    def identify(self, cgroup: str, container_id: str) -> Container:
        """The container that a cgroup is; one that is not known yet stays unmapped, and is never touched."""
        return unread(self.known.get(container_id) or Identity(id=container_id), cgroup)
