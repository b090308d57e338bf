"""Kubernetes, etcd and Helm, built from source by Go's module proxy: no container engine, no package repository.

Cached as `.cache/kubernetes/<hash of all inputs>/` below the repository's root. Measured on 2 cores: 5 minutes the
first time (Go's own cache empty), half a minute where only the linking is left. Helm and kube-score stand in modules of
their own, each cached in `.cache/tools/`: a new version of one of them builds nothing else anew.
"""

from __future__ import annotations

import functools
import re
import shutil
from pathlib import Path

from e2e.lab.cache import CACHE, built, digest, run
from e2e.lab.errors import LabError

TOOLS = Path(__file__).resolve().parents[1] / "tools"
#: A Go of this age or newer fetches the one that go.mod asks for.
OLDEST_GO = (1, 21)

KUBERNETES = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet", "kubectl")
ETCD = "go.etcd.io/etcd/server/v3"
#: The programs that stand alone, by the directory of their module in e2e/tools.
ALONE = {
    "helm": "helm.sh/helm/v4/cmd/helm",
    "helm3": "helm.sh/helm/v3/cmd/helm",
    "kube-score": "github.com/zegl/kube-score/cmd/kube-score",
}
#: No C library: the same files run here and in the node.
ENVIRONMENT = {"CGO_ENABLED": "0"}


def ensure(cache: Path = CACHE / "kubernetes") -> Path:
    """The directory with etcd, the control plane's programs, kubelet, kube-proxy and kubectl, built where missing."""
    return built(cache / _key(), _build)


def tool(name: str, cache: Path = CACHE / "tools") -> Path:
    """One of ALONE, as a file to run, built where missing."""
    module = TOOLS / name
    pinned = ((module / file).read_bytes() for file in ("go.mod", "go.sum"))
    key = digest(*pinned, ALONE[name], repr(ENVIRONMENT))
    return built(cache / f"{name}-{key}", functools.partial(_build_alone, name)) / name


def kubernetes_version() -> str:
    """The version that go.mod pins, as in "v1.35.4"."""
    found = re.search(r"^require k8s\.io/kubernetes (v\S+)", (TOOLS / "go.mod").read_text(), re.MULTILINE)
    if not found:
        raise LabError(f"{TOOLS / 'go.mod'} has no line `require k8s.io/kubernetes vX.Y.Z`; restore it.")
    return found[1]


def _key() -> str:
    pinned = ((TOOLS / name).read_bytes() for name in ("go.mod", "go.sum"))
    return digest(*pinned, _link_flags(), *KUBERNETES, ETCD, repr(ENVIRONMENT))


def _build(out: Path) -> None:
    _check_go()
    packages = (*(f"k8s.io/kubernetes/cmd/{name}" for name in KUBERNETES), ETCD)
    run("go", "build", "-ldflags", _link_flags(), "-o", f"{out}/", *packages, cwd=TOOLS, env=ENVIRONMENT)
    (out / "server").rename(out / "etcd")


def _build_alone(name: str, out: Path) -> None:
    _check_go()
    run("go", "build", "-ldflags", "-s -w", "-o", f"{out / name}", ALONE[name], cwd=TOOLS / name, env=ENVIRONMENT)


def _link_flags() -> str:
    version = kubernetes_version()
    major, minor = version.removeprefix("v").split(".")[:2]
    told = {"gitVersion": version, "gitMajor": major, "gitMinor": minor}
    # Without a version of its own kubelet calls itself v0.0.0-master. -s -w: no symbols, a third less to copy.
    return " ".join(("-s -w", *(f"-X k8s.io/component-base/version.{name}={told[name]}" for name in told)))


def _check_go() -> None:
    found = re.search(r"go(\d+)\.(\d+)", run("go", "env", "GOVERSION")) if shutil.which("go") else None
    if not found or (int(found[1]), int(found[2])) < OLDEST_GO:
        oldest = ".".join(map(str, OLDEST_GO))
        raise LabError(
            f"The lab builds Kubernetes with Go {oldest} or newer: run `make setup`, which says how to get it."
        )
