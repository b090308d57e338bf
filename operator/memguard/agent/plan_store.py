"""What protects the node before the API server answers: the last plan, and who was who."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from memguard.agent.disk import read_back, write_whole
from memguard.agent.roster import Roster
from memguard.core.model import Moment, Record
from memguard.core.policy import Plan


class KeptPlan(Record, frozen=True, kw_only=True):
    """A plan, the cluster's policy that it follows, and when it was made."""

    plan: Plan
    cluster: str
    made_at: Moment


_plans = msgspec.json.Decoder(KeptPlan)
_rosters = msgspec.json.Decoder(Roster)


class PlanStore:
    """Two files in `directory`. What is broken is ignored, what cannot be written is said; neither ends anything."""

    def __init__(self, directory: str, trouble: Callable[[str], None]) -> None:
        self._directory, self._trouble = directory, trouble

    def plan(self) -> KeptPlan | None:
        """The last one."""
        return read_back(f"{self._directory}/plan.json", _plans, self._trouble)

    def keep_plan(self, plan: KeptPlan) -> None:
        """From now on it is the last one."""
        self._write("plan.json", plan)

    def roster(self) -> Roster | None:
        """Who was who; the API server has not confirmed it."""
        found = read_back(f"{self._directory}/roster.json", _rosters, self._trouble)
        return msgspec.structs.replace(found, listed=False) if found else None

    def keep_roster(self, roster: Roster) -> None:
        """From now on this is who was who."""
        self._write("roster.json", roster)

    def _write(self, name: str, content: Record) -> None:
        try:
            write_whole(f"{self._directory}/{name}", msgspec.json.encode(content))
        except OSError as error:
            self._trouble(f"{self._directory}/{name} cannot be written: {error.strerror}")
