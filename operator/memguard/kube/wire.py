"""One request over one connection: kept alive, bounded in time and size.

A server closes idle connections as it likes. That is seen before a request where it can be; where it cannot, a request
that does no harm twice is sent once more over a new connection, any other is the caller's to decide.
"""

from __future__ import annotations

import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse
from urllib.parse import urlencode

from memguard import __version__
from memguard.errors import TooLargeError, UnreachableError
from memguard.kube.answers import Answer, Request, refusal
from memguard.kube.connection import Connection

#: The API server itself ends every request but a watch after this long (--request-timeout).
ANSWER_SECONDS = 60.0
#: etcd takes objects of 1.5 MiB, which may be six times that as JSON; an agent has room for no more, with what it takes
#: to decode it.
LARGEST_ANSWER_BYTES = 10 << 20
#: Balancers in between forget a connection after some minutes without a word to either side.
IDLE_SECONDS = 60.0
IDLE_CONNECTIONS = 4
TIMEOUT_SECONDS = 10.0
_PIECE_BYTES = 1 << 16
_LONGEST_WORDS = 500


class Wire:
    """Sends requests; any thread may, each over a connection of its own.

    `timeout_seconds`: to connect, to begin with an answer, and between two pieces of it. `idle_connections`: as many
    stay open as threads ask at once; a new one costs more than the request.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        timeout_seconds: float = TIMEOUT_SECONDS,
        idle_connections: int = IDLE_CONNECTIONS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connection = connection
        self._timeout_seconds = timeout_seconds
        self._idle_connections = idle_connections
        self._clock = clock
        self._lock = threading.Lock()
        self._idle: list[tuple[HTTPConnection, float]] = []

    def send(self, request: Request) -> Answer:
        """The server's answer below 300. Raises KubeError."""
        token = self._connection.token()
        answer = self._asked(request, token)
        if answer.status == 401 and (other := self._connection.token_other_than(token)):
            answer = self._asked(request, other)
        if answer.status >= 300:
            raise refusal(request, answer)
        return answer

    def stream(self, request: Request, quiet_seconds: float) -> Stream:
        """An open answer; silence of `quiet_seconds` in it is an error. Raises KubeError."""
        token = self._connection.token()
        opened = self._opened(request, token, quiet_seconds)
        if isinstance(opened, Answer) and opened.status == 401 and (other := self._connection.token_other_than(token)):
            opened = self._opened(request, other, quiet_seconds)
        if isinstance(opened, Answer):
            raise refusal(request, opened)
        return opened

    def close(self) -> None:
        """Close what is idle."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection, _ in idle:
            connection.close()

    def _asked(self, request: Request, token: str | None) -> Answer:
        with _failures_named(request, request.timeout_seconds or self._timeout_seconds):
            kept = self._kept()
            if kept is None:
                return self._talk(self._connection.open(self._timeout_seconds), request, token)
            try:
                return self._talk(kept, request, token)
            except (ConnectionError, ssl.SSLEOFError):
                if not request.again:
                    raise
            return self._talk(self._connection.open(self._timeout_seconds), request, token)

    def _opened(self, request: Request, token: str | None, quiet_seconds: float) -> Stream | Answer:
        with _failures_named(request, self._timeout_seconds), ExitStack() as unless_it_stays_open:
            connection = self._connection.open(self._timeout_seconds)
            unless_it_stays_open.callback(connection.close)
            raw = connection.sock
            response = self._response(connection, request, token)
            if response.status >= 300:
                return self._answer(response, request)
            raw.settimeout(quiet_seconds)
            unless_it_stays_open.pop_all()
            return Stream(request, quiet_seconds, connection, raw, response)

    def _talk(self, connection: HTTPConnection, request: Request, token: str | None) -> Answer:
        with ExitStack() as unless_it_is_kept:
            unless_it_is_kept.callback(connection.close)
            response = self._response(connection, request, token)
            answer = self._answer(response, request)
            if not response.will_close:
                unless_it_is_kept.pop_all()
                self._keep(connection)
            return answer

    def _response(self, connection: HTTPConnection, request: Request, token: str | None) -> HTTPResponse:
        target = self._connection.prefix + request.path
        if request.query:
            target += "?" + urlencode(request.query)
        headers = {"Accept": "application/json", "User-Agent": f"memguard/{__version__}"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        if request.body is not None:
            headers["Content-Type"] = request.content_type
        connection.sock.settimeout(request.timeout_seconds or self._timeout_seconds)
        connection.request(request.verb, target, request.body, headers)
        return connection.getresponse()

    def _answer(self, response: HTTPResponse, request: Request) -> Answer:
        deadline = self._clock() + ANSWER_SECONDS
        body = bytearray()
        while piece := response.read1(_PIECE_BYTES):
            body += piece
            if len(body) > LARGEST_ANSWER_BYTES:
                raise TooLargeError(
                    request.verb,
                    request.path,
                    f"the answer is larger than {LARGEST_ANSWER_BYTES} bytes",
                    remedy="Ask for smaller pages.",
                    status=response.status,
                )
            if self._clock() > deadline:
                raise TimeoutError(f"the answer was not whole after {ANSWER_SECONDS:.0f} s")
        if response.length:
            raise HTTPException(f"{response.length} bytes are missing")
        response.close()
        return Answer(status=response.status, body=body, retry_after=response.getheader("Retry-After"))

    def _kept(self) -> HTTPConnection | None:
        """The idle connection that was used last, if one is still good."""
        while True:
            with self._lock:
                if not self._idle:
                    return None
                connection, since = self._idle.pop()
            if self._clock() - since < IDLE_SECONDS and not _closed_by_server(connection.sock):
                return connection
            connection.close()

    def _keep(self, connection: HTTPConnection) -> None:
        with self._lock:
            if len(self._idle) < self._idle_connections:
                self._idle.append((connection, self._clock()))
                return
        connection.close()


class Stream:
    """The lines of an answer that does not end by itself; a line that was cut off is no line."""

    def __init__(
        self,
        request: Request,
        quiet_seconds: float,
        connection: HTTPConnection,
        raw: socket.socket,
        response: HTTPResponse,
    ) -> None:
        self._request = request
        self._quiet_seconds = quiet_seconds
        self._connection = connection
        self._raw = raw
        self._response = response

    def close(self) -> None:
        """Close the connection."""
        self._response.close()
        self._connection.close()

    def __iter__(self) -> Iterator[bytes]:
        with _failures_named(self._request, self._quiet_seconds):
            buffer = bytearray()
            while piece := self._response.read1(_PIECE_BYTES):
                buffer += piece
                *lines, rest = buffer.split(b"\n") if b"\n" in piece else (buffer,)
                yield from map(bytes, lines)
                buffer = rest
                if len(buffer) > LARGEST_ANSWER_BYTES:
                    raise HTTPException(f"a line is longer than {LARGEST_ANSWER_BYTES} bytes")

    def cut(self) -> None:
        """End it, from any thread: whoever waits for a line gets none."""
        with suppress(OSError):  # it ended by itself
            # an SSLSocket's own shutdown would pull the TLS object from under the thread that reads
            socket.socket.shutdown(self._raw, socket.SHUT_RDWR)


def _closed_by_server(sock: socket.socket) -> bool:
    """Is there something to read on a connection on which nothing was asked? Then it is the end of it."""
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))


@contextmanager
def _failures_named(request: Request, seconds: float) -> Iterator[None]:
    """What the network may do, as an error of ours."""
    try:
        yield
    except (OSError, HTTPException) as error:
        raise _unreachable(request, error, seconds) from error


def _unreachable(request: Request, error: Exception, seconds: float) -> UnreachableError:
    remedy = "Check the address, the network in between and that the API server runs."
    if isinstance(error, ssl.SSLCertVerificationError):
        problem = f"the server's certificate is not trusted ({error.verify_message})"
        remedy = "Is it the server that it should be? Compare the CA with the cluster's."
    elif isinstance(error, TimeoutError):
        problem = f"silence for {seconds:g} s ({error})"
    else:
        words = " ".join(str(error).split())[:_LONGEST_WORDS]
        problem = f"no whole answer ({words or type(error).__name__})"
    if not request.again:
        remedy += " It may have been carried out: look before you ask again."
    return UnreachableError(request.verb, request.path, problem, remedy=remedy)
