"""`kubectl memguard doctor --node`: what the node's guard found, from its report."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from e2e.deployment import Deployment


def test_doctor_reports_a_node_of_the_cluster(memguard: Deployment, tmp_path: Path) -> None:
    """As kubectl finds it: a program of that name on the path."""
    plugin = tmp_path / "kubectl-memguard"
    plugin.write_text(f'#!/bin/sh\nexec {sys.executable} -m memguard kubectl "$@"\n')
    plugin.chmod(0o755)
    kubectl = memguard.cluster.kubectl_command[0]
    kubeconfig = str(memguard.cluster.kubeconfig)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "KUBECONFIG": kubeconfig}
    for node in memguard.cluster.nodes:
        command = [kubectl, "memguard", "doctor", "--node", node.name, "-o", "json"]
        ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        told = json.loads(ran.stdout)
        assert (ran.returncode, told["fit"]) == (0, True), ran.stdout
        assert {check["name"] for check in told["checks"]} >= {"report", "Ready", "Fit", "cgroup-write", "host-pid"}
