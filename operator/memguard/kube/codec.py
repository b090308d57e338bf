"""Between bytes and objects. One object that does not decode spoils neither its list nor its watch.

Policies are written by people, and a CRD may be older than the program: what does not decode is handed on with the
reason, and whoever reads it decides.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import msgspec

from memguard.core.model import UNREADABLE
from memguard.kube.objects import KubeObject, ListMeta, Status

T = TypeVar("T")

Key = tuple[str, str]


class Item(KubeObject, frozen=True, kw_only=True):
    """Who an object is: by name, and which one of that name in which state."""

    name: str
    uid: str
    resource_version: str
    namespace: str = ""

    @property
    def key(self) -> Key:
        """Namespace and name."""
        return self.namespace, self.name


class Found(Item, Generic[T], frozen=True, kw_only=True):
    """An object; `spec_bytes` is how long its spec was as JSON."""

    object: T
    spec_bytes: int = 0


class Broken(Item, frozen=True, kw_only=True):
    """An object that does not decode, and why: "Expected `int`, got `str` - at `$.spec.precedence`"."""

    problem: str


class Bookmark(msgspec.Struct, frozen=True):
    """Nothing happened up to this resource version."""

    resource_version: str


class Happening(msgspec.Struct, Generic[T], frozen=True):
    """An object is there, in this state; or it is no longer."""

    item: Found[T] | Broken
    deleted: bool


class Listing(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """Objects as they were at one resource version. `continue_token`: there are more."""

    items: tuple[Found[T] | Broken, ...]
    resource_version: str
    continue_token: str = ""

    @property
    def objects(self) -> tuple[T, ...]:
        """Those that decode."""
        return tuple(item.object for item in self.items if isinstance(item, Found))

    @property
    def broken(self) -> tuple[Broken, ...]:
        """Those that do not."""
        return tuple(item for item in self.items if isinstance(item, Broken))


class _Meta(KubeObject, frozen=True, kw_only=True):
    name: str
    resource_version: str
    uid: str = ""
    namespace: str = ""


class _Partial(KubeObject, frozen=True, kw_only=True):
    metadata: _Meta
    spec: msgspec.Raw = msgspec.Raw()


class _Versioned(KubeObject, frozen=True, kw_only=True):
    metadata: ListMeta


class _List(KubeObject, frozen=True, kw_only=True):
    metadata: ListMeta
    items: tuple[msgspec.Raw, ...] | None = None


class _Event(KubeObject, frozen=True, kw_only=True):
    type: str
    object: msgspec.Raw


_partials = msgspec.json.Decoder(_Partial)
_lists = msgspec.json.Decoder(_List)
_events = msgspec.json.Decoder(_Event)
_versions = msgspec.json.Decoder(_Versioned)
_statuses = msgspec.json.Decoder(Status)


#: msgspec 0.22 keeps what it knows of a type with the type, and lets another thread see it half made: two that made
#: decoders of kinds with a part in common (ObjectMeta) at once ended the process with a segmentation fault.
_making = threading.Lock()


class Codec(Generic[T]):
    """Decodes what is told about objects of one type. Everything raises what is UNREADABLE.

    Of lists and watches, which are kept, `thin` leaves what is needed.
    """

    def __init__(self, kind: type[T], thin: Callable[[T], T] = lambda one: one) -> None:
        self._thin = thin
        with _making:
            self._decoder = msgspec.json.Decoder(kind)

    def object(self, body: bytes | bytearray) -> T:
        """One object."""
        return self._decoder.decode(body)

    def listing(self, body: bytes | bytearray) -> Listing[T]:
        """A list or a page of one."""
        page = _lists.decode(body)
        return Listing(
            items=tuple(map(self._item, page.items or ())),
            resource_version=page.metadata.resource_version,
            continue_token=page.metadata.continue_token,
        )

    def event(self, line: bytes) -> Happening[T] | Bookmark | Status:
        """A line of a watch; a Status is an error that the server found."""
        event = _events.decode(line)
        if event.type == "ERROR":
            return _statuses.decode(event.object)
        if event.type == "BOOKMARK":
            return Bookmark(_versions.decode(event.object).metadata.resource_version)
        return Happening(self._item(event.object), deleted=event.type == "DELETED")

    def _item(self, raw: msgspec.Raw) -> Found[T] | Broken:
        partial = _partials.decode(raw)
        meta = partial.metadata
        who = {
            "name": meta.name,
            "namespace": meta.namespace,
            "uid": meta.uid,
            "resource_version": meta.resource_version,
        }
        try:
            found = self._thin(self._decoder.decode(raw))
            return Found(object=found, spec_bytes=len(partial.spec), **who)
        except UNREADABLE as error:
            return Broken(problem=str(error), **who)


def encode(body: Any) -> bytes:
    """A body as JSON."""
    return msgspec.json.encode(body)
