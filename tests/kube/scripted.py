"""A server that says on each connection what it was told to, byte for byte: what no real one does when asked."""

from __future__ import annotations

import socket
import threading
from types import TracebackType

DEADLINE_SECONDS = 30.0


def answer(body: bytes, status: str = "200 OK", **headers: str) -> bytes:
    """A whole answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join((*lines, "", "")).encode() + body


class Scripted:
    """Each item of `connections` is what is answered to the requests of one connection; after the last it is closed."""

    def __init__(self, *connections: list[bytes]) -> None:
        self._connections = connections
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(DEADLINE_SECONDS)
        self._thread = threading.Thread(target=self._serve)
        self._closed = threading.Semaphore(0)
        self.requests: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Scripted:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        for answers in self._connections:
            connection, _ = self._listener.accept()
            with connection, connection.makefile("rb") as reader:
                connection.settimeout(DEADLINE_SECONDS)
                for one in answers:
                    self.requests.append(_request(reader))
                    connection.sendall(one)
            self._closed.release()

    def wait_until_closed(self) -> None:
        """Returns when the next connection is."""
        assert self._closed.acquire(timeout=DEADLINE_SECONDS)


def _request(reader: socket.SocketIO) -> str:
    head = []
    while (line := reader.readline().decode().strip()) or not head:
        head.append(line)
    length = next((int(line.partition(":")[2]) for line in head if line.lower().startswith("content-length")), 0)
    return "\n".join((*head, reader.read(length).decode()))
