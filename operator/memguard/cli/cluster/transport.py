"""Requests over the connection that the kubernetes package makes of a kubeconfig: its logins, its TLS, its proxies.

What is asked and answered is ours (memguard.kube): the package's own 700 models would take seconds for a large list.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import urlencode

import urllib3

from memguard import __version__
from memguard.errors import TooLargeError, UnreachableError
from memguard.kube.answers import Answer, Request, refusal

CONNECT_SECONDS, ANSWER_SECONDS = 10.0, 60.0
#: A page of a hundred pods is 2 MB; more than this is no answer, and must not eat a person's machine.
LARGEST_ANSWER_BYTES = 256 << 20
_PIECE_BYTES = 1 << 16


class Urllib3Transport:
    """Of one loaded kubernetes.client.Configuration; `pool` is the connection pool that the package made for it."""

    def __init__(self, configuration: Any, pool: urllib3.PoolManager, headers: Iterable[tuple[str, str]] = ()) -> None:
        """`headers` go with every request."""
        self._configuration, self._pool, self._more = configuration, pool, tuple(headers)
        if not configuration.verify_ssl:  # as the kubeconfig says: once is enough, and it was said there
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)

    def send(self, request: Request) -> Answer:
        """The server's answer below 300. Raises KubeError."""
        response = self._asked(request, ANSWER_SECONDS)
        answer = self._whole(request, response)
        if answer.status >= 300:
            raise refusal(request, answer)
        return answer

    def stream(self, request: Request, quiet_seconds: float) -> ResponseLines:
        """An open answer; silence of `quiet_seconds` in it is an error. Raises KubeError."""
        response = self._asked(request, quiet_seconds)
        if response.status >= 300:
            raise refusal(request, self._whole(request, response))
        return ResponseLines(request, response)

    def close(self) -> None:
        """Close what is idle."""
        self._pool.clear()

    def _asked(self, request: Request, answer_seconds: float) -> urllib3.BaseHTTPResponse:
        target = self._configuration.host + request.path
        if request.query:
            target += "?" + urlencode(request.query)
        timeout = urllib3.Timeout(connect=CONNECT_SECONDS, read=request.timeout_seconds or answer_seconds)
        try:
            return self._pool.request(
                request.verb,
                target,
                body=request.body,
                headers=self._headers(request),
                timeout=timeout,
                retries=False,
                redirect=False,
                preload_content=False,
            )
        except urllib3.exceptions.HTTPError as error:
            raise _unreachable(request, self._configuration.host, error) from None

    def _headers(self, request: Request) -> urllib3.HTTPHeaderDict:
        headers = urllib3.HTTPHeaderDict(Accept="application/json")
        headers["User-Agent"] = f"kubectl-memguard/{__version__}"
        if request.body is not None:
            headers["Content-Type"] = request.content_type
        for one in self._configuration.auth_settings().values():  # asked anew each time: a token may have run out
            headers[one["key"]] = one["value"]
        for name, value in self._more:
            headers.add(name, value)
        return headers

    def _whole(self, request: Request, response: urllib3.BaseHTTPResponse) -> Answer:
        body = bytearray()
        try:
            for piece in response.stream(_PIECE_BYTES):
                body += piece
                if len(body) > LARGEST_ANSWER_BYTES:
                    response.close()
                    problem = f"the answer is larger than {LARGEST_ANSWER_BYTES >> 20} MiB"
                    raise TooLargeError(request.verb, request.path, problem, remedy="Ask for less.")
        except urllib3.exceptions.HTTPError as error:
            raise _unreachable(request, self._configuration.host, error) from None
        finally:
            response.release_conn()
        return Answer(status=response.status, body=body, retry_after=response.headers.get("Retry-After"))


class ResponseLines:
    """The lines of an answer that does not end by itself; a line that was cut off is no line."""

    def __init__(self, request: Request, response: urllib3.BaseHTTPResponse) -> None:
        self._request, self._response = request, response

    def __iter__(self) -> Iterator[bytes]:
        buffer = b""
        try:
            for piece in self._response.stream(_PIECE_BYTES):
                *lines, buffer = (buffer + piece).split(b"\n")
                yield from lines
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:  # ValueError: it was cut meanwhile
            raise _unreachable(self._request, "the API server", error) from None

    def close(self) -> None:
        """Close the connection."""
        self._response.close()

    def cut(self) -> None:
        """End it, from any thread."""
        with suppress(OSError, RuntimeError, ValueError):  # it ended by itself
            self._response.shutdown()


def _unreachable(request: Request, server: str, error: Exception) -> UnreachableError:
    """In the words of what lies beneath: urllib3 wraps them in its own, twice."""
    while beneath := error.__cause__ or error.__context__:
        error = beneath  # type: ignore[assignment]  # whatever it is, it has words
    words = " ".join(str(getattr(error, "strerror", None) or error).split()) or type(error).__name__
    remedy = f"Is {server} the right server (kubectl cluster-info), and is it reached from here?"
    if not request.again:
        remedy += " It may have been carried out: look before you ask again."
    return UnreachableError(request.verb, request.path, f"no whole answer ({words})", remedy=remedy)
