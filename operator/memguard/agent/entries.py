"""What waits on the disk to be written to the API server."""

from __future__ import annotations

import msgspec

from memguard.core.decision import Victim
from memguard.core.link import News
from memguard.core.model import Count, Moment, Record
from memguard.core.scorecard import Verdict


class Told(Record, frozen=True, kw_only=True, tag="told", tag_field="type"):
    """What the guard told; `session` and the news' number name it for good.

    What only we know, and may no longer know when it is written: the `policy` that the victim is treated by, and
    whether it is an `offender`, which used more than it asked for.
    """

    session: str
    news: News
    policy: str = ""
    offender: bool = False


class Amended(Record, frozen=True, kw_only=True, tag="amended", tag_field="type"):
    """What became known later of a decision (`namespace/id`)."""

    at: Moment
    decision: str
    verdict: Verdict | None = None
    kernel_oom_kills: Count | None = None


Entry = Told | Amended

entries: msgspec.json.Decoder[Entry] = msgspec.json.Decoder(Entry)


def namespace_of(victim: Victim | None, system: str) -> str:
    """The namespace that a record about this container is kept in; `system` where it is of none."""
    return (victim.namespace if victim else None) or system
