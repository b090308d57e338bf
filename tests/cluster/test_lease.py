"""Who leads, with leases of the real API server and time in the test's hands."""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass

import pytest
from e2e.lab.control_plane import ControlPlane
from tests.cluster.clients import client_of, connect, wait_until
from tests.cluster.proxy import DEADLINE_SECONDS, Lose, Proxy, Refuse

from memguard.errors import ConflictError, ServerError, UnreachableError
from memguard.kube.client import Client
from memguard.kube.lease import LEASE_SECONDS, RENEW_SECONDS, Elector
from memguard.kube.objects import Lease
from memguard.kube.resources import LEASES


@dataclass
class Clock:
    seconds: float = 0.0

    def __call__(self) -> float:
        return self.seconds


def elector(client: Client, namespace: str, identity: str, clock: Clock) -> Elector:
    return Elector(client, "operator", namespace, identity, trouble=print, clock=clock)


def lease(client: Client, namespace: str) -> Lease:
    return client.get(LEASES, "operator", namespace)


def test_one_leads_and_the_other_waits_until_it_is_silent(client: Client, namespace: str) -> None:
    clock = Clock()
    one, two = (elector(client, namespace, identity, clock) for identity in ("one", "two"))
    assert one.step()
    assert not two.step()
    clock.seconds += RENEW_SECONDS
    assert not one.leading()
    assert one.step()
    assert not two.step()
    clock.seconds += LEASE_SECONDS - 0.1
    assert not two.step()
    clock.seconds += 0.1
    assert not one.leading()
    assert two.step()
    assert two.leading()
    assert not one.step()
    spec = lease(client, namespace).spec
    assert (spec.holder_identity, spec.lease_duration_seconds, spec.lease_transitions) == ("two", LEASE_SECONDS, 1)
    assert spec.acquire_time == spec.renew_time


def test_there_are_never_two_leaders(client: Client, namespace: str) -> None:
    """Whatever the pace at which they ask: the one has stopped before the other may begin."""
    clock = Clock()
    electors = [elector(client, namespace, str(number), clock) for number in range(3)]
    draw = random.Random(1)
    led = set()
    for _ in range(200):
        clock.seconds += draw.choice((0.5, 2.0, 3.0, 6.0))
        draw.choice(electors).step()
        leading = [number for number, one in enumerate(electors) if one.leading()]
        assert len(leading) <= 1
        led.update(leading)
    assert len(led) == 3


def test_a_lease_that_was_given_back_is_taken_at_once(client: Client, namespace: str) -> None:
    clock = Clock()
    one, two = (elector(client, namespace, identity, clock) for identity in ("one", "two"))
    one.step()
    one.release()
    assert not one.leading()
    assert lease(client, namespace).spec.holder_identity == ""
    assert two.step()
    one.release()
    assert two.step()


def test_a_failure_is_survived_until_the_renewal_is_overdue(
    control_plane: ControlPlane, client: Client, proxy: Proxy, namespace: str
) -> None:
    clock = Clock()
    with client_of(connect(control_plane, proxy.url)) as through:
        one = elector(through, namespace, "one", clock)
        assert one.step()
        proxy.fail(lambda seen: True, Refuse(500))
        with pytest.raises(ServerError):
            one.step()
        assert one.leading()
        proxy.fail(lambda seen: seen.verb == "PATCH", Refuse(409))
        with pytest.raises(ConflictError):
            one.step()
        assert one.leading()
        clock.seconds += RENEW_SECONDS
        assert not one.leading()
        assert one.step()


def test_an_answer_that_was_lost_is_found_out(
    control_plane: ControlPlane, client: Client, proxy: Proxy, namespace: str
) -> None:
    with client_of(connect(control_plane, proxy.url)) as through:
        one = elector(through, namespace, "one", Clock())
        proxy.fail(lambda seen: seen.verb == "POST", Lose())
        with pytest.raises(UnreachableError):
            one.step()
        assert not one.leading()
        assert lease(client, namespace).spec.holder_identity == "one"
        assert one.step()


def test_of_two_that_begin_at_once_one_leads(
    control_plane: ControlPlane, client: Client, proxy: Proxy, namespace: str
) -> None:
    clock = Clock()
    with client_of(connect(control_plane, proxy.url)) as through:
        late = elector(through, namespace, "late", clock)
        proxy.fail(lambda seen: seen.verb == "GET", Refuse(404))
        assert elector(client, namespace, "early", clock).step()
        assert not late.step()


def test_it_runs_until_stopped_and_gives_the_lease_back(client: Client, namespace: str) -> None:
    one = Elector(client, "operator", namespace, "one", trouble=print)
    thread = threading.Thread(target=one.run)
    thread.start()
    wait_until(one.leading)
    one.stop()
    thread.join(DEADLINE_SECONDS)
    assert not thread.is_alive()
    assert not one.leading()
    assert lease(client, namespace).spec.holder_identity == ""
