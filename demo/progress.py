"""Signs of life: a line for each thing done, and a clock for the one that is going on."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

#: Between two signs of life where nobody can see a clock run.
PLAIN_SECONDS = 20.0
CLOCK_SECONDS = 1.0


class Progress:
    """Says what is done and what is going on; `console` decides whether that can be a running clock."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._began = time.monotonic()
        self._doing = ""

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.monotonic() - self._began

    def say(self, words: str) -> None:
        """Something is done."""
        self._console.print(f"{self.seconds:5.0f} s  {words}")

    def doing(self, words: str) -> None:
        """Something else is going on from now on (within `alive`)."""
        self._doing = words
        if not self._console.is_terminal:
            self.say(f"{words} ...")

    @contextmanager
    def alive(self, words: str) -> Iterator[None]:
        """While something takes long."""
        self.doing(words)
        done = threading.Event()
        beat = self._run_clock if self._console.is_terminal else self._write_lines
        thread = threading.Thread(target=beat, args=(done,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def _run_clock(self, done: threading.Event) -> None:
        with self._console.status(self._doing) as status:
            while not done.wait(CLOCK_SECONDS):
                status.update(f"{self.seconds:.0f} s  {self._doing} ...")

    def _write_lines(self, done: threading.Event) -> None:
        while not done.wait(PLAIN_SECONDS):
            self.say("...")
