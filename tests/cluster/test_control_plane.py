"""The control plane that the tests of this directory rest on."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from e2e.lab.control_plane import ControlPlane, node_user
from e2e.lab.errors import LabError
from e2e.lab.process import Process

POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "bound"},
    "spec": {"nodeName": "node-a", "containers": [{"name": "main", "image": "pause"}]},
}
NODE = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-a"}}


def test_the_administrator_sees_the_namespaces(control_plane: ControlPlane) -> None:
    names = control_plane.kubectl("get", "namespaces", "-o", "name").split()
    assert {"namespace/default", "namespace/kube-system"} <= set(names)


@pytest.mark.parametrize("user", ["admin", node_user("node-a")])
def test_a_token_makes_its_user(control_plane: ControlPlane, user: str) -> None:
    seen = json.loads(control_plane.kubectl("auth", "whoami", "-o", "json", user=user))
    assert seen["status"]["userInfo"]["username"] == user


def test_a_node_may_only_what_nodes_may(control_plane: ControlPlane) -> None:
    with pytest.raises(LabError, match="forbidden"):
        control_plane.kubectl("get", "secrets", "--all-namespaces", user=node_user("node-a"))


def test_a_bound_token_names_pod_and_node(control_plane: ControlPlane) -> None:
    for thing in (NODE, POD):
        control_plane.kubectl("create", "-f", "-", stdin=json.dumps(thing))
    claims = _claims(control_plane.service_account_token("default", "default", pod="bound"))
    assert claims["kubernetes.io"]["pod"]["name"] == "bound"
    assert claims["kubernetes.io"]["node"]["name"] == "node-a"
    control_plane.kubectl("delete", "pod/bound", "node/node-a", "--force")


def test_two_at_once_share_nothing_and_data_outlive_a_stop(control_plane: ControlPlane, tmp_path: Path) -> None:
    other = ControlPlane(tmp_path / "other", controller_manager=False, scheduler=False)
    try:
        other.start()
        other.kubectl("create", "namespace", "theirs")
        assert "theirs" not in control_plane.kubectl("get", "namespaces")
        other.stop()
        assert not other.process("kube-apiserver").running
        other.start()
        assert "theirs" in other.kubectl("get", "namespaces")
    finally:
        other.remove()
    assert not other.directory.exists()


def test_a_process_that_cannot_start_is_named_with_its_log(tmp_path: Path) -> None:
    broken = ControlPlane(tmp_path, api_server_options=("--no-such-option",))
    try:
        with pytest.raises(LabError, match=r"kube-apiserver ended(.|\n)*no-such-option"):
            broken.start()
    finally:
        broken.stop()


def test_a_pid_that_another_process_got_is_left_alone(tmp_path: Path) -> None:
    ours, theirs = Process(tmp_path, "ours"), Process(tmp_path, "theirs")
    try:
        theirs.start("sleep", "600")
        pid = (tmp_path / "theirs.pid").read_text().split()[0]
        (tmp_path / "ours.pid").write_text(f"{pid} 1")
        assert not ours.running
        ours.stop()
        assert theirs.running
    finally:
        theirs.stop()
    assert not theirs.running


def _claims(token: str) -> dict[str, Any]:
    body = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return claims
