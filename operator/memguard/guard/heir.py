"""Whoever undoes what this guard leaves when it dies: a janitor of its own, or beside an agent the supervisor.

While there is none no line may stand: a brake without its driver is worse than the kernel's OOM killer.
"""

from __future__ import annotations

from collections.abc import Callable

from memguard.guard.ears import MESSAGE, Ears
from memguard.guard.janitor import Janitor, spawn_janitor
from memguard.guard.report import Report
from memguard.guard.supervisor import Post


class Heir:
    """`present`: is there one? `changed` is called when there is none any more, or one again.

    `post`: the supervisor's, where there is to be one; without it the janitor is watched over that is employed.
    """

    def __init__(
        self,
        post: Post | None,
        paths: tuple[str, str],
        *,
        ears: Ears,
        report: Report,
        changed: Callable[[], None],
    ) -> None:
        self.janitor: Janitor | None = None
        self._post, self._paths = post, paths
        self._ears, self._report = ears, report
        self._changed = changed
        self.present = post is None or post.taken

    def employ(self, janitor: Janitor) -> None:
        """Watch over the janitor."""
        self.janitor = janitor
        self._ears.listen(janitor.fd, lambda _: self._replace(janitor), MESSAGE)
        self._become(present=True)

    def check(self) -> None:
        """Now and then: does the supervisor live, or can there be a janitor again?"""
        if self._post is not None:
            self._become(present=self._post.taken, why="the supervisor is gone")
        elif not self.present:
            self._employ_another()

    def dismiss(self) -> None:
        """The guard ends in good order."""
        if self.janitor is not None:
            self.janitor.dismiss()

    def _replace(self, dead: Janitor) -> None:
        self._ears.deafen(dead.fd)
        dead.bury()
        self.janitor = None
        self._employ_another()

    def _employ_another(self) -> None:
        try:
            janitor = spawn_janitor()
        except OSError as error:
            self._become(present=False, why=f"the janitor died, and there can be no other: {error.strerror}")
            return
        janitor.brief(*self._paths)  # those of the start, whatever was reloaded
        self.employ(janitor)
        self._report.alarm("the janitor died; a new one took its place", "supervisor")

    def _become(self, *, present: bool, why: str = "") -> None:
        """Only a change is worth a word; `why` there is none any more."""
        if present == self.present:
            return
        self.present = present
        self._changed()
        if not present:
            self._report.alarm(f"{why}. No line stands until there is one.", "supervisor")
