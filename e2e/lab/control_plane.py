"""A real Kubernetes control plane as local processes on loopback: etcd, API server, controller manager, scheduler.

    control_plane = ControlPlane(directory)
    control_plane.start()                                   # about 3 s; ready means that pods can be created
    control_plane.kubectl("get", "namespaces")
    control_plane.kubeconfig()                              # a file, of the administrator or of another user
    control_plane.service_account_token("default", "default", pod="web")
    control_plane.stop()

Any number of them may run at once: ports are chosen when the directory is new and kept in it, so that another process
opens the same control plane by naming its directory. Data lie there too and survive `stop`, not `remove`.
"""

from __future__ import annotations

import base64
import json
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec
from e2e.lab import binaries, ports, programs
from e2e.lab.cache import run
from e2e.lab.certificates import HOST_SEEN_BY_NODE, Certificates
from e2e.lab.errors import LabError
from e2e.lab.process import Process

ADMIN = "admin"
CONTROLLER_MANAGER = "system:kube-controller-manager"
SCHEDULER = "system:kube-scheduler"
PROXY = "system:kube-proxy"
#: Users by token, with their groups; the last three get their rights from the API server's own role bindings.
USERS: Mapping[str, Sequence[str]] = {ADMIN: ("system:masters",), CONTROLLER_MANAGER: (), SCHEDULER: (), PROXY: ()}

#: On a busy machine each start takes a few seconds.
READY_SECONDS = 60.0
SERVERS = ("etcd", "kube-apiserver")
POLL_SECONDS = 0.05


def node_user(node: str) -> str:
    """The user that kubelet on `node` is: what the Node authorizer and NodeRestriction know it by."""
    return f"system:node:{node}"


class ControlPlane:
    """One control plane in one directory. `users`: more users by token, each with its groups; `nodes`: kubelets."""

    def __init__(
        self,
        directory: Path,
        *,
        nodes: Sequence[str] = (),
        users: Mapping[str, Sequence[str]] | None = None,
        controller_manager: bool = True,
        scheduler: bool = True,
        detached: bool = False,
        api_server_options: Sequence[str] = (),
    ) -> None:
        self.directory = directory
        self.certificates = Certificates(directory / "certificates")
        self._users = {**USERS, **(users or {}), **{node_user(node): ("system:nodes",) for node in nodes}}
        self._options = tuple(api_server_options)
        controllers = ("kube-controller-manager",) * controller_manager + ("kube-scheduler",) * scheduler
        self._names = (*SERVERS, *controllers)
        self._detached = detached

    @property
    def url(self) -> str:
        """Where the API server answers on this machine."""
        return f"https://127.0.0.1:{self._ports().api_server}"

    def start(self) -> None:
        """Start what does not run; returns when a pod could be created. Raises LabError with the log that tells why."""
        self._prepare()
        # A controller manager ends where the API server is not healthy within 10 s: a busy machine takes longer.
        for names in (SERVERS, self._names):
            for name in names:
                self.start_process(name)
            self._wait_until_ready(names)

    def start_process(self, name: str) -> None:
        """Start one of them, as in "kube-apiserver", without waiting until it is ready."""
        self.process(name).start(binaries.ensure() / name, *self._command(name))

    def process(self, name: str) -> Process:
        """One of them by its program's name."""
        return Process(self.directory, name, self._detached)

    def stop(self) -> None:
        """End all of them and wait until they are gone; the data stay."""
        for name in reversed(self._names):
            self.process(name).stop()

    def remove(self) -> None:
        """Stop, and forget everything."""
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def token(self, user: str = ADMIN) -> str:
        """The static bearer token of a user; raises LabError for one that the control plane was not made with."""
        tokens = self._tokens()
        if user not in tokens:
            raise LabError(f"{self.directory} knows no user {user}: it was made with {', '.join(tokens)}.")
        return tokens[user]

    def kubeconfig(self, user: str = ADMIN) -> Path:
        """A kubeconfig file of this user for this machine."""
        file = self.directory / f"{user.replace(':', '-')}.kubeconfig"
        return _write_once(file, lambda: self._kubeconfig(user, self.url))

    def node_kubeconfig(self, user: str) -> str:
        """The text of one for a node of the lab, which reaches the API server at another address."""
        return self._kubeconfig(user, f"https://{HOST_SEEN_BY_NODE}:{self._ports().api_server}")

    def kubectl_command(self, user: str = ADMIN) -> tuple[str, ...]:
        """kubectl as this user, to be followed by what it shall do."""
        cache = self.directory / "kubectl-cache"  # else it knows what another server had at this address
        program = binaries.ensure() / "kubectl"
        return (str(program), "--kubeconfig", str(self.kubeconfig(user)), "--cache-dir", str(cache))

    def kubectl(self, *arguments: str, user: str = ADMIN, stdin: str | None = None) -> str:
        """What kubectl printed; raises LabError with its complaint."""
        return run(*self.kubectl_command(user), *arguments, stdin=None if stdin is None else stdin.encode())

    def service_account_token(self, namespace: str, name: str, *, pod: str | None = None, seconds: int = 3600) -> str:
        """A token of the TokenRequest API; bound to `pod` it carries that pod's and its node's name."""
        bound = ("--bound-object-kind", "Pod", "--bound-object-name", pod) if pod else ()
        options = ("--namespace", namespace, "--duration", f"{seconds}s", *bound)
        return self.kubectl("create", "token", name, *options).strip()

    def _prepare(self) -> None:
        binaries.ensure()
        self.directory.mkdir(parents=True, exist_ok=True)
        self.certificates.make()
        _write_once(self.directory / "ports.json", lambda: msgspec.json.encode(ports.choose()).decode())
        _write_once(self.directory / programs.TOKENS, lambda: "".join(_token_lines(self._users)))

    def _ports(self) -> ports.Ports:
        return msgspec.json.decode((self.directory / "ports.json").read_bytes(), type=ports.Ports)

    def _tokens(self) -> dict[str, str]:
        lines = (line.split(",") for line in (self.directory / programs.TOKENS).read_text().splitlines())
        return {user: token for token, user, *_ in lines}

    def _kubeconfig(self, user: str, server: str) -> str:
        authority = base64.b64encode(self.certificates.authority.read_bytes()).decode()
        cluster = {"server": server, "certificate-authority-data": authority}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "lab", "cluster": cluster}],
            "users": [{"name": user, "user": {"token": self.token(user)}}],
            "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": user}}],
            "current-context": "lab",
        }
        return json.dumps(config, indent=1)

    def _command(self, name: str) -> tuple[str, ...]:
        chosen = self._ports()
        match name:
            case "etcd":
                return programs.etcd(chosen)
            case "kube-apiserver":
                return (*programs.api_server(chosen, self.certificates), *self._options)
            case "kube-controller-manager":
                return programs.controller_manager(self.kubeconfig(CONTROLLER_MANAGER), self.certificates)
            case "kube-scheduler":
                return programs.scheduler(self.kubeconfig(SCHEDULER))
        raise LabError(f"A control plane has no {name}: one of {', '.join(self._names)}.")

    def _wait_until_ready(self, names: Sequence[str]) -> None:
        # The first account of the first namespace comes last: pods need one, and the controller manager makes it.
        wanted = ("serviceaccount", "default") if "kube-controller-manager" in names else ("namespace", "default")
        deadline = time.monotonic() + READY_SECONDS
        while not self._answers(*wanted):
            for name in names:
                self._check(name, overdue=time.monotonic() > deadline)

    def _answers(self, *wanted: str) -> bool:
        try:
            return self.kubectl("get", "--raw", "/readyz") == "ok" and bool(self.kubectl("get", *wanted))
        except LabError:
            return False

    def _check(self, name: str, *, overdue: bool) -> None:
        process = self.process(name)
        problem = "ended" if process.ended_within(POLL_SECONDS) else "is not ready" if overdue else ""
        if problem:
            raise LabError(f"{name} {problem}; {process.log} ends with:\n{process.tail()}")


def _write_once(file: Path, content: Callable[[], str]) -> Path:
    """The file, whole whenever somebody reads it."""
    if not file.exists():
        with tempfile.NamedTemporaryFile("w", dir=file.parent, delete=False) as written:
            written.write(content())
        Path(written.name).rename(file)
    return file


def _token_lines(users: Mapping[str, Sequence[str]]) -> Iterator[str]:
    for user, groups in users.items():
        yield f'{secrets.token_hex(16)},{user},{user},"{",".join(groups)}"\n'
