"""What was learned of workloads, kept in one ConfigMap that the operator owns: neither a restart nor the deletion of
records loses it, and `kubectl` shows it.

Each decision teaches once: the names of the last ones are kept beside it. The annotation memguard.io/reset, a workload
or `all`, makes it forget.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from contextlib import suppress

import msgspec

from memguard.controller.main import MOST_DECISIONS
from memguard.controller.resources import RecordedDecision
from memguard.core.feedback import Experience, Result, bias_points, learn, reset
from memguard.core.model import UNREADABLE, Record
from memguard.core.select import YOUTH_FORFEIT
from memguard.errors import NotFoundError
from memguard.kube.client import Client
from memguard.kube.objects import ConfigMap, ObjectMeta
from memguard.kube.resources import CONFIG_MAPS

NAME = "memguard-experience"
RESET = "memguard.io/reset"
EVERYTHING = "all"
#: Records are told again after a restart, so no fewer than there are; 270 KB of a ConfigMap.
MOST_LESSONS = MOST_DECISIONS


class Memory(Record, frozen=True, kw_only=True):
    """As it is written. `lessons`: the decisions that taught, the latest last."""

    experience: Experience = Experience()
    lessons: tuple[str, ...] = ()


_decoder = msgspec.json.Decoder(Memory)


class Learner:
    """`experience` is what is known now. Any thread may teach and ask; `keep` writes it down."""

    def __init__(self, client: Client, namespace: str, trouble: Callable[[str], None]) -> None:
        self._client, self._namespace, self._trouble = client, namespace, trouble
        self._lock = threading.Lock()
        self._memory = Memory()
        self._changed = False

    @property
    def experience(self) -> Experience:
        """All that is remembered."""
        return self._memory.experience

    def points(self, workloads: Iterable[str], now: float) -> dict[str, int]:
        """The points of those that have any."""
        found = {name: bias_points(self.experience, name, now) for name in workloads}
        return {name: points for name, points in found.items() if points}

    def recall(self) -> None:
        """What was written down, taken over as it stands; nothing, the first time. Raises KubeError."""
        kept = self._kept()
        with self._lock:
            self._memory = Memory() if kept is None else self._read(kept)
            self._changed = False

    def teach(self, record: RecordedDecision) -> None:
        """One decision, once it is known what became of it."""
        name, spec, status = record.metadata.name, record.spec, record.status
        if not record.enforced or status.phase not in ("Done", "Incomplete") or not spec.victim.workload:
            return
        first = spec.candidates[0] if spec.candidates else None
        outcome = Result(
            workload=spec.victim.workload,
            caused=first is not None and first.growth_ratio >= YOUTH_FORFEIT,
            killed=spec.action != "resize",
            estimated_bytes=spec.expected_bytes,
            freed_bytes=status.freed_bytes if status.phase == "Done" else None,
        )
        with self._lock:
            if name in self._memory.lessons:
                return
            experience = learn(self._memory.experience, outcome, record.at.timestamp())
            self._memory = Memory(experience=experience, lessons=(*self._memory.lessons, name)[-MOST_LESSONS:])
            self._changed = True

    def keep(self) -> None:
        """Write it down where it changed, and forget what people want forgotten. Raises KubeError."""
        kept = self._kept()
        wish = kept.metadata.annotations.get(RESET) if kept else None
        with self._lock:
            if wish:
                forgotten = reset(self._memory.experience, None if wish == EVERYTHING else wish)
                self._memory = msgspec.structs.replace(self._memory, experience=forgotten)
            memory, changed = self._memory, self._changed or bool(wish)
        if not changed:
            return
        self._write(kept, memory)
        with self._lock:
            self._changed = self._memory is not memory  # something was learned meanwhile

    def _kept(self) -> ConfigMap | None:
        with suppress(NotFoundError):
            return self._client.get(CONFIG_MAPS, NAME, self._namespace)
        return None

    def _read(self, kept: ConfigMap) -> Memory:
        try:
            return _decoder.decode(kept.data.get("memory.json", "{}"))
        except UNREADABLE as error:
            self._trouble(f"{self._namespace}/{NAME} is not understood, and begun anew: {error}")
            return Memory()

    def _write(self, kept: ConfigMap | None, memory: Memory) -> None:
        data = {"memory.json": msgspec.json.format(msgspec.json.encode(memory)).decode()}
        if kept is None:
            content = ConfigMap(api_version="v1", kind="ConfigMap", metadata=ObjectMeta(name=NAME), data=data)
            self._client.create(CONFIG_MAPS, content, self._namespace)
            return
        metadata = {"resourceVersion": kept.metadata.resource_version, "annotations": {RESET: None}}
        self._client.merge_patch(CONFIG_MAPS, NAME, {"metadata": metadata, "data": data}, self._namespace)
