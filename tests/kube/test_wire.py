"""One request over one connection, with a server that breaks it in every way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.kube.scripted import Scripted, answer

from memguard import __version__
from memguard.errors import ForbiddenError, TooLargeError, TooManyRequestsError, UnreachableError
from memguard.kube import wire
from memguard.kube.answers import Answer, Request
from memguard.kube.connection import Connection, FixedToken
from memguard.kube.wire import Stream, Wire

GET = Request(verb="GET", path="/api/v1/pods", query={"fieldSelector": "spec.nodeName=a"})
POST = Request(verb="POST", path="/api/v1/pods", body=b"{}", again=False)
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


class Clock:
    def __init__(self, step_seconds: float = 0.0) -> None:
        self.seconds = 0.0
        self._step_seconds = step_seconds

    def __call__(self) -> float:
        self.seconds += self._step_seconds
        return self.seconds


@contextmanager
def wired(server: Scripted, clock: Clock | None = None) -> Iterator[Wire]:
    with server:
        connected = Wire(
            Connection(server.url + "/prefix/", token=FixedToken("secret")),
            timeout_seconds=20,
            clock=clock or Clock(),
        )
        yield connected
        connected.close()


def chunks(*pieces: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)


def test_a_request_says_who_asks_for_what() -> None:
    server = Scripted([answer(b"{}"), answer(b"[]")])
    with wired(server) as connected:
        assert connected.send(GET) == Answer(status=200, body=b"{}")
        assert connected.send(POST).body == b"[]"
    first, second = server.requests
    assert first.splitlines()[0] == "GET /prefix/api/v1/pods?fieldSelector=spec.nodeName%3Da HTTP/1.1"
    assert "Authorization: Bearer secret" in first
    assert f"User-Agent: memguard/{__version__}" in first
    assert "Accept: application/json" in first
    assert "Content-Type: application/json" in second
    assert second.endswith("\n{}")


def test_a_refusal_leaves_the_connection_usable() -> None:
    server = Scripted([answer(b"no", "403 Forbidden"), answer(b"{}")])
    with wired(server) as connected:
        with pytest.raises(ForbiddenError, match="GET /api/v1/pods: 403 no"):
            connected.send(GET)
        assert connected.send(GET).status == 200


def test_what_the_server_asks_to_wait_is_told() -> None:
    server = Scripted([answer(b"", "429 Too Many Requests", Retry_After="7")])
    with wired(server) as connected, pytest.raises(TooManyRequestsError) as later:
        connected.send(GET)
    assert later.value.retry_after_seconds == 7


@pytest.mark.parametrize("request_", [GET, POST])
def test_a_connection_that_the_server_closed_is_not_used(request_: Request) -> None:
    server = Scripted([answer(b"{}")], [answer(b"[]")])
    with wired(server) as connected:
        connected.send(GET)
        server.wait_until_closed()
        assert connected.send(request_).body == b"[]"


def test_a_connection_that_was_idle_for_long_is_not_used() -> None:
    clock = Clock()
    server = Scripted([answer(b"{}")], [answer(b"[]")])
    with wired(server, clock) as connected:
        connected.send(GET)
        clock.seconds = wire.IDLE_SECONDS
        assert connected.send(GET).body == b"[]"


def test_a_server_that_says_it_closes_is_believed() -> None:
    server = Scripted([answer(b"{}", Connection="close")], [answer(b"[]")])
    with wired(server) as connected:
        connected.send(POST)
        assert connected.send(POST).body == b"[]"


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        (b"", "Remote end closed connection without response"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "SSH-2.0"),
        (answer(b"{}" * 10)[:-7], "7 bytes are missing"),
        (CHUNKED + b"5\r\n{}", "IncompleteRead"),
        (CHUNKED + b"zz\r\n{}", "IncompleteRead"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n", "more than 100 headers"),
    ],
)
def test_no_whole_answer_is_no_answer(said: bytes, problem: str) -> None:
    words = rf"^GET /api/v1/pods: no whole answer \(.*{problem}.*\)\. Check"
    with wired(Scripted([said])) as connected, pytest.raises(UnreachableError, match=words):
        connected.send(GET)


def test_a_broken_answer_is_not_asked_for_twice_when_that_could_do_harm() -> None:
    server = Scripted([answer(b"{}"), b""])
    with wired(server) as connected:
        connected.send(GET)
        with pytest.raises(UnreachableError, match="look before you ask again"):
            connected.send(POST)
    assert len(server.requests) == 2


def test_an_answer_that_drips_does_not_hold_us_for_ever() -> None:
    clock = Clock(step_seconds=wire.ANSWER_SECONDS / 2)
    drip = CHUNKED + chunks(*[b"x"] * 9)
    with wired(Scripted([drip]), clock) as connected, pytest.raises(UnreachableError, match="not whole after 60 s"):
        connected.send(GET)


def test_an_answer_may_only_be_so_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "LARGEST_ANSWER_BYTES", 100)
    words = r"larger than 100 bytes\. Ask for smaller pages"
    with wired(Scripted([answer(b"x" * 101)])) as connected, pytest.raises(TooLargeError, match=words):
        connected.send(GET)


def lines_of(said: bytes) -> tuple[list[bytes], UnreachableError | None]:
    with wired(Scripted([said])) as connected:
        stream = connected.stream(GET, 20)
        lines: list[bytes] = []
        try:
            _collect(stream, lines)
        except UnreachableError as error:
            return lines, error
        finally:
            stream.close()
    return lines, None


def _collect(stream: Stream, lines: list[bytes]) -> None:
    for line in stream:
        lines.append(line)  # noqa: PERF402 - what came before the error counts


@pytest.mark.parametrize(
    ("pieces", "lines"),
    [
        ((), []),
        ((b"a\n",), [b"a"]),
        ((b"a\nb\n", b"c\n"), [b"a", b"b", b"c"]),
        ((b"a", b"b", b"c\nd", b"e\n"), [b"abc", b"de"]),
        ((b"a\nb",), [b"a"]),
        ((b"a\n", b"b" * 200_000, b"\n"), [b"a", b"b" * 200_000]),
    ],
)
def test_a_stream_is_lines_and_what_was_cut_off_is_none(pieces: tuple[bytes, ...], lines: list[bytes]) -> None:
    whole = CHUNKED + chunks(*pieces)
    assert lines_of(whole + b"0\r\n\r\n") == (lines, None)
    seen, error = lines_of(whole)
    assert seen == lines
    assert error is not None


def test_a_line_may_only_be_so_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "LARGEST_ANSWER_BYTES", 100)
    seen, error = lines_of(CHUNKED + chunks(b"a\n", b"b" * 101, b"\n") + b"0\r\n\r\n")
    assert seen == [b"a"]
    assert error is not None
    assert "longer than 100 bytes" in error.problem


def test_a_stream_that_is_refused_says_why() -> None:
    with wired(Scripted([answer(b"no", "403 Forbidden")])) as connected, pytest.raises(ForbiddenError, match="403 no"):
        connected.stream(GET, 20)
