"""Every form of a container's path that kubelet and the runtimes make."""

from __future__ import annotations

from pathlib import Path

import pytest

from memguard.kernel.paths import (
    ContainerPath,
    find_kubepods,
    holds_containers,
    is_boundary,
    is_kubepods,
    is_pod,
    parents_of_containers,
    parse_container_path,
    walk_containers,
    walk_pods,
)

CID = "0123456789abcdef" * 4
OTHER = "fedcba9876543210" * 4
UID = "3f0a1c52-7a9b-4c1d-8e2f-0123456789ab"
SD_UID = UID.replace("-", "_")
STATIC = "8a3f0a1c527a9b4c1d8e2f0123456789"
KIND = "kubelet.slice/kubelet-kubepods.slice"

FORMS = {
    "systemd burstable": (
        f"kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{SD_UID}.slice/cri-containerd-{CID}.scope",
        ("cri-containerd", UID, "Burstable"),
    ),
    "systemd besteffort crio": (
        f"kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{SD_UID}.slice/crio-{CID}.scope",
        ("crio", UID, "BestEffort"),
    ),
    "systemd guaranteed docker": (
        f"kubepods.slice/kubepods-pod{SD_UID}.slice/docker-{CID}.scope",
        ("docker", UID, "Guaranteed"),
    ),
    "systemd static pod": (
        f"kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{STATIC}.slice/cri-containerd-{CID}.scope",
        ("cri-containerd", STATIC, "Burstable"),
    ),
    "kind": (
        f"{KIND}/kubelet-kubepods-burstable.slice/kubelet-kubepods-burstable-pod{SD_UID}.slice/cri-containerd-{CID}.scope",
        ("cri-containerd", UID, "Burstable"),
    ),
    "kind guaranteed": (
        f"{KIND}/kubelet-kubepods-pod{SD_UID}.slice/cri-containerd-{CID}.scope",
        ("cri-containerd", UID, "Guaranteed"),
    ),
    "deeper cgroup root": (
        f"a.slice/a-b.slice/a-b-kubepods.slice/a-b-kubepods-pod{SD_UID}.slice/crio-{CID}.scope",
        ("crio", UID, "Guaranteed"),
    ),
    "cgroupfs burstable": (f"kubepods/burstable/pod{UID}/{CID}", (None, UID, "Burstable")),
    "cgroupfs besteffort": (f"kubepods/besteffort/pod{UID}/{CID}", (None, UID, "BestEffort")),
    "cgroupfs guaranteed": (f"kubepods/pod{UID}/{CID}", (None, UID, "Guaranteed")),
    "cgroupfs static pod": (f"kubepods/burstable/pod{STATIC}/{CID}", (None, STATIC, "Burstable")),
    "cgroupfs crio": (f"kubepods/burstable/pod{UID}/crio-{CID}", ("crio", UID, "Burstable")),
    "cgroupfs below a cgroup root": (f"kubelet/kubepods/burstable/pod{UID}/{CID}", (None, UID, "Burstable")),
    "colons": (
        f"system.slice/containerd.service/kubepods-burstable-pod{SD_UID}.slice:cri-containerd:{CID}",
        ("cri-containerd", UID, "Burstable"),
    ),
    "colons at the top": (f"kubepods-pod{SD_UID}.slice:cri-containerd:{CID}", ("cri-containerd", UID, "Guaranteed")),
    "docker without kubelet, systemd": (f"system.slice/docker-{CID}.scope", ("docker", None, None)),
    "docker without kubelet, cgroupfs": (f"docker/{CID}", ("docker", None, None)),
    "podman": (f"machine.slice/libpod-{CID}.scope", ("libpod", None, None)),
}

NOT_CONTAINERS = {
    "root": "",
    "kubepods": "kubepods.slice",
    "qos": "kubepods.slice/kubepods-burstable.slice",
    "pod": f"kubepods.slice/kubepods-pod{SD_UID}.slice",
    "conmon": f"kubepods.slice/kubepods-pod{SD_UID}.slice/crio-conmon-{CID}.scope",
    "crun's child": f"kubepods.slice/kubepods-pod{SD_UID}.slice/crio-{CID}.scope/container",
    "systemd in a pod": f"kubepods/burstable/pod{UID}/{CID}/system.slice/nginx.service",
    "a container in a container": f"kubepods/pod{UID}/{CID}/docker/{OTHER}",
    "kind in a pod": f"kubepods/pod{UID}/{CID}/{KIND}/kubelet-kubepods-pod{SD_UID}.slice/cri-containerd-{OTHER}.scope",
    "service": "system.slice/sshd.service",
    "bare hex elsewhere": f"buildkit/{CID}",
    "short id": f"kubepods/pod{UID}/{CID[:63]}",
    "upper case": f"kubepods/pod{UID}/{CID.upper()[:63]}A",
    "pod outside kubepods": f"podpods/pod{UID}/{CID}",
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_understood(form: str) -> None:
    path, (runtime, uid, qos) = FORMS[form]
    pod_path = None if uid is None or ":" in path else path.rpartition("/")[0]
    expected = ContainerPath(path, CID, runtime, uid, qos, pod_path)
    assert parse_container_path(path) == expected
    assert parse_container_path(f"/{path}/") == expected
    assert parse_container_path(f"{path}/nested") is None
    assert pod_path is None or is_pod(pod_path)
    assert not is_boundary(path)


@pytest.mark.parametrize("name", NOT_CONTAINERS)
def test_what_is_no_container(name: str) -> None:
    assert parse_container_path(NOT_CONTAINERS[name]) is None


@pytest.mark.parametrize(
    "path",
    ["", "kubepods", "kubepods.slice", KIND, "kubepods/burstable", f"kubepods/pod{UID}", f"kubepods/burstable/pod{UID}",
     f"kubepods.slice/kubepods-pod{SD_UID}.slice", "system.slice", "user.slice/user-1000.slice", "init.scope"],
)  # fmt: skip
def test_boundaries_hold_containers_and_are_none(path: str) -> None:
    assert is_boundary(path)
    assert parse_container_path(path) is None


def test_which_boundaries_belong_to_kubelet() -> None:
    assert is_kubepods("kubepods")
    assert is_kubepods(KIND)
    assert not is_kubepods("kubepods.slice/kubepods-burstable.slice")
    assert holds_containers("kubepods.slice/kubepods-besteffort.slice")
    assert holds_containers("kubepods/burstable")
    assert holds_containers(f"kubepods/burstable/pod{UID}")
    assert not holds_containers("system.slice")
    assert not holds_containers("kubepods/other")


@pytest.fixture
def tree(root: Path) -> Path:
    for path in [path for path, _ in FORMS.values()] + [path for path in NOT_CONTAINERS.values() if path]:
        (root / path).mkdir(parents=True, exist_ok=True)
    return root


def test_walk_finds_each_container_once_and_nothing_nested(tree: Path) -> None:
    found = [place.path for place in walk_containers(str(tree))]
    expected = {path for path, _ in FORMS.values()} | {f"kubepods.slice/kubepods-pod{SD_UID}.slice/crio-{CID}.scope"}
    assert sorted(found) == sorted(expected)


def test_walk_pods(tree: Path) -> None:
    pods = list(walk_pods(str(tree)))
    assert f"kubepods/burstable/pod{STATIC}" in pods
    assert all(is_pod(path) for path in pods)
    assert len(pods) == len(set(pods))


def test_find_kubepods_prefers_the_one_in_use(root: Path) -> None:
    assert find_kubepods(str(root)) is None
    (root / "kubepods").mkdir()
    assert find_kubepods(str(root)) == "kubepods"
    (root / KIND / f"kubelet-kubepods-pod{SD_UID}.slice").mkdir(parents=True)
    assert find_kubepods(str(root)) == KIND


def test_parents_of_containers(tree: Path) -> None:
    parents = parents_of_containers(str(tree))
    assert {"system.slice/containerd.service", "a.slice/a-b.slice", "kubelet.slice", "machine.slice"} <= parents
    assert not any(CID in path for path in parents)


def test_a_root_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert list(walk_containers(str(tmp_path / "none"))) == []
