"""Acting as somebody else, as kubectl does it: a kubeconfig's `as`, and the options over it.

The kubernetes package ignores it, and whoever is to have fewer rights than the certificate would keep them all.
Source: kubernetes.io/docs/reference/access-authn-authz/authentication/#user-impersonation
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote

import msgspec

from memguard.core.model import Record
from memguard.errors import InputError, MemguardError

#: Of an extra's name everything else is escaped, as HTTP's tokens (RFC 9110) ask for.
_UNESCAPED = "!#$&'*+^`|"


class Impersonation(Record, frozen=True, kw_only=True):
    """Whom to act as; without a user as oneself. The names are those of a kubeconfig's user."""

    user: str = msgspec.field(default="", name="as")
    groups: tuple[str, ...] = msgspec.field(default=(), name="as-groups")
    uid: str = msgspec.field(default="", name="as-uid")
    extra: dict[str, tuple[str, ...]] = msgspec.field(default={}, name="as-user-extra")

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """What says so to an API server; UTF-8 in the characters that HTTP's headers are made of."""
        return tuple((name, value.encode().decode("latin-1")) for name, value in self._headers() if value)

    def _headers(self) -> Iterator[tuple[str, str]]:
        yield "Impersonate-User", self.user
        yield "Impersonate-Uid", self.uid
        yield from (("Impersonate-Group", group) for group in self.groups)
        for key, values in self.extra.items():
            yield from ((f"Impersonate-Extra-{quote(key, safe=_UNESCAPED)}", value) for value in values)


def impersonation(configured: Any, user: str | None = None, groups: Sequence[str] = ()) -> Impersonation:
    """As a kubeconfig's user says, and what is given instead. Raises ValueError for what no kubeconfig may say."""
    wanted = msgspec.convert(configured or {}, Impersonation)
    wanted = msgspec.structs.replace(wanted, user=user or wanted.user, groups=tuple(groups) or wanted.groups)
    if not wanted.user and wanted.headers:
        raise MemguardError("groups, a uid or extras are impersonated with a user only. Say which: --as NAME.")
    if not all(value.isprintable() for _, value in wanted._headers()):
        raise InputError("--as", "a name has no control characters", remedy="Write it as for kubectl.")
    return wanted
