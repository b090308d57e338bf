"""The kernel's own OOM kills, each counted once, though two tell of it: the guard's counters and the pod's status.

The guard sees every kill, also a child's that Kubernetes hides, but not whose it was when the cgroup is gone before it
looks. The status names the container (OOMKilled), when the whole of it ended. Two words within a minute about one
container are one kill; a kill of nobody in particular is the status' that comes before or after it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal, TypeVar

from memguard.core.decision import KernelKill, Victim, victim_of
from memguard.core.model import Count, Identity, Record, Seconds, unread
from memguard.kube.identities import container_id, owner
from memguard.kube.objects import ContainerStatus, Pod, Terminated

V = TypeVar("V")

Scope = Literal["container", "process", "node"]

#: The guard looks at least every half minute; a status follows within seconds.
SAME_SECONDS = 60.0
#: So long a kill of nobody in particular waits for a status that names somebody.
WAIT_SECONDS = 20.0
#: A node has 110 pods; what is forgotten earlier than needed is at worst counted twice.
MOST = 1024
OOM_KILLED = "OOMKilled"


class Death(Record, frozen=True, kw_only=True):
    """`count` processes, at a time in seconds since the epoch; `victim` is None for the scope node."""

    at: Seconds
    count: Count
    scope: Scope
    victim: Victim | None = None


class OomKills:
    """Puts the two together. No I/O; time is that of the facts."""

    def __init__(self) -> None:
        self._heard: dict[str, float] = {}
        self._nobodys: list[tuple[float, int]] = []
        self._shown: dict[str, None] = {}
        self._unheard: dict[str, float] = {}

    def heard(self, kill: KernelKill, at: float) -> tuple[Death, ...]:
        """From the guard."""
        if kill.victim is None:
            return self._somebody(kill, at)
        _remember(self._heard, kill.victim.id, at)
        shown_at = self._unheard.pop(kill.victim.id, None)
        if shown_at is not None and abs(at - shown_at) <= SAME_SECONDS:
            return ()
        scope: Scope = "container" if kill.group else "process"
        return (Death(at=at, count=kill.count, scope=scope, victim=kill.victim),)

    def seen(self, pods: Iterable[Pod], now: float, *, first: bool) -> tuple[Death, ...]:
        """From the pods' statuses; what the first list shows may be old, and is only remembered."""
        return tuple(
            self._shown_now(victim, at)
            for victim, at in _killed(pods, now)
            if self._is_new(victim.id) and not first and not self._was_heard(victim.id, at)
        )

    def passed(self, now: float) -> tuple[Death, ...]:
        """Kills that nobody else told of."""
        over = [(at, count) for at, count in self._nobodys if now - at > WAIT_SECONDS]
        self._nobodys = [one for one in self._nobodys if one not in over]
        return tuple(Death(at=at, count=count, scope="node") for at, count in over)

    def _somebody(self, kill: KernelKill, at: float) -> tuple[Death, ...]:
        shown = [key for key, shown_at in self._unheard.items() if abs(at - shown_at) <= SAME_SECONDS]
        for key in shown:
            del self._unheard[key]
        if not shown:
            self._nobodys.append((at, kill.count))
        return ()

    def _shown_now(self, victim: Victim, at: float) -> Death:
        for one in self._nobodys:
            if abs(at - one[0]) <= SAME_SECONDS:
                self._nobodys.remove(one)
                return Death(at=at, count=one[1], scope="container", victim=victim)
        _remember(self._unheard, victim.id, at)
        return Death(at=at, count=1, scope="container", victim=victim)

    def _is_new(self, key: str) -> bool:
        new = key not in self._shown
        _remember(self._shown, key, None)
        return new

    def _was_heard(self, key: str, at: float) -> bool:
        heard_at = self._heard.get(key)
        return heard_at is not None and abs(at - heard_at) <= SAME_SECONDS


def _killed(pods: Iterable[Pod], now: float) -> Iterator[tuple[Victim, float]]:
    """Containers that ended OOMKilled, and when."""
    for pod in pods:
        status = pod.status
        for one in (*status.container_statuses, *status.init_container_statuses, *status.ephemeral_container_statuses):
            for ended in _ends(one):
                at = ended.finished_at.timestamp() if ended.finished_at else now
                yield _victim(pod, one.name, container_id(ended.container_id)), at


def _ends(status: ContainerStatus) -> Iterator[Terminated]:
    for ended in (status.last_state.terminated, status.state.terminated):
        if ended is not None and ended.reason == OOM_KILLED and ended.container_id:
            yield ended


def _victim(pod: Pod, name: str, key: str) -> Victim:
    meta = pod.metadata
    known = Identity(id=key, namespace=meta.namespace, pod=meta.name, pod_uid=meta.uid, name=name, owner=owner(meta))
    return victim_of(unread(known))


def _remember(known: dict[str, V], key: str, value: V) -> None:
    known.pop(key, None)
    if len(known) >= MOST:
        del known[next(iter(known))]
    known[key] = value
