"""Why somebody could not be touched: in words for whoever asks, and as a cause that is counted."""

from __future__ import annotations

from typing import Literal

from memguard.core.model import Record

#: `gone`: its pod ends or is no longer there. `kind`: of no use, by what it is. `refused`: by the API server.
Cause = Literal["disruption_budget", "budget", "policy", "refused", "gone", "kind", "observed", "deposed"]


class Refusal(Record, frozen=True, kw_only=True):
    """`words`: a sentence's second half, "it is not evicted: ..."."""

    cause: Cause
    words: str


OBSERVED = Refusal(cause="observed", words="it is only observed")
ENDING = Refusal(cause="gone", words="its pod is ending already")
GONE = Refusal(cause="gone", words="its pod is no longer there")
UNDISRUPTABLE = Refusal(cause="disruption_budget", words="its PodDisruptionBudget allows no eviction now")
LENT = Refusal(cause="disruption_budget", words="what its PodDisruptionBudget has to spare is lent to other nodes")
DEPOSED = Refusal(cause="deposed", words="another replica leads now")


def refused(what: str, problem: str) -> Refusal:
    """By the API server: a webhook, an admission policy, a quota."""
    return Refusal(cause="refused", words=f"{what} is refused: {problem}")
