"""Records of decisions for the tests of the report: made by the real ranking on the incident, then varied."""

from __future__ import annotations

import functools
from datetime import timedelta
from typing import Any

import msgspec
from tests.cli import incident

from memguard.api.decision import MemoryGuardDecision, TimelinePoint, record
from memguard.cli.incident.incident import Happening, Incident, PodNow
from memguard.cli.judging import judge_last
from memguard.core.decision import decision_of
from memguard.core.explain import sentence
from memguard.core.trace import decode_lines

MIB = incident.MIB
TAKEN_AT = incident.START + timedelta(seconds=incident.SECONDS - 1, milliseconds=314)
MADE_AT = TAKEN_AT + timedelta(minutes=12)
NAME = "20261123-060021-314159-000000000000"
TIMING = {"held": 0.000212, "read": 0.000921, "ranked": 0.001187, "acted": 0.001342}
FREED_SECONDS = 0.33


def decision(status: dict[str, Any] | None = None, **spec: Any) -> MemoryGuardDecision:
    """The leak of the incident, killed; fields of status and spec (ours for them) may be others."""
    made = _made()
    done: dict[str, Any] = {
        "phase": "Done",
        "freed_bytes": 942 * MIB,
        "seconds": FREED_SECONDS,
        "finished_at": TAKEN_AT + timedelta(seconds=FREED_SECONDS),
        "kernel_oom_kills": 0,
        "timeline": after(),
    }
    return msgspec.structs.replace(
        made,
        spec=msgspec.structs.replace(made.spec, **({"timeline": before()} | spec)),
        status=msgspec.structs.replace(made.status, **(done if status is None else status)),
    )


def told(made: MemoryGuardDecision | None = None, **facts: Any) -> Incident:
    """The incident of a decision, with its pod and Events."""
    usual: dict[str, Any] = {"pod": POD, "events": EVENTS, "made_at": MADE_AT}
    return Incident(decision=made or decision(), **(usual | facts))


POD = PodNow(
    name="cart-7d9",
    namespace="shop",
    phase="Running",
    restarts=1,
    container_state="running",
    ready=True,
    node="node-a",
)
EVENTS = (
    Happening(
        at=TAKEN_AT + timedelta(milliseconds=40),
        reason="MemoryGuardKilled",
        message=f"shop/cart-7d9/app is chosen: node has 60 MiB available. [{NAME}]",
        kind="Warning",
        source="memguard-agent",
    ),
    Happening(at=TAKEN_AT + timedelta(seconds=1), reason="Pulled", message="Image is present.", source="kubelet"),
    Happening(at=TAKEN_AT + timedelta(seconds=2), reason="Started", message="Started container app", source="kubelet"),
)


UNMAPPED = "kubepods.slice/kubepods-burstable.slice/pod-x.slice/cri-containerd-" + "a" * 64 + ".scope"


def kinds() -> dict[str, Incident]:
    """One incident of each kind that there is."""
    watched = {"mode": "Observe", "timing": {}, "wanted": None}
    nothing: dict[str, Any] = {
        "phase": "Observed",
        "freed_bytes": None,
        "seconds": None,
        "finished_at": None,
        "kernel_oom_kills": None,
        "timeline": (),
    }
    unranked = watched | {
        "mode": "Enforce",
        "trigger": "report",
        "factors": {},
        "candidates": (),
        "score": 0,
        "badness": 0.0,
        "pressure": 0.0,
        "threshold_score": 0.0,
        "fall_bytes_per_second": 0,
        "need_bytes": 0,
        "expected_bytes": 0,
        "timeline": (),
    }
    only_evict = "only an eviction would help, and a guard on a node evicts nobody"
    victim = _made().spec.victim
    return {
        "killed": told(),
        "observed": told(decision(nothing, not_done_because="its policy says Observe", **watched)),
        "hit": told(decision(nothing | {"verdict": "Hit"}, not_done_because="its policy says Observe", **watched)),
        "false alarm": told(
            decision(nothing | {"verdict": "FalseAlarm"}, not_done_because="its policy says Observe", **watched)
        ),
        "terminated": told(decision(action="terminate", wanted="terminate")),
        "terminated, then killed": told(
            decision(
                {"phase": "Done", "freed_bytes": 942 * MIB, "seconds": 0.33, "kill_seconds": 0.3, "timeline": after()},
                action="terminate",
                wanted="terminate",
            )
        ),
        "terminated by a kill": told(decision(action="kill", wanted="terminate")),
        "evicted": told(
            decision(
                {"phase": "Done", "freed_bytes": 942 * MIB, "seconds": 14.2, "timeline": (), "kernel_oom_kills": 0},
                action="evict",
                wanted=None,
                trigger="report",
                timing={},
            ),
            pod=msgspec.structs.replace(POD, deleted=True),
        ),
        "evicted with its volume": told(
            decision(
                {"phase": "Done", "freed_bytes": 1142 * MIB, "seconds": 3.1, "timeline": ()},
                action="evict",
                wanted=None,
                trigger="report",
                timing={},
                expected_bytes=1142 * MIB,
            )
        ),
        "not evicted": told(
            decision(nothing | {"phase": "Incomplete"}, action="evict", wanted=None, trigger="report", timing={}),
            events=(),
        ),
        "evicted in place": told(decision(action="kill", wanted="evict")),
        "incomplete": told(decision({"phase": "Incomplete", "freed_bytes": 3 * MIB, "seconds": 10.0, "timeline": ()})),
        "kernel came": told(decision({"phase": "Done", "freed_bytes": MIB, "seconds": 2.0, "kernel_oom_kills": 2})),
        "on its way": told(decision(nothing | {"phase": "Acted"})),
        "memory-backed": told(decision(nothing, not_done_because=only_evict, **(watched | {"action": "evict"}))),
        "unmapped": told(
            decision(
                nothing,
                victim=msgspec.structs.replace(
                    victim, namespace=None, pod=None, pod_uid=None, name=None, workload="", cgroup=UNMAPPED, id="a" * 64
                ),
                not_done_because="it could not be mapped to a container of a pod",
                **watched,
            ),
            pod=None,
            events=(),
        ),
        "resized": told(
            decision(
                nothing | {"phase": "Done"},
                action="resize",
                reason="shop/cart-7d9/app is about to reach its limit: raised from 256 MiB to 512 MiB.",
                **unranked,
            )
        ),
        "moved": told(decision(action="evict", **(unranked | {"trigger": "storm"}))),
        "ordered": told(decision(trigger="order", reason="shop/cart-7d9/app: ended because the operator ordered it.")),
        "own limit": told(decision(domain=f"container:{incident.LEAK}", trigger="line")),
        "old": told(
            decision({"phase": "Done", "freed_bytes": 942 * MIB, "seconds": 0.33}, timeline=()), pod=None, events=()
        ),
    }


def before() -> tuple[TimelinePoint, ...]:
    """As the incident's snapshots have it: one a second."""
    return tuple(
        TimelinePoint(
            seconds=second - (incident.SECONDS - 1) - TIMING["acted"],
            available_bytes=snapshot["node"]["memory"]["availableBytes"],
            victim_bytes=snapshot["containers"][0]["memory"]["currentBytes"],
        )
        for second, snapshot in ((second, incident.snapshot(second)) for second in range(incident.SECONDS))
    )


def after() -> tuple[TimelinePoint, ...]:
    """Memory comes back, most of it at the end."""
    left, held = before()[-1].available_bytes, before()[-1].victim_bytes or 0
    shares = (0.0, 0.02, 0.11, 0.3, 0.52, 0.74, 0.93, 1.0)
    return tuple(
        TimelinePoint(
            seconds=round(FREED_SECONDS * number / (len(shares) - 1), 4),
            available_bytes=left + int(942 * MIB * share),
            victim_bytes=int(held * (1 - share)),
        )
        for number, share in enumerate(shares)
    )


@functools.cache
def _made() -> MemoryGuardDecision:
    import json

    ranking = judge_last(decode_lines(json.dumps(line).encode() for line in incident.lines()), "incident").ranking
    decided = decision_of(
        ranking,
        id=NAME,
        mode="Enforce",
        action="kill",
        trigger="tick",
        wanted="kill",
        timing=TIMING,
        reason=sentence(ranking),
    )
    written = record(decided, namespace="shop", node="node-a", taken_at=TAKEN_AT, policy="shop/enforce")
    return msgspec.convert(written, MemoryGuardDecision)
