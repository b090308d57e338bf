"""Commands on a node as root, through QEMU's guest agent: no network, no keys, and it answers under memory pressure.

The protocol is JSON lines on a unix socket (QEMU's documentation, "QEMU Guest Agent Protocol Reference").
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import secrets
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e2e.lab.errors import LabError
from tests.machine.image import locked

#: The agent tells only who asks, and each question costs the emulated node 10 ms: ask a long script ever less often.
FIRST_POLL_SECONDS, LAST_POLL_SECONDS = 0.02, 0.5
#: Asks the agent to forget what an earlier conversation left half said, and stands before its answer.
DELIMITER = b"\xff"


@dataclass(frozen=True)
class Done:
    """How a script ended."""

    exit_code: int
    output: str
    errors: str


@dataclass(frozen=True)
class GuestAgent:
    """The agent of one node, by the socket that QEMU serves; it is waited for `patience_s` at each question."""

    path: Path
    patience_s: float = 60.0

    def run(self, script: str, timeout_s: float) -> Done:
        """Run a shell script and wait for its end; raises LabError where it does not come in time.

        What the script leaves behind must have its output redirected, else the script has not ended.
        """
        deadline, pause = time.monotonic() + timeout_s, FIRST_POLL_SECONDS
        arguments = {"path": "/bin/sh", "arg": ["-c", script], "capture-output": True}
        pid = self._call("guest-exec", arguments)["pid"]
        while not (status := self._call("guest-exec-status", {"pid": pid}))["exited"]:
            if time.monotonic() > deadline:
                raise LabError(f"This still runs on the node after {timeout_s:.0f} s: {script}")
            time.sleep(pause)
            pause = min(2 * pause, LAST_POLL_SECONDS)
        # A shell that a signal ended has no exit code; a shell would call it this.
        exit_code = status.get("exitcode", 128 + status.get("signal", 0))
        return Done(exit_code, _decoded(status.get("out-data", "")), _decoded(status.get("err-data", "")))

    def _call(self, command: str, arguments: dict[str, Any]) -> dict[str, Any]:
        with self._line() as line:
            _send(line, command, arguments)
            answer: dict[str, Any] = json.loads(line.readline())
        if "error" in answer:
            raise LabError(f"{self.path}: {command} failed: {answer['error']}")
        result: dict[str, Any] = answer["return"]
        return result

    @contextlib.contextmanager
    def _line(self) -> Iterator[io.BufferedRWPair]:
        """One conversation; others may talk between two of them, and wait here: QEMU's socket has room for one more."""
        try:
            with (
                locked(self.path.with_suffix(".lock")),
                _connected(self.path, self.patience_s) as connection,
                connection.makefile("rwb") as line,
            ):
                _synchronise(line)
                yield line
        except (OSError, ValueError) as error:
            raise LabError(f"The guest agent at {self.path} does not answer: {error}") from error


@contextlib.contextmanager
def _connected(path: Path, seconds: float) -> Iterator[socket.socket]:
    # A unix socket's path has at most 107 bytes, a checkout's may have more.
    directory = os.open(path.parent, os.O_PATH)
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(seconds)
            connection.connect(f"/proc/self/fd/{directory}/{path.name}")
            yield connection
    finally:
        os.close(directory)


def _synchronise(line: io.BufferedRWPair) -> None:
    token = secrets.randbits(31)
    line.write(DELIMITER)
    _send(line, "guest-sync-delimited", {"id": token})
    while token != _answer_after_delimiter(line.readline()):
        pass


def _answer_after_delimiter(answer: bytes) -> int:
    if not answer:
        raise ConnectionResetError("hung up")
    said = answer.rpartition(DELIMITER)
    return int(json.loads(said[2])["return"]) if said[1] else -1


def _send(line: io.BufferedRWPair, command: str, arguments: dict[str, Any]) -> None:
    line.write(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
    line.flush()


def _decoded(data: str) -> str:
    return base64.b64decode(data).decode(errors="replace")
