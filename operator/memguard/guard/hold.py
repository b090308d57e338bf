"""The hold: suspects stand still while the guard decides, a few milliseconds, and run again unless they are chosen."""

from __future__ import annotations

from collections.abc import Iterable

from memguard.guard.ward import Ward
from memguard.kernel.freeze import Freeze
from memguard.kernel.record import Records


class Hold:
    """The frozen suspects of one decision. Everything held is released again, whatever happens in between."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._frozen: dict[str, Freeze] = {}

    def take(self, suspects: Iterable[Ward]) -> None:
        """Freeze those that may be acted on; nobody else is ever touched."""
        for ward in suspects:
            if ward.forbidden is None and ward.rule.allows("brake") and ward.id not in self._frozen:
                ward.cgroup.file("cgroup.freeze").keep = True  # read where it stands: nothing is opened now
                freeze = Freeze(ward.cgroup, self._records)
                if freeze.hold().ok:
                    self._frozen[ward.id] = freeze

    def release(self) -> None:
        """Let everybody run; for a killed one this only clears the record."""
        for freeze in self._frozen.values():
            freeze.release()
        self._frozen.clear()

    def __len__(self) -> int:
        return len(self._frozen)
