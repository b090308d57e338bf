"""A decision for the tests of the kinds."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from memguard.core.decision import Decision, Victim

NOW = datetime(2026, 11, 28, 6, 0, tzinfo=UTC)
VICTIM = Victim(id="4bf92f35", namespace="shop", pod="cart-7d9", name="app", workload="shop/Deployment/cart/app")


def decision(**facts: Any) -> Decision:
    usual: dict[str, Any] = {
        "id": "d-1",
        "mode": "Enforce",
        "action": "kill",
        "domain": "node",
        "trigger": "tick",
        "victim": VICTIM,
        "reason": "shop/cart-7d9/app is chosen.",
        "pressure": 0.83,
        "threshold_score": 231.2,
        "available_bytes": 58 << 20,
        "reserve_bytes": 61 << 20,
        "fall_bytes_per_second": 50_000_000,
        "need_bytes": 700 << 20,
        "expected_bytes": 860 << 20,
        "score": 712,
        "badness": 0.81,
    }
    return Decision(**(usual | facts))
