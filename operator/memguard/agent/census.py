"""Who runs here, and who did until lately: what the guard tells of may be gone when we hear of it."""

from __future__ import annotations

from collections.abc import Iterable

from memguard.agent.roster import Roster, roster
from memguard.core.model import Identity
from memguard.kube.objects import Pod

#: A node runs some 250 containers; as many are remembered after their end.
MOST_GONE = 256


class Census:
    """Keeps `roster`: who runs now; None before anybody was heard of. One thread changes it, any may ask."""

    def __init__(self, remembered: Roster | None = None) -> None:
        self.roster = remembered
        self._gone: dict[str, Identity] = {}

    def follow(self, pods: Iterable[Pod]) -> bool:
        """These are the node's pods now; did anything change that the guard should know?"""
        before, now = self.roster, roster(pods)
        if before == now:
            return False
        if before is not None:
            gone = {key: one for key, one in before.containers.items() if key not in now.containers}
            self._gone = dict([*self._gone.items(), *gone.items()][-MOST_GONE:])
        self.roster = now
        return True

    def find(self, container_id: str) -> Identity | None:
        """The container of this id, also one that ended lately."""
        known = self.roster.containers.get(container_id) if self.roster else None
        return known or self._gone.get(container_id)

    def runs(self, container_id: str, pod_uid: str) -> bool:
        """Is there such a container, of just this pod?"""
        known = self.roster.containers.get(container_id) if self.roster else None
        return known is not None and known.pod_uid == pod_uid
