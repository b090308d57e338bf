"""Events as the real API server takes and shows them."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from e2e.lab.control_plane import ControlPlane
from tests.cluster.clients import client_of, connect, pod, proxy_of, wait_until
from tests.cluster.proxy import DEADLINE_SECONDS, Lose, Refuse

from memguard.kube.client import Client
from memguard.kube.events import Notice, Recorder
from memguard.kube.objects import Event, ObjectReference
from memguard.kube.resources import EVENTS, PODS, Selection

INSTANCE = "memguard-node-x"


@pytest.fixture
def about(client: Client, namespace: str) -> ObjectReference:
    made = client.create(PODS, pod("cart"), namespace).metadata
    return ObjectReference(
        api_version=PODS.api_version, kind=PODS.kind, namespace=namespace, name=made.name, uid=made.uid
    )


@contextmanager
def recording(client: Client, trouble: Callable[[str], None] = pytest.fail) -> Iterator[Recorder]:
    recorder = Recorder(client, controller="memguard.io/agent", instance=INSTANCE, trouble=trouble, count_seconds=0.05)
    thread = threading.Thread(target=recorder.run)
    thread.start()
    try:
        yield recorder
    finally:
        recorder.stop()
        thread.join(DEADLINE_SECONDS)
        assert not thread.is_alive()


def events(client: Client, namespace: str) -> list[Event]:
    return list(client.list_all(Selection(EVENTS, namespace)).objects)


def test_an_event_has_everything_that_describe_shows(
    control_plane: ControlPlane, client: Client, namespace: str, about: ObjectReference
) -> None:
    policy = ObjectReference(
        api_version="memguard.io/v1alpha1", kind="MemoryGuardPolicy", namespace=namespace, name="p"
    )
    with recording(client) as recorder:
        told = Notice(
            regarding=about, reason="MemoryGuardKilled", action="Kill", note="it took 2 GiB in 3 s", type="Warning",
            related=policy, id="d-1", annotations={"memguard.io/decision": "d-1"},
        )  # fmt: skip
        assert recorder.emit(told)
        wait_until(lambda: events(client, namespace))
    (event,) = events(client, namespace)
    assert event.metadata.name.startswith("d-1.")
    assert event.metadata.annotations == {"memguard.io/decision": "d-1"}
    assert (event.reason, event.action, event.type, event.note) == ("MemoryGuardKilled", "Kill", "Warning", told.note)
    assert (event.regarding, event.related) == (about, policy)
    assert (event.reporting_controller, event.reporting_instance) == ("memguard.io/agent", INSTANCE)
    described = control_plane.kubectl("describe", "pod", "cart", "--namespace", namespace)
    assert "MemoryGuardKilled" in described
    assert told.note in described
    (old,) = json.loads(control_plane.kubectl("get", "events.v1.", "--namespace", namespace, "-o", "json"))["items"]
    assert old["involvedObject"]["name"] == "cart"
    assert old["message"] == told.note


def test_what_has_an_id_is_told_once_however_often_it_is_sent(
    client: Client, namespace: str, about: ObjectReference
) -> None:
    told = Notice(regarding=about, reason="Killed", action="Kill", note="x", id="d-1")
    for _ in range(2):  # the second is the agent after its restart
        with recording(client) as recorder:
            assert recorder.emit(told)
    assert len(events(client, namespace)) == 1
    assert recorder.dropped == 0


def test_what_is_repeated_is_counted(client: Client, namespace: str, about: ObjectReference) -> None:
    told = Notice(regarding=about, reason="Braked", action="Brake", note="x")
    with recording(client) as recorder:
        for _ in range(3):
            recorder.emit(told)
        wait_until(lambda: _count(client, namespace) == 3)
        recorder.emit(told)
        wait_until(lambda: _count(client, namespace) == 4)
        recorder.emit(told)
    assert _count(client, namespace) == 5


def test_a_series_whose_event_expired_goes_on_in_another(
    client: Client, namespace: str, about: ObjectReference
) -> None:
    told = Notice(regarding=about, reason="Braked", action="Brake", note="x")
    with recording(client) as recorder:
        recorder.emit(told)
        wait_until(lambda: events(client, namespace))
        client.delete(EVENTS, events(client, namespace)[0].metadata.name, namespace)
        recorder.emit(told)
        wait_until(lambda: _count(client, namespace) == 2)


def test_what_has_no_namespace_is_told_in_the_default_one(client: Client, namespace: str) -> None:
    node = ObjectReference(api_version="v1", kind="Node", name=f"node-of-{namespace}", uid=namespace)
    with recording(client) as recorder:
        recorder.emit(Notice(regarding=node, reason="Tight", action="Watch", note="four reserves left"))
    found = [event for event in events(client, "default") if event.regarding.name == node.name]
    assert len(found) == 1


def test_the_longest_note_is_taken(client: Client, namespace: str, about: ObjectReference) -> None:
    with recording(client) as recorder:
        recorder.emit(Notice(regarding=about, reason="Killed", action="Kill", note="ä" * 2000))
    (event,) = events(client, namespace)
    assert event.note == "ä" * 510 + "…"


def test_it_waits_for_the_server_and_tells_each_once(
    control_plane: ControlPlane, client: Client, namespace: str, about: ObjectReference
) -> None:
    with proxy_of(control_plane) as proxy, client_of(connect(control_plane, proxy.url), 2) as through:
        proxy.fail(lambda seen: seen.verb == "POST", Refuse(503))
        proxy.fail(lambda seen: seen.verb == "POST", Lose())
        proxy.fail(lambda seen: seen.verb == "POST", Refuse(429, headers={"Retry-After": "0"}))
        with recording(through) as recorder:
            for number in range(3):
                recorder.emit(Notice(regarding=about, reason="Killed", action="Kill", note="x", id=f"d-{number}"))
            wait_until(lambda: len(events(client, namespace)) == 3)
            assert proxy.pending == 0
            assert recorder.dropped == 0
    assert len(events(client, namespace)) == 3


def test_what_is_refused_does_not_hold_up_the_next(client: Client, namespace: str, about: ObjectReference) -> None:
    troubles: list[str] = []
    with recording(client, troubles.append) as recorder:
        recorder.emit(Notice(regarding=about, reason="Killed", action="", note="an action is required", id="d-0"))
        recorder.emit(Notice(regarding=about, reason="Killed", action="Kill", note="x", id="d-1"))
        wait_until(lambda: events(client, namespace))
        assert recorder.dropped == 1
    [trouble] = troubles
    assert "action" in trouble
    assert [event.note for event in events(client, namespace)] == ["x"]


def _count(client: Client, namespace: str) -> int:
    (event,) = events(client, namespace) or [None]
    return event.series.count if event and event.series else 0
