"""Which error a refusal is, whoever put it into words."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memguard.errors import AlreadyExistsError, ConflictError, KubeError, MemguardError, TooManyRequestsError
from memguard.kube.answers import Answer, Request, refusal

PUT = Request(verb="PUT", path="/api/v1/nodes/a")


def status(code: int, reason: str = "", message: str = "no", **details: object) -> bytes:
    return json.dumps(
        {"kind": "Status", "code": code, "reason": reason, "message": message, "details": details}
    ).encode()


def refused(code: int, body: bytes, retry_after: str | None = None) -> KubeError:
    return refusal(PUT, Answer(status=code, body=body, retry_after=retry_after))


def test_the_error_names_what_was_asked_and_what_to_do() -> None:
    error = refused(403, status(403, message='nodes "a" is forbidden.'))
    assert str(error) == (
        'PUT /api/v1/nodes/a: 403 nodes "a" is forbidden. '
        "Compare the role's rules; `kubectl auth can-i` tells what is allowed."
    )
    assert (error.verb, error.path, error.status) == ("PUT", "/api/v1/nodes/a", 403)
    assert isinstance(error, MemguardError)


def test_two_conflicts_are_told_apart() -> None:
    assert type(refused(409, status(409, "AlreadyExists"))) is AlreadyExistsError
    assert type(refused(409, status(409, "Conflict"))) is ConflictError


def test_a_disruption_budget_is_told_from_load() -> None:
    causes = [{"reason": "DisruptionBudget", "message": "The disruption budget b needs 2 healthy pods and has 2"}]
    budget = refused(429, status(429, causes=causes))
    load = refused(429, status(429), "1")
    assert isinstance(budget, TooManyRequestsError)
    assert isinstance(load, TooManyRequestsError)
    assert (budget.budget, budget.retry_after_seconds) == (True, None)
    assert (load.budget, load.retry_after_seconds) == (False, 1)


def test_the_fields_that_are_wrong_are_named() -> None:
    causes = [{"reason": "FieldValueNotSupported", "message": "Unsupported value", "field": "spec.mode"}]
    assert refused(422, status(422, causes=causes)).causes == ("spec.mode: Unsupported value",)


@pytest.mark.parametrize(
    ("header", "details", "seconds"),
    [("3", 7, 3.0), (None, 7, 7.0), (None, 0, None), ("Wed, 21 Oct 2026 07:28:00 GMT", 0, None), ("-1", 0, None)],
)
def test_how_long_to_wait_is_the_headers_or_the_bodys_word(
    header: str | None, details: int, seconds: float | None
) -> None:
    assert refused(503, status(503, retryAfterSeconds=details), header).retry_after_seconds == seconds


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"404 page not found\n", "404 404 page not found. "),
        (b"<html>\n <h1>502</h1>\n</html>", "502 <html> <h1>502</h1> </html>. "),
        (b"", "500 without a word. "),
        (b"{}", "500 without a word. "),
        (b'{"kind":"Status","reason":"NotReady"}', "500 NotReady. "),
        (b'{"kind":"Status","details":{"causes":null}}', "500 without a word. "),
    ],
)
def test_something_in_between_may_answer_in_its_own_words(body: bytes, words: str) -> None:
    assert words in str(refused(int(words.split(maxsplit=1)[0]), body))


@given(st.integers(300, 599), st.binary(max_size=2000), st.none() | st.text(max_size=5))
def test_every_refusal_is_an_error_of_ours(code: int, body: bytes, retry_after: str | None) -> None:
    error = refused(code, body, retry_after)
    assert error.status == code
    assert str(error).startswith(f"PUT /api/v1/nodes/a: {code} ")
    assert len(str(error)) < 1000
