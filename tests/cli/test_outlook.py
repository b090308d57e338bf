from __future__ import annotations

import json
from typing import Any

import pytest
from tests.cli import incident

from memguard.cli.outlook import ContainerOutlook, Outlook, look
from memguard.core.history import History
from memguard.core.policy import Plan
from memguard.core.trace import decode_snapshot

MIB = incident.MIB


def looked(*snapshots: dict[str, Any]) -> Outlook:
    """How things stand after these readings."""
    history = History()
    for snapshot in snapshots:
        history, outlook = look(history, decode_snapshot(json.dumps(snapshot).encode()), Plan())
    return outlook


def service(second: int, anon_mib: float, limit_mib: int | None) -> dict[str, Any]:
    """The calm node, its service with this much memory and limit."""
    snapshot = incident.snapshot(0) | {"takenAt": f"2026-11-23T06:00:{second:02}Z"}
    container = snapshot["containers"][1]
    container["limitBytes"] = None if limit_mib is None else limit_mib * MIB
    container["memory"] |= {"anonBytes": int(anon_mib * MIB), "currentBytes": int((anon_mib + 22) * MIB)}
    return snapshot


def found(outlook: Outlook, container_id: str) -> ContainerOutlook:
    return next(container for container in outlook.containers if container.id == container_id)


@pytest.mark.row("E4")
@pytest.mark.parametrize(
    ("anon_mib", "limit_mib", "level"),
    [
        (900, None, "ok"),
        (600, 1024, "ok"),
        (980, 1024, "danger"),  # within 5 % of 1 GiB
        (234, 256, "ok"),
        (240, 256, "danger"),  # within 16 MiB
        (20, 32, "ok"),  # too small for such a margin: within 5 % of 32 MiB only
        (29, 32, "danger"),
        (40, 32, "danger"),
    ],
)
def test_danger_is_to_be_within_the_margin_of_the_own_limit(anon_mib: int, limit_mib: int | None, level: str) -> None:
    assert found(looked(service(0, anon_mib, limit_mib)), incident.SERVICE).level == level


@pytest.mark.parametrize(("rise_mib", "seconds", "level"), [(0, None, "ok"), (1, 416.0, "ok"), (10, 38.0, "warning")])
def test_growth_tells_when_the_limit_is_reached(rise_mib: int, seconds: float | None, level: str) -> None:
    outlook = looked(*(service(second, 600 + rise_mib * second, 1024) for second in range(5)))
    service_now = found(outlook, incident.SERVICE)
    assert service_now.limit_seconds == pytest.approx(seconds, abs=5) if seconds else service_now.limit_seconds is None
    assert service_now.level == level


def test_the_victim_is_in_danger_and_comes_first() -> None:
    outlook = looked(*incident.lines()[1:])
    assert (outlook.containers[0].id, outlook.containers[0].level) == (incident.LEAK, "danger")
    assert outlook.node.domain == "node"
    assert outlook.node.exhaustion_seconds == pytest.approx(1.5, abs=0.1)
    assert found(outlook, incident.DNS).level == "ok"
