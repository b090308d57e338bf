"""What carries requests to an API server: wire.py for what runs in clusters, the kubectl plugin's own for people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from memguard.kube.answers import Answer, Request


class Lines(Protocol):
    """The lines of an answer that does not end by itself."""

    def __iter__(self) -> Iterator[bytes]:
        """Line by line. Raises UnreachableError when it breaks off."""
        ...

    def close(self) -> None:
        """Close the connection."""
        ...

    def cut(self) -> None:
        """End it, from any thread: whoever waits for a line gets none."""
        ...


class Transport(Protocol):
    """Sends requests, from any thread. Both raise KubeError for an answer of 300 and above, and for none."""

    def send(self, request: Request) -> Answer:
        """The whole answer."""
        ...

    def stream(self, request: Request, quiet_seconds: float) -> Lines:
        """An open answer; silence of `quiet_seconds` in it is an error."""
        ...

    def close(self) -> None:
        """Close what is idle."""
        ...
