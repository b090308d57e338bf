"""Over HTTP: the metrics, and whether the agent lives and knows; slow and rude visitors keep nobody out."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import Counter

from memguard.errors import ConfigError
from memguard.service.board import Board
from memguard.service.web import MOST_CONNECTIONS, Web

DEADLINE_SECONDS = 20.0


class Site:
    """A server in its thread, and what it is to say."""

    def __init__(self, listen: str = "127.0.0.1:0") -> None:
        self.unhealthy: tuple[str, ...] = ()
        self.unready: tuple[str, ...] = ()
        self.registry = Board().registry
        Counter("seen_total", "Seen", registry=self.registry).inc()
        self.web = Web(listen, self.registry, healthy=lambda: self.unhealthy, ready=lambda: self.unready)

    def get(self, path: str, method: str = "GET", **headers: str) -> tuple[int, str, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.web.port, timeout=DEADLINE_SECONDS)
        try:
            connection.request(method, path, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.getheader("Content-Type", ""), answer.read().decode()
        finally:
            connection.close()


@contextmanager
def serving(listen: str = "127.0.0.1:0") -> Iterator[Site]:
    site = Site(listen)
    thread = threading.Thread(target=site.web.run)
    thread.start()
    try:
        yield site
    finally:
        site.web.stop()
        thread.join()


@pytest.fixture
def site() -> Iterator[Site]:
    with serving() as found:
        yield found


@pytest.mark.parametrize(
    ("accept", "kind", "end"),
    [
        ("", "text/plain; version=0.0.4", "seen_total 1.0\n"),
        ("text/html,*/*;q=0.1", "text/plain; version=0.0.4", "seen_total 1.0\n"),
        ("application/openmetrics-text;version=1.0.0;q=0.5,text/plain", "application/openmetrics-text", "# EOF\n"),
    ],
)
def test_metrics_in_the_form_that_is_asked_for(site: Site, accept: str, kind: str, end: str) -> None:
    status, found, text = site.get("/metrics", Accept=accept)
    assert status == 200
    assert found.startswith(kind)
    assert text.endswith(end)


@pytest.mark.parametrize(("path", "what"), [("/healthz", "unhealthy"), ("/readyz", "unready")])
def test_probes_say_what_is_wrong(site: Site, path: str, what: str) -> None:
    assert site.get(path)[::2] == (200, "ok\n")
    assert site.get(path + "?verbose")[0] == 200
    setattr(site, what, ("pods: not heard of for too long", "guard: gone"))
    assert site.get(path)[::2] == (503, "pods: not heard of for too long\nguard: gone\n")


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/", 404), ("GET", "/metrics/", 404), ("POST", "/metrics", 501)]
)
def test_there_is_nothing_else(site: Site, method: str, path: str, status: int) -> None:
    assert site.get(path, method)[0] == status


def test_who_is_slow_keeps_nobody_out(site: Site) -> None:
    slow = [socket.create_connection(("127.0.0.1", site.web.port)) for _ in range(3 * MOST_CONNECTIONS)]
    try:
        for one in slow:
            one.sendall(b"GET /metrics HTTP/1.1\r\nX-Slow: ")
        assert site.get("/healthz")[0] == 200
        slow[0].settimeout(DEADLINE_SECONDS)
        assert slow[0].recv(1) == b"", "the oldest made room"
    finally:
        for one in slow:
            one.close()


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=400))
def test_rude_visitors_change_nothing(site: Site, rubbish: bytes) -> None:
    with socket.create_connection(("127.0.0.1", site.web.port)) as one:
        one.sendall(rubbish)
    assert site.get("/metrics")[0] == 200


@pytest.mark.parametrize("listen", ["127.0.0.1:0", ":0", "[::1]:0"])
def test_addresses_of_both_kinds(listen: str) -> None:
    host = "::1" if "::1" in listen else "127.0.0.1"
    with serving(listen) as site, socket.create_connection((host, site.web.port)) as one:
        one.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
        assert one.makefile("rb").readline().endswith(b"200 OK\r\n")


@pytest.mark.parametrize(
    "listen", ["", "9465", "127.0.0.1", "127.0.0.1:", "127.0.0.1:http", "127.0.0.1:70000", "1.2.3.4:1"]
)
def test_an_address_that_cannot_be_had_is_said(listen: str) -> None:
    with pytest.raises(ConfigError, match="--listen"):
        Site(listen)
