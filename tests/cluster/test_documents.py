"""Manifests that documents show are taken by a real API server, word for word."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest
import yaml
from e2e.lab.control_plane import ControlPlane
from tests.cluster.kinds import NAMESPACE, ROOT, install, made, refusal
from tests.docs.documents import blocks, documents

from memguard.api.policies import ClusterMemoryGuardPolicy, MemoryGuardPolicy

SHOWN = [
    (path.relative_to(ROOT).as_posix(), number, block)
    for path in documents()
    for number, block in enumerate(blocks(path, "yaml"))
    if "apiVersion:" in block
]
KINDS = {kind.__name__: kind for kind in (MemoryGuardPolicy, ClusterMemoryGuardPolicy)}
EXAMPLES = sorted((ROOT / "docs" / "examples").glob("*.yaml"))


@pytest.fixture(scope="module")
def plane(control_plane: ControlPlane) -> ControlPlane:
    """With our kinds, and every namespace that a manifest is for."""
    install(control_plane)
    named = {
        one["metadata"]["namespace"]
        for _, _, block in SHOWN
        for one in yaml.safe_load_all(block)
        if "namespace" in one["metadata"]
    }
    made_here = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in sorted(named)]
    control_plane.kubectl("apply", "-f", "-", stdin=yaml.dump_all(made_here))
    return control_plane


@pytest.mark.row("K2")
@pytest.mark.parametrize(("page", "number", "block"), SHOWN, ids=[f"{page}-{number}" for page, number, _ in SHOWN])
def test_the_server_takes_what_a_document_shows(plane: ControlPlane, page: str, number: int, block: str) -> None:
    for one in yaml.safe_load_all(block):
        found = made(plane, one, "--dry-run=server")
        if one["kind"] in KINDS:  # nothing is lost on the way: what is written is what is read
            kind = KINDS[one["kind"]]
            assert msgspec.convert(found, kind).spec == msgspec.convert(one, kind).spec


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_the_server_takes_the_examples(plane: ControlPlane, path: Path) -> None:
    options = ("--dry-run=server", "--validate=strict", "--namespace", NAMESPACE)
    assert "created" in plane.kubectl("create", *options, "-f", str(path))


def test_there_is_something_to_try() -> None:
    assert len(EXAMPLES) >= 2
    assert len([page for page, _, _ in SHOWN if page == "docs/cookbook.md"]) == 12


def test_a_refusal_reads_as_it_is_told(plane: ControlPlane) -> None:
    told = (ROOT / "docs" / "policies.md").read_text()
    shown = re.search(r"```console\n\$ kubectl apply -f policy.yaml\n(.*?)```", told, re.DOTALL)
    assert shown is not None
    spec = {"actions": ["terminate"]}
    policy = {"apiVersion": "memguard.io/v1alpha1", "kind": "MemoryGuardPolicy", "spec": spec}
    policy["metadata"] = {"name": "carts", "namespace": NAMESPACE}
    assert " ".join(shown[1].split()).partition(": spec")[2] in refusal(plane, policy)
