"""Lists, page by page, of objects larger than they ever were."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.kube.scripted import Scripted, answer

from memguard.errors import TooLargeError
from memguard.kube import wire
from memguard.kube.client import Client
from memguard.kube.connection import Connection
from memguard.kube.resources import PODS, Selection
from memguard.kube.wire import Wire

TOO_LARGE = answer(b"x" * 2001, Connection="close")


def page(*names: str, further: str = "") -> bytes:
    items = [{"metadata": {"name": name, "namespace": "n", "uid": name, "resourceVersion": "1"}} for name in names]
    body = {"metadata": {"resourceVersion": "9", "continue": further}, "items": items}
    return answer(json.dumps(body).encode(), Connection="close")


@contextmanager
def client_of(server: Scripted) -> Iterator[Client]:
    with server:
        client = Client(Wire(Connection(server.url)))
        yield client
        client.close()


@pytest.fixture(autouse=True)
def _little_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "LARGEST_ANSWER_BYTES", 2000)


def test_a_page_that_is_too_large_is_asked_for_in_halves_from_where_it_was() -> None:
    answers = (page("a", further="t"), TOO_LARGE, TOO_LARGE, page("b", further="u"), page("c"))
    server = Scripted(*([one] for one in answers))
    with client_of(server) as client:
        found = client.list_all(Selection(PODS), page=5)
    assert [one.metadata.name for one in found.objects] == ["a", "b", "c"]
    asked = [line.split()[1].partition("?")[2] for line in server.requests]
    assert asked == ["limit=5", "limit=5&continue=t", "limit=2&continue=t", "limit=1&continue=t", "limit=1&continue=u"]


def test_one_object_that_is_too_large_is_an_error() -> None:
    with client_of(Scripted([TOO_LARGE], [TOO_LARGE])) as client, pytest.raises(TooLargeError):
        client.list_all(Selection(PODS), page=2)
