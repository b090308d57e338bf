"""That something is going on: on standard error, on terminals only, and gone when it is over."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


@contextmanager
def working(words: str) -> Iterator[None]:
    """Turns a wheel beside these words for as long as it is entered."""
    if not _watched():
        yield
        return
    from rich.console import Console

    with Console(stderr=True, markup=False, emoji=False, highlight=False).status(f"{words} ..."):
        yield


def counted(words: str, things: Iterable[T]) -> Iterator[T]:
    """The same things, counted aloud."""
    if not _watched():
        yield from things
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}: {task.completed}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield from progress.track(things, description=words, total=None)


def _watched() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()
