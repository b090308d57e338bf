"""What objects of all kinds share: metadata, as much of it as we use, and conditions by the API conventions."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Generic, Literal, TypeVar

from msgspec import Meta
from msgspec.structs import replace

from memguard.core.model import Moment, Record

GROUP = "memguard.io"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

S = TypeVar("S")

#: What somebody reads in a table; and a name, which may be a DNS subdomain.
Line = Annotated[str, Meta(max_length=128)]
Text = Annotated[str, Meta(max_length=1024)]
ObjectName = Annotated[str, Meta(max_length=253)]
Title = Annotated[str, Meta(max_length=512)]
Generation = Annotated[int, Meta(ge=0)]
Bytes = Annotated[int, Meta(ge=0)]
Count = Annotated[int, Meta(ge=0)]
Seconds = Annotated[float, Meta(ge=0)]


class OwnerReference(Record, frozen=True, kw_only=True, omit_defaults=True):
    """With whom an object goes."""

    api_version: str
    kind: str
    name: str
    uid: str


class KeptMeta(Record, frozen=True, kw_only=True, omit_defaults=True):
    """Who an object is, and no more: what is kept of many must not be their authors' to blow up."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0


class ObjectMeta(KeptMeta, frozen=True, kw_only=True, omit_defaults=True):
    """Who an object is, and what is noted on it; what is empty is not written."""

    creation_timestamp: Moment | None = None
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    owner_references: tuple[OwnerReference, ...] = ()


class Desired(Record, Generic[S], frozen=True, kw_only=True):
    """An object as its author wrote it. Its status is skipped: another version's need not be understood."""

    metadata: KeptMeta
    spec: S


class Condition(Record, frozen=True, kw_only=True):
    """One aspect of an object's state (the API conventions' Condition)."""

    type: Annotated[Annotated[str, Meta(min_length=1, max_length=64)], Meta(description="Which aspect, in CamelCase.")]
    status: Annotated[Literal["True", "False", "Unknown"], Meta(description="Does it hold?")]
    reason: Annotated[
        Annotated[str, Meta(max_length=64, pattern=r"^[A-Za-z][A-Za-z0-9]*$")],
        Meta(description="Why, in one CamelCase word for programs."),
    ]
    last_transition_time: Annotated[Moment, Meta(description="When the status last changed.")]
    message: Annotated[Text, Meta(description="Why, in a sentence for people.")] = ""
    observed_generation: Annotated[
        Generation | None, Meta(description="The generation of the object that this was said of.")
    ] = None


Conditions = Annotated[tuple[Condition, ...], Meta(max_length=16)]


def condition(
    kind: str, *, holds: bool | None, reason: str, now: datetime, message: str = "", generation: int | None = None
) -> Condition:
    """A condition as it is found now; `holds` None: it is not known."""
    status: Literal["True", "False", "Unknown"] = "Unknown" if holds is None else "True" if holds else "False"
    return Condition(
        type=kind,
        status=status,
        reason=reason,
        last_transition_time=now,
        message=message,
        observed_generation=generation,
    )


def updated(before: tuple[Condition, ...], found: tuple[Condition, ...]) -> tuple[Condition, ...]:
    """The conditions found now, with the time of those whose status did not change left as it was."""
    since = {(one.type, one.status): one.last_transition_time for one in before}
    return tuple(
        replace(one, last_transition_time=since.get((one.type, one.status), one.last_transition_time)) for one in found
    )
