"""A proxy in front of the real API server that does what the real one will not do when asked: fail, in a chosen way.

    with Proxy(control_plane.url, authority, certificate) as proxy:
        proxy.fail(is_watch, Cut(lines=2), times=3)

What no rule matches passes as it is. Every request is remembered in `seen`, with the number of its connection; those
that the server was asked, in `passed`, too. `muted` is released when a server has done what a `Mute` says nothing of.
"""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPResponse, HTTPSConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl, urlsplit

DEADLINE_SECONDS = 60.0
POLL_SECONDS = 0.02
_PASSED = ("Authorization", "Content-Type", "Accept", "User-Agent")


@dataclass(frozen=True)
class Seen:
    """A request; `connection` counts from 1."""

    verb: str
    path: str
    query: dict[str, str]
    authorization: str
    connection: int
    body: bytes = field(default=b"", repr=False)
    at: float = field(default_factory=time.monotonic)

    @property
    def is_watch(self) -> bool:
        return "watch" in self.query

    @property
    def is_list(self) -> bool:
        return self.verb == "GET" and "limit" in self.query


@dataclass(frozen=True)
class Refuse:
    """Answer with this and ask nobody."""

    status: int
    reason: str = ""
    message: str = "injected"
    headers: dict[str, str] = field(default_factory=dict)
    causes: tuple[dict[str, str], ...] = ()


@dataclass(frozen=True)
class Hang:
    """Say nothing, ever."""


@dataclass(frozen=True)
class Mute:
    """Let the server do it, and say nothing, ever."""


@dataclass(frozen=True)
class Lose:
    """Let the server do it, and close the connection instead of answering."""


@dataclass(frozen=True)
class Hangup:
    """Answer, and then close the connection that was to be kept."""


@dataclass(frozen=True)
class Cut:
    """Pass so many lines of a watch and a part of the next one, then close. Or fall `silent` instead."""

    lines: int = 0
    silent: bool = False


@dataclass(frozen=True)
class Insert:
    """Pass so many lines of a watch, then say this and end it."""

    event: dict[str, Any] | bytes
    lines: int = 0


@dataclass(frozen=True)
class Until:
    """Ask the server again and again until it answers with this status, and pass that."""

    status: int


Fault = Refuse | Hang | Mute | Lose | Hangup | Cut | Insert | Until

EXPIRED = {
    "kind": "Status",
    "status": "Failure",
    "reason": "Expired",
    "code": 410,
    "message": "too old resource version",
}
GONE = Insert({"type": "ERROR", "object": EXPIRED})


@dataclass
class _Rule:
    when: Callable[[Seen], bool]
    fault: Fault
    times: int


class Proxy:
    """Listens on loopback with the API server's own certificate, as long as it is entered."""

    def __init__(self, url: str, authority: Path, certificate: Path, host: str = "127.0.0.1") -> None:
        upstream = urlsplit(url)
        self.address = (upstream.hostname or "", upstream.port or 443)
        self.trust = ssl.create_default_context(cafile=str(authority))
        self._lock = threading.Condition()
        self._rules: list[_Rule] = []
        self._sockets: set[socket.socket] = set()
        self.seen: list[Seen] = []
        self.passed: list[Seen] = []
        self.connections = 0
        self.muted = threading.Semaphore(0)
        self.closing = threading.Event()
        self._server = _Server(self, host, certificate)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(POLL_SECONDS,))

    @property
    def url(self) -> str:
        host, port = self._server.server_address[:2]
        return f"https://{host!s}:{port}"

    def __enter__(self) -> Proxy:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.closing.set()
        self._server.shutdown()
        self._thread.join()
        self.cut_all()
        self._server.server_close()

    def fail(self, when: Callable[[Seen], bool], fault: Fault, times: int = 1) -> None:
        """The next so many requests that match fail in this way; earlier rules come first."""
        with self._lock:
            self._rules.append(_Rule(when, fault, times))

    @property
    def pending(self) -> int:
        """Faults that have not happened yet."""
        with self._lock:
            return sum(rule.times for rule in self._rules)

    def cut_all(self) -> None:
        """End every connection, to both sides."""
        with self._lock:
            sockets = tuple(self._sockets)
        for one in sockets:
            with suppress(OSError):
                socket.socket.shutdown(one, socket.SHUT_RDWR)

    def wait_for(self, true: Callable[[], bool]) -> None:
        """Wait until something is true that depends on requests."""
        with self._lock:
            assert self._lock.wait_for(true, DEADLINE_SECONDS), [
                f"{one.verb} {one.path} {one.query}" for one in self.seen
            ]

    def count(self, when: Callable[[Seen], bool]) -> int:
        return sum(map(when, self.seen))

    def take(self, seen: Seen) -> Fault | None:
        """What this request is to suffer."""
        with self._lock:
            self.seen.append(seen)
            self._lock.notify_all()
            for rule in self._rules:
                if rule.times and rule.when(seen):
                    rule.times -= 1
                    if not isinstance(rule.fault, Refuse | Hang):
                        self.passed.append(seen)
                    return rule.fault
            self.passed.append(seen)
            return None

    def opened(self, one: socket.socket, *, by_client: bool) -> int:
        with self._lock:
            self._sockets.add(one)
            self.connections += by_client
            return self.connections

    def closed(self, one: socket.socket) -> None:
        with self._lock:
            self._sockets.discard(one)


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # server_close waits for them
    request_queue_size = 64

    def __init__(self, proxy: Proxy, host: str, certificate: Path) -> None:
        self.proxy = proxy
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate, certificate.with_suffix(".key"))
        super().__init__((host, 0), _Handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        """The handshake is the handler thread's."""
        plain, address = super().get_request()
        return self.context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False), address

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Connections that end are what this is about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    connection: socket.socket

    def setup(self) -> None:
        super().setup()
        self.proxy = self.server.proxy
        self.number = self.proxy.opened(self.connection, by_client=True)

    def finish(self) -> None:
        with suppress(OSError):
            super().finish()
        self.proxy.closed(self.connection)

    def handle_one_request(self) -> None:
        self.close_connection = True
        with suppress(OSError, HTTPException):
            super().handle_one_request()

    def log_message(self, *args: Any) -> None:
        """Silent."""

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        url = urlsplit(self.path)
        query = dict(parse_qsl(url.query))
        authorization = self.headers.get("Authorization", "")
        seen = Seen(self.command, url.path, query, authorization, self.number, body)
        self._suffer(self.proxy.take(seen), body)

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815 - the names that http.server looks for

    def _suffer(self, fault: Fault | None, body: bytes) -> None:
        match fault:
            case Refuse():
                self._say(fault.status, _status(fault), fault.headers)
            case Hang():
                self.close_connection = True
                self.proxy.closing.wait()
            case _:
                self._forward(fault, body)

    def _forward(self, fault: Fault | None, body: bytes) -> None:
        upstream = HTTPSConnection(*self.proxy.address, context=self.proxy.trust, timeout=DEADLINE_SECONDS)
        upstream.connect()
        raw = upstream.sock
        self.proxy.opened(raw, by_client=False)
        try:
            response = self._ask(upstream, body)
            deadline = time.monotonic() + DEADLINE_SECONDS
            while isinstance(fault, Until) and response.status != fault.status and time.monotonic() < deadline:
                response.read()
                self.proxy.closing.wait(POLL_SECONDS)
                response = self._ask(upstream, body)
            self._pass(response, fault)
        finally:
            self.proxy.closed(raw)
            upstream.close()

    def _ask(self, upstream: HTTPSConnection, body: bytes) -> HTTPResponse:
        headers = {name: value for name in _PASSED if (value := self.headers.get(name)) is not None}
        upstream.request(self.command, self.path, body or None, headers)
        return upstream.getresponse()

    def _pass(self, response: HTTPResponse, fault: Fault | None) -> None:
        if isinstance(fault, Lose):
            self.close_connection = True
        elif isinstance(fault, Mute):
            self.close_connection = True
            self.proxy.muted.release()
            self.proxy.closing.wait()
        elif response.status < 300 and "watch=true" in self.path:
            self._pass_watch(response, fault)
        else:
            self._say(response.status, response.read(), {})
            self.close_connection |= isinstance(fault, Hangup)

    def _pass_watch(self, response: HTTPResponse, fault: Fault | None) -> None:
        self.send_response(response.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.close_connection = True
        match fault:
            case Cut():
                self._pass_lines(response, fault.lines)
                line = response.readline()
                self._chunk(line[: len(line) // 2])
                if fault.silent:
                    self.proxy.closing.wait()
            case Insert():
                self._pass_lines(response, fault.lines)
                self._chunk(fault.event if isinstance(fault.event, bytes) else json.dumps(fault.event).encode() + b"\n")
                self._chunk(b"")
            case _:
                self._pass_lines(response, None)
                self._chunk(b"")

    def _pass_lines(self, response: HTTPResponse, count: int | None) -> None:
        for line in islice(iter(response.readline, b""), count):
            self._chunk(line)

    def _chunk(self, piece: bytes) -> None:
        self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))

    def _say(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


def _status(fault: Refuse) -> bytes:
    details = {"causes": list(fault.causes)}
    return json.dumps(
        {"kind": "Status", "reason": fault.reason, "message": fault.message, "code": fault.status, "details": details}
    ).encode()
