"""A guard as the agent meets it: the real one's end of the socket, told what to say."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from memguard.core.decision import Answer, Decision, KernelKill, Outcome, Victim
from memguard.core.link import Mapping as Names
from memguard.core.link import NewPlan, Order, Status, ToGuard, Top
from memguard.core.policy import Plan
from memguard.guard.ears import MESSAGE, Ears
from memguard.guard.liaison import Liaison
from memguard.guard.outbox import Outbox
from memguard.guard.roster import Roster

DEADLINE_SECONDS = 20.0
GIB = 1 << 30


class ScriptedGuard:
    """Runs in a thread of its own. `wait` for what it hears; `news` and `say` are the guard's words."""

    def __init__(self, directory: Path, *, peer_uid: int | None = None, version: str = "0.test") -> None:
        self.socket = directory / "guard.sock"
        self.started_at = datetime.now(UTC)
        self.roster = Roster()
        self.plan: Plan | None = None
        self.heard: list[ToGuard] = []
        self.troubles: list[str] = []
        self.connections = 0
        self._changed = threading.Condition()
        self._todo: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._wake = os.eventfd(0, os.EFD_NONBLOCK)
        self._over = False
        self._ears = Ears()
        self._ears.listen(self._wake, lambda _: self._woken(), MESSAGE)
        self.outbox = Outbox(str(directory), lambda: datetime.now(UTC))
        self._liaison = Liaison(
            str(self.socket),
            os.getuid() if peer_uid is None else peer_uid,
            self.outbox,
            version=version,
            ears=self._ears,
            heard=self._hear,
            trouble=self.troubles.append,
        )
        self._thread = threading.Thread(target=self._run, name="guard")

    def __enter__(self) -> ScriptedGuard:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._end)
        self._thread.join()
        os.close(self._wake)

    @property
    def orders(self) -> list[Order]:
        return [message for message in self.heard if isinstance(message, Order)]

    @property
    def waiting(self) -> int:
        """News that were not received."""
        return len(self.outbox.waiting)

    def say(self, **facts: Any) -> None:
        """How things stand, by the plan that it has."""
        self._do(lambda: self._liaison.tell(status(self, **facts)))

    def news(self, **fact: Any) -> None:
        self._do(lambda: self.outbox.add(**fact))

    def wait(self, true: Callable[[], object]) -> None:
        """Until something is true of what it heard."""
        with self._changed:
            assert self._changed.wait_for(true, DEADLINE_SECONDS), (self.heard[-3:], self.troubles)

    def _do(self, what: Callable[[], None]) -> None:
        self._todo.put(what)
        os.eventfd_write(self._wake, 1)

    def _end(self) -> None:
        self._over = True

    def _run(self) -> None:
        connected = False
        while not self._over:
            for heard in self._ears.sleep(0.5):
                heard(0.0)
            while not self._todo.empty():
                self._todo.get()()
            self._liaison.flush()
            with self._changed:
                if self._liaison.connected and not connected:
                    self.connections += 1
                    self._liaison.tell(status(self))
                connected = self._liaison.connected
                self._changed.notify_all()
        self._liaison.close()
        self.outbox.close()

    def _woken(self) -> None:
        os.eventfd_read(self._wake)

    def _hear(self, message: ToGuard) -> None:
        self.heard.append(message)
        match message:
            case NewPlan(plan=plan):
                self.plan = plan
                self._liaison.tell(status(self))
            case Names():
                self.roster.follow(message)


def status(guard: ScriptedGuard | None = None, **facts: Any) -> Status:
    now = datetime.now(UTC)
    plan = guard.plan if guard else None
    usual: dict[str, Any] = {
        "at": now,
        "started_at": guard.started_at if guard else now,
        "version": "0.test",
        "level": "Calm",
        "total_bytes": 4 * GIB,
        "available_bytes": 3 * GIB,
        "reserve_bytes": GIB // 4,
        "headroom_bytes": 2 * GIB,
        "containers": 2,
        "unmapped": 0,
        "plan": plan.version if plan else None,
        "mode": "Enforce" if plan and plan.acts else "Observe",
    }
    return Status(**(usual | facts))


def victim(key: str = "a" * 64, **facts: Any) -> Victim:
    usual: dict[str, Any] = {
        "id": key,
        "namespace": "shop",
        "pod": "cart",
        "pod_uid": "uid-cart",
        "name": "app",
        "workload": "shop/cart/app",
    }
    return Victim(**(usual | facts))


def decision(name: str = "20261123-060000-000001-aaaa", **facts: Any) -> Decision:
    usual: dict[str, Any] = {
        "id": name,
        "mode": "Enforce",
        "action": "kill",
        "domain": "node",
        "trigger": "line",
        "victim": victim(),
        "reason": "shop/cart/app grows by 700 MiB/s and frees 1.0 GiB",
        "pressure": 0.91,
        "threshold_score": 17.3,
        "available_bytes": 200 << 20,
        "reserve_bytes": 256 << 20,
        "fall_bytes_per_second": 700 << 20,
        "need_bytes": 512 << 20,
        "expected_bytes": GIB,
        "score": 712,
        "badness": 0.81,
        "timing": {"read": 0.0002, "ranked": 0.0004, "acted": 0.0007},
    }
    return Decision(**(usual | facts))


def observed(name: str = "20261123-060000-000002-aaaa", **facts: Any) -> Decision:
    return decision(name, **({"mode": "Observe", "not_done_because": "the plan only observes"} | facts))


def outcome(name: str = "20261123-060000-000001-aaaa", **facts: Any) -> Outcome:
    usual: dict[str, Any] = {
        "id": name, "victim": victim(), "action": "kill", "complete": True, "seconds": 0.05,
        "expected_bytes": GIB, "freed_bytes": GIB, "headroom_bytes": GIB,
    }  # fmt: skip
    return Outcome(**(usual | facts))


def kernel_kill(count: int = 1, **facts: Any) -> KernelKill:
    return KernelKill(count=count, **({"victim": victim()} | facts))


def answer(order: str, **facts: Any) -> Answer:
    return Answer(order=order, **({"accepted": True, "decision": "20261123-060000-000009-aaaa"} | facts))


def standing(number: int, **facts: Any) -> Top:
    usual: dict[str, Any] = {
        "id": f"{number:064x}", "namespace": "shop", "pod": f"pod-{number}", "name": "app", "score": 500 - number,
        "footprint_bytes": GIB // 2, "limit_bytes": GIB, "limit_seconds": 12.5,
    }  # fmt: skip
    return Top(**(usual | facts))
