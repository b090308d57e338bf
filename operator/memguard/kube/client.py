"""Every verb that we need of the Kubernetes API, typed by the resource that it is asked of.

Nothing here waits and tries again (memguard.kube.retry does), except where it cannot be noticed: a connection that the
server closed meanwhile, a token that was replaced. Every call raises KubeError.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import Any, Generic, TypeVar

from memguard.core.model import UNREADABLE
from memguard.errors import GoneError, KubeError, TooLargeError
from memguard.kube.answers import Request, stream_refusal
from memguard.kube.codec import Bookmark, Broken, Codec, Found, Happening, Listing, encode
from memguard.kube.objects import Status
from memguard.kube.ration import Ration
from memguard.kube.resources import PODS, Resource, Selection
from memguard.kube.transport import Lines, Transport

T = TypeVar("T")

#: A pod is 6 to 20 KB as JSON, a policy of ours less; where they are larger, fewer are asked for at a time.
PAGE = 100
#: The server keeps a continuation for five minutes; who fails twice to list within that will fail again.
LIST_ATTEMPTS = 3
#: The API server tries an eviction that conflicts 20 times, each half a second (measured: 10.0 s for another's UID).
EVICTION_TIMEOUT_SECONDS = 20.0
MANAGER = "memguard"
UNLIMITED = partial(Ration, sys.maxsize)
_JSON_PATCH = "application/json-patch+json"
_MERGE_PATCH = "application/merge-patch+json"
_STRATEGIC_PATCH = "application/strategic-merge-patch+json"
#: JSON is YAML.
_APPLY_PATCH = "application/apply-patch+yaml"


class Client:
    """Talks to one API server over a wire; any number of threads may use it."""

    def __init__(self, wire: Transport) -> None:
        self._wire = wire
        self._codecs: dict[Any, Codec[Any]] = {}

    def close(self) -> None:
        """Close idle connections."""
        self._wire.close()

    def get(self, resource: Resource[T], name: str, namespace: str | None = None) -> T:
        """One object."""
        return self._object(resource, Request(verb="GET", path=resource.path(namespace, name)))

    def list_all(
        self, selection: Selection[T], *, page: int = PAGE, ration: Callable[[], Ration] = UNLIMITED
    ) -> Listing[T]:
        """All objects of a selection, read page by page; begun anew when the server forgot where we were.

        What is beyond a new `ration` is told as broken.
        """
        for _ in range(LIST_ATTEMPTS - 1):
            try:
                return self._pages(selection, page, ration())
            except GoneError:
                continue
        return self._pages(selection, page, ration())

    def create(self, resource: Resource[T], body: object, namespace: str | None = None, *, dry_run: bool = False) -> T:
        """The object as it was made, or would be. Raises AlreadyExistsError."""
        query = {"dryRun": "All"} if dry_run else {}
        request = Request(verb="POST", path=resource.path(namespace), query=query, body=encode(body), again=dry_run)
        return self._object(resource, request)

    def merge_patch(
        self, resource: Resource[T], name: str, body: object, namespace: str | None = None, *, subresource: str = ""
    ) -> T:
        """The object with these fields changed (RFC 7386): null removes, lists are replaced whole.

        With a resourceVersion among them, ConflictError when the object has changed since.
        """
        path = resource.path(namespace, name, subresource)
        return self._object(resource, Request(verb="PATCH", path=path, body=encode(body), content_type=_MERGE_PATCH))

    def strategic_patch(
        self,
        resource: Resource[T],
        name: str,
        body: object,
        namespace: str | None = None,
        *,
        subresource: str = "",
        dry_run: bool = False,
    ) -> T:
        """The object with these fields changed, or as it would be: lists merged by name, Kubernetes' own kinds only."""
        path = resource.path(namespace, name, subresource)
        query = {"dryRun": "All"} if dry_run else {}
        request = Request(verb="PATCH", path=path, query=query, body=encode(body), content_type=_STRATEGIC_PATCH)
        return self._object(resource, request)

    def json_patch(
        self,
        resource: Resource[T],
        name: str,
        steps: Sequence[Mapping[str, object]],
        namespace: str | None = None,
        *,
        subresource: str = "",
    ) -> T:
        """The object after these steps (RFC 6902); none is taken when one fails, InvalidError for a failed test."""
        path = resource.path(namespace, name, subresource)
        request = Request(verb="PATCH", path=path, body=encode(steps), content_type=_JSON_PATCH, again=False)
        return self._object(resource, request)

    def apply(
        self,
        resource: Resource[T],
        name: str,
        body: object,
        namespace: str | None = None,
        *,
        manager: str = MANAGER,
        force: bool = False,
        subresource: str = "",
    ) -> T:
        """The object, made or changed so that it has these fields (server-side apply), and no longer those that we once
        applied and now leave out.

        `body` has apiVersion and kind. Raises ConflictError when another manager owns a field, unless `force`.
        """
        query = {"fieldManager": manager, **({"force": "true"} if force else {})}
        path = resource.path(namespace, name, subresource)
        request = Request(verb="PATCH", path=path, query=query, body=encode(body), content_type=_APPLY_PATCH)
        return self._object(resource, request)

    def delete(
        self,
        resource: Resource[T],
        name: str,
        namespace: str | None = None,
        *,
        uid: str | None = None,
        grace_seconds: int | None = None,
    ) -> None:
        """Delete it; with `uid` only this very one: ConflictError when another bears its name now."""
        body = _delete_options(uid, grace_seconds)
        self._wire.send(Request(verb="DELETE", path=resource.path(namespace, name), body=encode(body)))

    def evict(self, name: str, namespace: str, *, uid: str, grace_seconds: int | None, dry_run: bool = False) -> None:
        """Evict this very pod, or ask whether it could be.

        Raises TooManyRequestsError, with `budget` when a PodDisruptionBudget forbids it, ConflictError for another pod
        of that name, ValueError for a grace below 1: 0 would delete the pod by force. None is the pod's own grace.
        """
        if grace_seconds is not None and grace_seconds < 1:
            raise ValueError(f"{namespace}/{name}: a grace of {grace_seconds} s would delete the pod by force")
        options = _delete_options(uid, grace_seconds)
        if dry_run:
            options["dryRun"] = ["All"]
        metadata = {"name": name, "namespace": namespace}
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata, "deleteOptions": options}
        path = PODS.path(namespace, name, "eviction")
        request = Request(
            verb="POST", path=path, body=encode(body), again=dry_run, timeout_seconds=EVICTION_TIMEOUT_SECONDS
        )
        self._wire.send(request)

    def watch(self, selection: Selection[T], resource_version: str, *, seconds: int, quiet_seconds: float) -> Watch[T]:
        """What happens after that version, for so many seconds; no word for `quiet_seconds` is an error.

        Raises GoneError when the version is too old, here or while it is read.
        """
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(seconds),
            **selection.query,
        }
        request = Request(verb="GET", path=selection.path, query=query)
        return Watch(request, self._wire.stream(request, quiet_seconds), self.codec(selection.resource))

    def codec(self, resource: Resource[T]) -> Codec[T]:
        """The decoder of this resource's type, made once."""
        key = resource.type, resource.thin
        codec: Codec[T] | None = self._codecs.get(key)
        if codec is None:
            codec = self._codecs[key] = Codec(resource.type, resource.thin)
        return codec

    def _object(self, resource: Resource[T], request: Request) -> T:
        answer = self._wire.send(request)
        try:
            return self.codec(resource).object(answer.body)
        except UNREADABLE as error:
            raise _not_understood(request, error) from None

    def _pages(self, selection: Selection[T], limit: int, ration: Ration) -> Listing[T]:
        items: list[Found[T] | Broken] = []
        token = ""
        while True:
            try:
                page = self._page(selection, limit, token)
            except TooLargeError:
                if limit == 1:
                    raise
                limit //= 2
                continue
            items += map(ration.admit, page.items)
            token = page.continue_token
            if not token:
                return Listing(items=tuple(items), resource_version=page.resource_version)

    def _page(self, selection: Selection[T], limit: int, token: str) -> Listing[T]:
        query = {"limit": str(limit), **selection.query, **({"continue": token} if token else {})}
        request = Request(verb="GET", path=selection.path, query=query)
        answer = self._wire.send(request)
        try:
            return self.codec(selection.resource).listing(answer.body)
        except UNREADABLE as error:
            raise _not_understood(request, error) from None


class Watch(Generic[T]):
    """What happens to a selection, as it happens."""

    def __init__(self, request: Request, stream: Lines, codec: Codec[T]) -> None:
        self._request = request
        self._stream = stream
        self._codec = codec

    def __enter__(self) -> Watch[T]:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stream.close()

    def __iter__(self) -> Iterator[Happening[T] | Bookmark]:
        for line in self._stream:
            event = self._event(line)
            if isinstance(event, Status):
                raise stream_refusal(self._request, event)
            yield event

    def cut(self) -> None:
        """End it, from any thread."""
        self._stream.cut()

    def _event(self, line: bytes) -> Happening[T] | Bookmark | Status:
        try:
            return self._codec.event(line)
        except UNREADABLE as error:
            raise _not_understood(self._request, error) from None


def _delete_options(uid: str | None, grace_seconds: int | None) -> dict[str, Any]:
    options: dict[str, Any] = {"apiVersion": "v1", "kind": "DeleteOptions"}
    if uid is not None:
        options["preconditions"] = {"uid": uid}
    if grace_seconds is not None:
        options["gracePeriodSeconds"] = grace_seconds
    return options


def _not_understood(request: Request, error: Exception) -> KubeError:
    remedy = "Program and CRDs, or program and API server, differ in version: bring them together."
    return KubeError(request.verb, request.path, f"the answer is not understood: {error}", remedy=remedy)
