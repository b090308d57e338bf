"""`kubectl memguard doctor --node`: what the node's guard found, from its report."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from e2e.deployment import Deployment
from tests.cluster.plugins import plugin_program


def test_doctor_reports_a_node_of_the_cluster(memguard: Deployment, tmp_path: Path) -> None:
    kubectl = memguard.cluster.kubectl_command[0]
    kubeconfig = str(memguard.cluster.kubeconfig)
    path = f"{plugin_program(tmp_path).parent}:{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "KUBECONFIG": kubeconfig}
    for node in memguard.cluster.nodes:
        command = [kubectl, "memguard", "doctor", "--node", node.name, "-o", "json"]
        ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        told = json.loads(ran.stdout)
        assert (ran.returncode, told["fit"]) == (0, True), ran.stdout
        assert {check["name"] for check in told["checks"]} >= {"report", "Ready", "Fit", "cgroup-write", "host-pid"}
