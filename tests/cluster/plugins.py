"""`kubectl memguard` as people run it: through a kubeconfig, as an administrator or as somebody else."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from e2e.lab.control_plane import ControlPlane
from tests.cluster.kinds import ROOT, SYSTEM_NAMESPACE
from tests.cluster.proxy import DEADLINE_SECONDS

from memguard.__main__ import main


@dataclass(frozen=True)
class Ran:
    """What a command line did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def plugin_program(directory: Path) -> Path:
    """As kubectl finds it: a program of that name on the path."""
    program = directory / "kubectl-memguard"
    program.write_text(
        f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(ROOT / 'operator')!r})\n"
        "from memguard.__main__ import main\nsys.exit(main())\n"
    )
    program.chmod(0o755)
    return program


class Plugin:
    """Runs it in this process, or as kubectl does."""

    def __init__(self, kubeconfig: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.kubeconfig, self._capsys = kubeconfig, capsys

    def __call__(self, command: str, *arguments: object, kubeconfig: Path | None = None) -> Ran:
        given = [str(argument) for argument in arguments]
        code = main(["kubectl", command, *given, "--kubeconfig", str(kubeconfig or self.kubeconfig)])
        out, err = self._capsys.readouterr()
        return Ran(code, out, err)

    def json(self, command: str, *arguments: object) -> Any:
        """What it prints for programs; it has to succeed."""
        ran = self(command, *arguments, "-o", "json")
        assert ran.code == 0, ran.err
        return ran.json

    def through_kubectl(
        self, plane: ControlPlane, directory: Path, *arguments: str
    ) -> subprocess.CompletedProcess[str]:
        """As kubectl finds it: a program of that name on the path."""
        path = f"{plugin_program(directory).parent}:{os.environ['PATH']}"
        environment = os.environ | {"PATH": path, "KUBECONFIG": str(self.kubeconfig)}
        kubectl = plane.kubectl_command()[0]
        return subprocess.run(
            [kubectl, "memguard", *arguments], env=environment, capture_output=True, text=True, check=False, timeout=60
        )


class Terminal:
    """A program in a terminal of its own, and what it has shown there so far."""

    def __init__(self, command: list[str], columns: int = 160) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "operator"), "TERM": "xterm-256color"}
        self._process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
        os.close(theirs)
        self.shown = ""

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._ours)

    def wait_for(self, words: str) -> None:
        """Until it shows them; all before is forgotten then."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while words not in self.shown:
            assert time.monotonic() < deadline, self.shown
            ready, _, _ = select.select([self._ours], [], [], 1.0)
            if ready:
                self.shown += os.read(self._ours, 1 << 16).decode(errors="replace")
        self.shown = ""

    def interrupt(self) -> None:
        """Ctrl-C."""
        self._process.send_signal(signal.SIGINT)

    def wait(self) -> int:
        """Its exit code; a terminal that nobody reads would hold it up."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while self._process.poll() is None:
            assert time.monotonic() < deadline, self.shown
            if select.select([self._ours], [], [], 0.1)[0]:
                with suppress(OSError):
                    self.shown += os.read(self._ours, 1 << 16).decode(errors="replace")
        return self._process.returncode


def kubeconfig(
    path: Path, server: str, *, authority: str = "", user: dict[str, Any] | None = None, namespace: str = ""
) -> Path:
    """One with a single context, `lab`."""
    cluster = {"server": server} | ({"certificate-authority": authority} if authority else {})
    context = {"cluster": "lab", "user": "me"} | ({"namespace": namespace} if namespace else {})
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "lab", "cluster": cluster}],
        "users": [{"name": "me", "user": user or {}}],
        "contexts": [{"name": "lab", "context": context}],
        "current-context": "lab",
    }
    path.write_text(json.dumps(content))
    return path


@contextmanager
def somebody(plane: ControlPlane, directory: Path, *rights: tuple[str, str]) -> Iterator[Path]:
    """The kubeconfig of an account with these rights (resources, verbs), and no others."""
    account = "on-call"
    plane.kubectl("create", "serviceaccount", account, "-n", SYSTEM_NAMESPACE)
    names = [f"{account}-{number}" for number in range(len(rights))]
    for name, (resources, verbs) in zip(names, rights, strict=True):
        plane.kubectl("create", "clusterrole", name, f"--verb={verbs}", f"--resource={resources}")
        subject = f"--serviceaccount={SYSTEM_NAMESPACE}:{account}"
        plane.kubectl("create", "clusterrolebinding", name, f"--clusterrole={name}", subject)
    token = {"token": plane.service_account_token(SYSTEM_NAMESPACE, account)}
    try:
        yield kubeconfig(directory / account, plane.url, authority=str(plane.certificates.authority), user=token)
    finally:
        plane.kubectl("delete", "clusterrolebinding,clusterrole", *names)
        plane.kubectl("delete", "serviceaccount", account, "-n", SYSTEM_NAMESPACE)
