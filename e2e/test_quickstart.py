"""docs/quickstart.md as a new user follows it: every command in its order, from a clean copy, on real nodes.

The page is the test: its console blocks are run as they stand. Only where the reader has to put something of their own
in does the test do that, too: images where REGISTRY says, and the three programs on the PATH.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e import images, report
from e2e.cluster import Cluster
from e2e.deployment import Deployment
from e2e.helm import NAMESPACE, RELEASE, Helm
from e2e.lab import binaries
from e2e.lab.archives import LOADS
from e2e.workloads import kernel_oom_kills, lines
from tests.cluster.plugins import plugin_program
from tests.docs.documents import ROOT, commands

from memguard import __version__

PAGE = ROOT / "docs" / "quickstart.md"
COMMANDS = commands(PAGE)
#: Under emulation a pod takes its time.
PATIENCE_SECONDS = 900
#: What the reader's own registry is called on the page.
REGISTRY = "registry.example.com/tools"
BUSYBOX = "docker.io/library/busybox:1.37"
#: Of a command's output, by how the command begins: what the page promises.
PROMISED = {
    "kubectl get nodememories": ("Observe", "node-a", "node-b"),
    "kubectl memguard top": ("node-a", "node-b"),
    "kubectl --namespace memguard-try get memoryguarddecisions": ("kill", "Enforce", "leak"),
    "kubectl memguard history": ("leak", "kill"),
    "kubectl memguard explain": ("memguard-try/leak/app", "memory"),
    "kubectl memguard scorecard": ("1 miss, nothing foreseen",),
}


class Reader:
    """Somebody who types: each command in one shell's environment, in a copy of the repository."""

    def __init__(self, home: Path, kubeconfig: Path) -> None:
        self._home = home
        self._state = home.parent / "environment"
        self._environment = os.environ | {
            "KUBECONFIG": str(kubeconfig),
            "PATH": f"{home.parent / 'bin'}:{os.environ['PATH']}",
            "NO_COLOR": "1",
        }

    def types(self, command: str) -> str:
        """What it printed; what is assigned or exported stays."""
        remembered = f"set -a; [ ! -e {self._state} ] || . {self._state}"
        script = f"{remembered}; {command}\nstatus=$?; export -p > {self._state}; exit $status"
        ran = subprocess.run(
            ["bash", "-c", script],
            cwd=self._home,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_SECONDS,
        )
        assert ran.returncode == 0, f"$ {command}\n{ran.stdout}\n{ran.stderr}"
        return ran.stdout + ran.stderr


@pytest.fixture(name="reader")
def _reader(memguard: Deployment, tmp_path: Path) -> Iterator[Reader]:
    """With the programs, the images where the page says, and no memguard in the cluster; it is there again after."""
    cluster = memguard.cluster
    home, programs = tmp_path / "memguard", tmp_path / "bin"
    _copy(home)
    programs.mkdir()
    (programs / "helm").symlink_to(binaries.tool("helm"))
    (programs / "kubectl").symlink_to(binaries.ensure() / "kubectl")
    plugin_program(programs)
    _rename_images(cluster)
    _empty(cluster)
    yield Reader(home, cluster.kubeconfig)
    _empty(cluster)
    memguard.install()


def _copy(home: Path) -> None:
    """The sources, and nothing that was built."""
    built = shutil.ignore_patterns(".*cache", ".venv", ".git", "build", "dist", "__pycache__")
    shutil.copytree(ROOT, home, ignore=built)


def _rename_images(cluster: Cluster) -> None:
    """The nodes have the images already; they get the names that the page uses."""
    named = {f"{REGISTRY}/memguard-{target}:{__version__}": images.reference(target) for target in images.TARGETS}
    for node in cluster.nodes:
        for name, known in (named | {BUSYBOX: LOADS}).items():
            node.run(f"ctr -n k8s.io images tag --force {known} {name}")


def _empty(cluster: Cluster) -> None:
    """No memguard, and no namespace of the page."""
    Helm(cluster.kubeconfig).run("uninstall", RELEASE, "--ignore-not-found", "--wait", "--timeout=10m")
    gone = ("--ignore-not-found", "--timeout=600s")
    cluster.kubectl("delete", "namespace", "memguard-try", NAMESPACE, *gone)
    cluster.kubectl("delete", "crd", "-l", "app.kubernetes.io/name=memguard", *gone)


@pytest.mark.row("K5", "K8", "K9")
def test_the_quick_start_is_followed_to_its_end(cluster: Cluster, reader: Reader) -> None:
    kills = {node.name: kernel_oom_kills(cluster, node.name) for node in cluster.nodes}
    reasons, took = [], {}
    for command in COMMANDS:
        began = time.monotonic()
        said = reader.types(command)
        took[command] = round(time.monotonic() - began, 1)
        for beginning, words in PROMISED.items():
            if command.startswith(beginning) and "jsonpath" not in command:
                assert [word for word in words if word not in said] == [], f"$ {command}\n{said}"
        if "lastState.terminated.reason" in command:
            reasons.append(said.strip())
        if command.startswith("kubectl memguard report"):
            assert "<!doctype html>" in reader.types("head -c 200 incident.html").lower()
    report.record("quick start seconds", {"all": round(sum(took.values()), 1)} | took)
    assert reasons == ["OOMKilled", "Error"], "the kernel ended the first leak, memguard the second"
    assert sum(kernel_oom_kills(cluster, name) - before for name, before in kills.items()) >= 1
    _nothing_is_left(cluster)


def _nothing_is_left(cluster: Cluster) -> None:
    assert "memguard" not in cluster.kubectl(
        "get", "crd,clusterrole,clusterrolebinding,validatingadmissionpolicy", "-o", "name"
    )
    assert "memguard" not in cluster.kubectl("get", "namespaces", "-o", "name")
    assert "memguard" not in cluster.kubectl("get", "nodes", "-o", "jsonpath={.items[*].spec.taints}")
    for node in cluster.nodes:
        assert node.run(f"{lines(cluster, node.name)} || true").strip() == ""


def test_the_page_says_where_the_images_are() -> None:
    assert COMMANDS[0] == f"export REGISTRY={REGISTRY}"
