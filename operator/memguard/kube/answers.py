"""One request and its answer, and which error a refusal is."""

from __future__ import annotations

import msgspec

from memguard.core.model import UNREADABLE
from memguard.errors import (
    AlreadyExistsError,
    ConflictError,
    ForbiddenError,
    GoneError,
    InvalidError,
    KubeError,
    NotFoundError,
    ServerError,
    TooManyRequestsError,
    UnauthorizedError,
)
from memguard.kube.objects import Cause, Status

#: A page of HTML from something in between says enough in its first line.
_LONGEST_WORDS = 500

_KINDS: dict[int, tuple[type[KubeError], str]] = {
    401: (UnauthorizedError, "Is the token's service account still there, and the token meant for this server?"),
    403: (ForbiddenError, "Compare the role's rules; `kubectl auth can-i` tells what is allowed."),
    404: (NotFoundError, "It is gone or never was; for a kind of ours, check that its CRD is installed."),
    409: (ConflictError, "Read it again and decide anew; where it is another manager's, leave it."),
    410: (GoneError, "List again."),
    422: (InvalidError, "Correct what it names; where nobody wrote that by hand, CRDs and program differ in version."),
    429: (TooManyRequestsError, "Ask again later."),
}
_SERVER = (ServerError, "Ask again later; the API server's log has the reason.")
_OTHER = (KubeError, "Program and API server do not understand each other: report this with both versions.")
_EXISTS = (AlreadyExistsError, "Take what is there, or another name.")


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked. `again`: asking twice does no harm. `timeout_seconds`: where it takes longer than others."""

    verb: str
    path: str
    query: dict[str, str] = {}
    body: bytes | None = None
    content_type: str = "application/json"
    again: bool = True
    timeout_seconds: float | None = None


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What came back."""

    status: int
    body: bytes | bytearray
    retry_after: str | None = None


def refusal(request: Request, answer: Answer) -> KubeError:
    """The error that an answer of 300 and above is."""
    said = _said(answer)
    return _error(request, said, answer.status, _seconds(answer.retry_after))


def stream_refusal(request: Request, status: Status) -> KubeError:
    """The error that an ERROR event in a watch is."""
    return _error(request, status, status.code, None)


def _error(request: Request, said: Status, code: int, wait_seconds: float | None) -> KubeError:
    kind, remedy = _kind(said, code)
    details = said.details
    if wait_seconds is None and details is not None and details.retry_after_seconds > 0:
        wait_seconds = float(details.retry_after_seconds)
    return kind(
        request.verb,
        request.path,
        f"{code} {said.message.rstrip('.') or said.reason or 'without a word'}",
        remedy=remedy,
        status=code,
        causes=tuple(map(_words, details.causes or ())) if details else (),
        retry_after_seconds=wait_seconds,
    )


def _kind(said: Status, code: int) -> tuple[type[KubeError], str]:
    if code == 409 and said.reason == "AlreadyExists":
        return _EXISTS
    return _KINDS.get(code) or (_SERVER if code >= 500 else _OTHER)


def _words(cause: Cause) -> str:
    return f"{cause.field or cause.reason}: {cause.message}"


def _said(answer: Answer) -> Status:
    """The server's words; something in between may have answered in its own."""
    try:
        status = msgspec.json.decode(answer.body, type=Status)
    except UNREADABLE:
        return Status(message=" ".join(answer.body[:_LONGEST_WORDS].decode("utf-8", "replace").split()))
    return status if status.kind == "Status" else Status()


def _seconds(retry_after: str | None) -> float | None:
    """Retry-After in seconds; its other form, a date, would need clocks that agree."""
    return float(retry_after) if retry_after and retry_after.isascii() and retry_after.isdigit() else None
