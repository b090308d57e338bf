"""What Prometheus and kubelet ask for over HTTP: /metrics, /healthz, /readyz.

Whoever is in the cluster can reach it: only so many connections stand at once, and the oldest makes room, so that slow
ones keep nobody out.
"""

from __future__ import annotations

import socket
import socketserver
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from memguard.errors import ConfigError

MOST_CONNECTIONS = 16
#: For a request, and for each piece of the answer to be taken.
IDLE_SECONDS = 5.0
TEXT = "text/plain; charset=utf-8"

#: Why it is not so; nothing when all is well.
Objections = Callable[[], tuple[str, ...]]


class Web:
    """Serves at `listen` (address:port). `healthy`: is the process worth keeping; `ready`: does it know and tell?

    `port` is the one that was given where it asked for any (0). Raises ConfigError.
    """

    def __init__(self, listen: str, registry: CollectorRegistry, *, healthy: Objections, ready: Objections) -> None:
        host, colon, port = listen.rpartition(":")
        handler = type("Handler", (_Handler,), {"registry": registry, "healthy": healthy, "ready": ready})
        try:
            self._server = _Server((host.strip("[]"), int(port if colon else "")), handler)
        except (OSError, ValueError, OverflowError) as error:
            remedy = "Name a free port, and an address or none for all of them: 127.0.0.1:9465, [::1]:9465, :9465."
            raise ConfigError("command line", f"--listen {listen}: {error}", remedy=remedy) from None

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    def run(self) -> None:
        """Answer until stopped."""
        self._server.serve_forever(poll_interval=0.5)

    def stop(self) -> None:
        """No longer."""
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = MOST_CONNECTIONS

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        host, port = address
        everywhere = not host and socket.has_dualstack_ipv6()
        self.address_family = socket.AF_INET6 if everywhere or ":" in host else socket.AF_INET
        self._both = everywhere
        self._open: dict[int, socket.socket] = {}
        self._lock = threading.Lock()
        super().__init__(("::" if everywhere else host, port), handler)

    def server_bind(self) -> None:
        if self._both:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        # Not HTTPServer's own: it asks the name server who we are.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "memguard", int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._open[request.fileno()] = request
            if len(self._open) > MOST_CONNECTIONS:
                _cut(self._open.pop(next(iter(self._open))))
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.pop(request.fileno(), None)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever asked has gone: nobody else need know. What else goes wrong is a fault of ours, and shown."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    timeout = IDLE_SECONDS
    server_version = "memguard"
    sys_version = ""
    registry: CollectorRegistry
    healthy: Objections
    ready: Objections

    def do_GET(self) -> None:
        """One of three."""
        match self.path.partition("?")[0]:
            case "/metrics":
                encode, kind = choose_encoder(self.headers.get("Accept", ""))
                self._answer(200, encode(self.registry), kind)
            case "/healthz":
                self._say(type(self).healthy())
            case "/readyz":
                self._say(type(self).ready())
            case _:
                self._answer(404, b"/metrics, /healthz or /readyz\n", TEXT)

    def _say(self, objections: tuple[str, ...]) -> None:
        text = "".join(f"{objection}\n" for objection in objections) or "ok\n"
        self._answer(503 if objections else 200, text.encode(errors="backslashreplace"), TEXT)

    def _answer(self, code: int, content: bytes, kind: str) -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name that it has in the base
        """A scrape is no news."""


def _cut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # it went by itself
