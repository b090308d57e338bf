"""What a real API server says of the chart's node pods: of their fields, of a pod made of them, and of its account."""

from __future__ import annotations

import json
import re

import pytest
from e2e.lab.control_plane import ControlPlane
from tests.chart.manifests import PROFILES, RIGHTS, as_list, node_pod, of, render

STRICT = ("--validate=strict", "--warnings-as-errors")


@pytest.fixture(scope="module")
def cluster(control_plane: ControlPlane) -> ControlPlane:
    """With what a node's pod stands on."""
    objects = render({"namespace": {"create": True}})
    for kinds in (("Namespace",), RIGHTS):
        control_plane.kubectl("apply", *STRICT, "-f", "-", stdin=as_list(of(objects, *kinds)))
    return control_plane


@pytest.mark.parametrize("profile", PROFILES)
def test_a_real_api_server_takes_every_field(cluster: ControlPlane, profile: str) -> None:
    listed = as_list(of(render({"profile": profile}), "ConfigMap", "DaemonSet"))
    said = cluster.kubectl("apply", "--dry-run=server", *STRICT, "-f", "-", stdin=listed)
    assert re.findall(r"(\S+) created", said) == ["configmap/memguard-node", "daemonset.apps/memguard-node"]


@pytest.mark.parametrize("profile", PROFILES)
def test_a_real_api_server_takes_the_pod(cluster: ControlPlane, profile: str) -> None:
    """Admission looks at pods: priority, pod security, the service account."""
    made = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "memguard-node-x", "namespace": "memguard-system"},
        "spec": node_pod(profile),
    }
    options = ("--dry-run=server", *STRICT, "-o", "json", "-f", "-")
    taken = json.loads(cluster.kubectl("create", *options, stdin=json.dumps(made)))
    assert taken["spec"]["priority"] == 2_000_001_000
    assert [volume["name"] for volume in taken["spec"]["volumes"]] == [
        volume["name"] for volume in made["spec"]["volumes"]
    ]


MAY = [
    ("list", "pods"), ("watch", "pods"), ("get", "nodes"), ("create", "nodememories.memguard.io"),
    ("patch", "nodememories.memguard.io/status"), ("create", "memoryguarddecisions.memguard.io"),
    ("create", "events.events.k8s.io"),
]  # fmt: skip
MAY_NOT = [
    ("create", "pods/eviction"), ("delete", "pods"), ("patch", "pods"), ("patch", "nodes"), ("get", "secrets"),
    ("create", "serviceaccounts/token"), ("get", "nodes/proxy"), ("create", "pods/exec"),
    ("patch", "clustermemoryguardpolicies.memguard.io"), ("delete", "memoryguarddecisions.memguard.io"),
    ("patch", "nodememories.memguard.io"), ("update", "memoryguarddecisions.memguard.io"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("verb", "resource", "wanted"), [*((*each, True) for each in MAY), *((*each, False) for each in MAY_NOT)]
)
def test_what_the_agents_account_may_do(cluster: ControlPlane, verb: str, resource: str, wanted: bool) -> None:
    resource, _, subresource = resource.partition("/")
    name, _, group = resource.partition(".")
    asked = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {
            "user": "system:serviceaccount:memguard-system:memguard-agent",
            "groups": ["system:serviceaccounts", "system:authenticated"],
            "resourceAttributes": {"verb": verb, "group": group, "resource": name, "subresource": subresource},
        },
    }
    said = cluster.kubectl("create", "-o", "json", "-f", "-", stdin=json.dumps(asked))
    assert json.loads(said)["status"]["allowed"] is wanted
