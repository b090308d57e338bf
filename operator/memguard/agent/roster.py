"""Everybody on this node, and what of it the guard is told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from memguard.core.link import Mapping
from memguard.core.model import Identity, Record
from memguard.kube.identities import HASH, MIRROR, identities, is_static
from memguard.kube.objects import ObjectMeta, Pod

#: Containers in one message, as JSON: a quarter of what it may have.
CHUNK_BYTES = 1 << 20
#: A static pod's hash has 32 characters, a UID 36. Who may annotate a pod may write anything there.
_LONGEST_UID = 64


class Roster(Record, frozen=True, kw_only=True):
    """All containers that run on this node, by id, and the pods' UIDs as their cgroups are named.

    `listed`: it is the API server's word, not what we remember from before. `namespaces`: of all pods that are here.
    """

    containers: dict[str, Identity]
    pods: tuple[str, ...]
    namespaces: frozenset[str] = frozenset()
    listed: bool = False


def roster(pods: Iterable[Pod]) -> Roster:
    """Everybody in these pods."""
    pods = tuple(pods)
    return Roster(
        containers={identity.id: identity for pod in pods for identity in identities(pod)},
        pods=tuple(sorted(_cgroup_uid(pod.metadata) for pod in pods)),
        namespaces=frozenset(pod.metadata.namespace for pod in pods),
        listed=True,
    )


def difference(before: Roster | None, now: Roster) -> Iterator[Mapping]:
    """The messages that bring a guard which knows `before` up to date; all of it where it knows nothing."""
    if before is None or before.listed != now.listed:
        known: dict[str, Identity] = {}
        complete = now.listed
    else:
        known, complete = before.containers, False
    news = [identity for key, identity in now.containers.items() if known.get(key) != identity]
    gone = tuple(key for key in known if key not in now.containers)
    if before is not None and not (news or gone or complete) and before.pods == now.pods:
        return
    first, *others = _chunks(news)
    yield Mapping(containers=first, gone=gone, pods=now.pods, complete=complete)
    yield from (Mapping(containers=chunk, pods=now.pods) for chunk in others)


def _chunks(news: Iterable[Identity]) -> Iterator[tuple[Identity, ...]]:
    """At least one. Each of them is bounded (kube/identities.py), their number is not."""
    chunk: list[Identity] = []
    room_bytes = CHUNK_BYTES
    for identity in news:
        room_bytes -= len(msgspec.json.encode(identity))
        if chunk and room_bytes < 0:
            yield tuple(chunk)
            chunk, room_bytes = [], CHUNK_BYTES - len(msgspec.json.encode(identity))
        chunk.append(identity)
    yield tuple(chunk)


def _cgroup_uid(metadata: ObjectMeta) -> str:
    """The UID in the name of the pod's cgroup: a static pod's is its configuration's hash."""
    if not is_static(metadata):
        return metadata.uid
    named = metadata.annotations.get(HASH) or metadata.annotations.get(MIRROR)
    return named if named and len(named) <= _LONGEST_UID else metadata.uid
