"""Ways to a cluster, and ways to fail: each is one line that says what to do."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from e2e.lab.control_plane import ADMIN, ControlPlane
from tests.cluster.plugins import Plugin, Ran, kubeconfig

from memguard.cli.cluster.login import Access, log_in
from memguard.kube.resources import Resource

NOBODY = "nobody"


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A cluster without memguard, and somebody who may do nothing in it."""
    plane = ControlPlane(tmp_path_factory.mktemp("bare"), users={NOBODY: ()}, controller_manager=False, scheduler=False)
    try:
        plane.start()
        yield plane
    finally:
        plane.stop()


@pytest.fixture
def kubectl(bare: ControlPlane, capsys: pytest.CaptureFixture[str]) -> Plugin:
    return Plugin(bare.kubeconfig(), capsys)


def one_line(ran: Ran, *words: str, code: int = 1) -> None:
    """It failed in one line that has these words."""
    assert (ran.code, ran.out) == (code, "")
    assert ran.err.startswith("memguard: ")
    assert ran.err.count("\n") == 1
    for some in words:
        assert some in ran.err, ran.err


def authority(plane: ControlPlane) -> str:
    return str(plane.certificates.authority)


def test_a_cluster_without_memguard(kubectl: Plugin) -> None:
    for command in ("top", "history", "scorecard", "fairness"):
        one_line(kubectl(command, *(["--once"] if command == "top" else [])), "Install memguard", "memguard.io")
    one_line(kubectl("explain", "pod/x"), "Install memguard")
    one_line(kubectl("pause", "--all"), "Install memguard")
    unfit = kubectl("doctor", "-o", "json")
    checks = {check["name"]: check for check in unfit.json["checks"]}
    assert unfit.code == 1
    assert "memoryguardpolicies.memguard.io" in checks["kinds"]["finding"]
    assert checks["policies"]["status"] == "warn"


def test_somebody_who_may_not_look_is_told_which_right_is_missing(kubectl: Plugin, bare: ControlPlane) -> None:
    ran = kubectl("top", "--once", kubeconfig=bare.kubeconfig(NOBODY))
    one_line(ran, 'User "nobody" cannot list resource "nodememories"', "docs/cli.md")
    doctor = kubectl("doctor", kubeconfig=bare.kubeconfig(NOBODY))
    assert "cannot list resource" in doctor.out


def test_a_token_that_is_not_accepted(kubectl: Plugin, bare: ControlPlane, tmp_path: Path) -> None:
    file = kubeconfig(tmp_path / "k", bare.url, authority=authority(bare), user={"token": "wrong"})
    one_line(kubectl("history", kubeconfig=file), "does not know you")


def test_a_server_that_is_not_there(kubectl: Plugin, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        ran = kubectl("top", "--once", kubeconfig=kubeconfig(tmp_path / "k", url))
        one_line(ran, "Connection refused", url)


def test_a_server_whose_certificate_is_not_trusted(kubectl: Plugin, bare: ControlPlane, tmp_path: Path) -> None:
    ran = kubectl("top", "--once", kubeconfig=kubeconfig(tmp_path / "k", bare.url))
    one_line(ran, "certificate")


def test_no_kubeconfig(kubectl: Plugin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one_line(kubectl("top", "--once", kubeconfig=tmp_path / "none"), "no such file")
    (tmp_path / "broken").write_text("{")
    one_line(kubectl("top", "--once", kubeconfig=tmp_path / "broken"), "kubectl config view")
    (tmp_path / "empty").write_text("")
    one_line(kubectl("top", "--once", kubeconfig=tmp_path / "empty"), "kubectl config view")
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    from memguard.__main__ import main

    assert main(["kubectl", "top", "--once"]) == 1


def test_a_context_that_is_not_there(kubectl: Plugin, bare: ControlPlane) -> None:
    ran = kubectl("top", "--once", "--context", "lap")
    one_line(ran, "there is no context 'lap'", "for example")


@pytest.mark.row("K8")
def test_a_program_logs_in(kubectl: Plugin, bare: ControlPlane, tmp_path: Path) -> None:
    """As clouds do it: their program prints a token."""
    program = tmp_path / "login"
    credential = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": {"token": bare.token(ADMIN)},
    }
    program.write_text(f"#!/bin/sh\necho '{json.dumps(credential)}'\n")
    program.chmod(0o755)
    run = {"apiVersion": credential["apiVersion"], "command": str(program), "interactiveMode": "Never"}
    file = kubeconfig(tmp_path / "k", bare.url, authority=authority(bare), user={"exec": run})
    one_line(kubectl("top", "--once", kubeconfig=file), "Install memguard")  # it is known, and asked
    program.write_text("#!/bin/sh\necho no ticket >&2\nexit 3\n")
    one_line(kubectl("top", "--once", kubeconfig=file), "nobody could be logged in", "no ticket")


@pytest.mark.row("K8")
def test_whoever_acts_as_somebody_else_has_only_their_rights(
    kubectl: Plugin, bare: ControlPlane, tmp_path: Path
) -> None:
    """An administrator who set `as` in the kubeconfig, to be careful, is nobody but that."""
    admin = json.loads(bare.kubeconfig().read_text())["users"][0]["user"]

    def file(**more: object) -> Path:
        return kubeconfig(tmp_path / "k", bare.url, authority=authority(bare), user=admin | more)

    as_nobody = file(**{"as": NOBODY})
    for command in (("top", "--once"), ("pause", "--all")):
        one_line(kubectl(*command, kubeconfig=as_nobody), 'User "nobody" cannot')
    one_line(kubectl("top", "--once", "--as", "other", kubeconfig=as_nobody), 'User "other" cannot')
    one_line(kubectl("top", "--once", "--as", NOBODY, kubeconfig=file()), 'User "nobody" cannot')
    masters = file(**{"as": NOBODY, "as-groups": ["system:masters"]})
    one_line(kubectl("top", "--once", kubeconfig=masters), "Install memguard")  # may look, and there is nothing
    one_line(kubectl("top", "--once", "--as-group", "a", "--as-group", "b", kubeconfig=masters), 'User "nobody" cannot')
    one_line(kubectl("top", "--once", "--as-group", "a", kubeconfig=file()), "with a user only")
    one_line(kubectl("top", "--once", "--as", "a\nb", kubeconfig=file()), "control characters", code=2)
    one_line(kubectl("top", "--once", kubeconfig=file(**{"as": 7})), "$.as")
    everything = {"as": "jürgen", "as-uid": "u-1", "as-groups": ["x", "y"], "as-user-extra": {"a/b": ["1", "2"]}}
    found = who(file(**everything))
    assert (found["username"], found["uid"], found["extra"]) == ("jürgen", "u-1", {"a/b": ["1", "2"]})
    assert {"x", "y"} < set(found["groups"])


def who(file: Path) -> dict[str, Any]:
    """Who the API server says that we are."""

    class Review(msgspec.Struct):
        status: dict[str, Any]

    group = "authentication.k8s.io"
    kind = Resource(
        group=group, version="v1", plural="selfsubjectreviews", kind="SelfSubjectReview", type=Review, namespaced=False
    )
    asked = {"apiVersion": f"{group}/v1", "kind": kind.kind}
    found: dict[str, Any] = log_in(Access(str(file))).client.create(kind, asked).status["userInfo"]
    return found


def test_a_pod_of_the_cluster_needs_no_kubeconfig(
    kubectl: Plugin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the mounted token that every pod has, it says that."""
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    from memguard.__main__ import main

    assert main(["kubectl", "top", "--once"]) == 2  # a ConfigError: there is no token here
