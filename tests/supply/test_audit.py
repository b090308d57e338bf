"""pip-audit for real, with a service of our own: what it knows is told, and what it does not know is no clean bill."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from tools.supply import audit

#: As api.osv.dev answers, cut to what pip-audit reads.
KNOWN = {
    "id": "PYSEC-2099-1",
    "summary": "bad",
    "affected": [
        {
            "package": {"name": "jinja2", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "99.1"}]}],
        }
    ],
}


class Service(BaseHTTPRequestHandler):
    """Knows one vulnerability, in one package."""

    vulnerable = "jinja2"

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        bad = asked["package"]["name"] == self.vulnerable
        answer = json.dumps({"vulns": [KNOWN]} if bad else {}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: Any) -> None:
        """Nobody reads it."""


class Clean(Service):
    vulnerable = ""


@pytest.fixture(params=[Service])
def service(request: pytest.FixtureRequest) -> Iterator[tuple[str, ...]]:
    """The options that lead pip-audit there."""
    with ThreadingHTTPServer(("127.0.0.1", 0), request.param) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield ("--vulnerability-service", "osv", "--osv-url", f"http://127.0.0.1:{server.server_port}/v1/query")
        server.shutdown()


def test_what_is_known_is_told(service: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert audit.main(service) == 1
    assert capsys.readouterr() == ("", "jinja2: PYSEC-2099-1, mended by 99.1\n")


@pytest.mark.parametrize("service", [Clean], indirect=True)
def test_all_is_clean_when_each_was_asked_about(service: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert audit.main(service) == 0
    assert capsys.readouterr() == ("no known vulnerability in any locked package\n", "")


def test_a_service_that_cannot_be_reached_is_no_clean_bill(capsys: pytest.CaptureFixture[str]) -> None:
    nowhere = ("--vulnerability-service", "osv", "--osv-url", "http://127.0.0.1:9/v1/query", "--timeout", "1")
    assert audit.main(nowhere) == 2
    assert capsys.readouterr().err.startswith("NOT AUDITED: pip-audit has no answer: ")


@pytest.mark.parametrize(
    ("said", "unanswered"),
    [
        ([{"name": "A.b", "version": "1", "vulns": []}], ("c",)),
        ([{"name": "a-b", "version": "1", "vulns": []}, {"name": "c", "skip_reason": "not found"}], ("c",)),
        ([], ("a-b", "c")),
        ([{"name": "a-b", "vulns": []}, {"name": "c", "vulns": []}], ()),
    ],
)
def test_whatever_has_no_answer_of_its_own_is_named(said: list[dict[str, Any]], unanswered: tuple[str, ...]) -> None:
    found = audit.verdict(json.dumps({"dependencies": said}), {"a-b", "c"})
    assert (found.unanswered, found.clean) == (unanswered, not unanswered)


def test_everything_in_the_lock_is_asked_about() -> None:
    from tools.plugin import uv
    from tools.supply import lock

    assert audit.names(uv("export", *audit.EVERYTHING)) == lock.packages().keys()
