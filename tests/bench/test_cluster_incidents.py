"""What is asked of the cluster: kubelet's configurations, and Deployments that an API server takes."""

import json

import kubernetes_validate
import pytest
from bench.cluster.guards import GUARDS, LABELS, MEMORY
from bench.cluster.incidents import INCIDENTS, MIB, NAMES, by_name, innocents
from e2e.lab.kubelet import configuration
from e2e.lab.specs import NODE_A, NODE_B, NODES

NEWEST = list(dict.fromkeys(kubernetes_validate.utils.all_versions()))[-1]


def hard(label: str) -> str | None:
    found: dict[str, str] = GUARDS[LABELS.index(label)].configuration(NODE_A)["evictionHard"]
    return found.get(MEMORY)


def test_each_guard_has_its_threshold_and_nobody_has_none() -> None:
    thresholds = {label: hard(label) for label in LABELS}
    assert thresholds == {
        "none": None,
        "kubelet-default": "100Mi",
        "kubelet": "5%",
        "memoryqos": "100Mi",
        "memguard": None,
        "memguard-beside": "100Mi",
    }


def test_a_guard_changes_nothing_else_of_a_node() -> None:
    for guard in GUARDS:
        wanted, plain = guard.configuration(NODE_B), configuration(NODE_B)
        assert {name: value for name, value in wanted.items() if name not in {*guard.kubelet, "logging"}} == {
            name: value for name, value in plain.items() if name not in guard.kubelet
        }
        assert wanted["memorySwap"] == {"swapBehavior": "LimitedSwap"}
        assert {signal: wanted["evictionHard"][signal] for signal in wanted["evictionHard"] if signal != MEMORY}


def test_kubelet_gets_json_of_one_line() -> None:
    """It goes through a here-document."""
    assert all("\n" not in json.dumps(guard.configuration(NODE_A)) for guard in GUARDS)


@pytest.mark.parametrize("incident", INCIDENTS, ids=NAMES)
def test_an_api_server_takes_the_leaks(incident: object) -> None:
    for one in by_name(getattr(incident, "name", "")).manifests():
        kubernetes_validate.validate(one, NEWEST, strict=True)


@pytest.mark.parametrize("node", NODES, ids=lambda node: node.name)
def test_an_api_server_takes_the_innocents(node: object) -> None:
    for one in innocents(NODE_A if node == NODE_A else NODE_B):
        kubernetes_validate.validate(one, NEWEST, strict=True)


def test_a_leak_is_what_its_name_says() -> None:
    [leak] = by_name("limit-50").manifests()
    [one] = leak["spec"]["template"]["spec"]["containers"]
    assert "hog rate=50 " in one["command"][-1]
    assert one["resources"] == {"requests": {"memory": "64Mi", "cpu": "500m"}, "limits": {"memory": "256Mi"}}
    assert len(by_name("two-fast").manifests()) == 2
    assert by_name("calm").manifests() == []
    assert by_name("swap-200").node.swap_mib


def test_the_line_is_the_races() -> None:
    assert by_name("leak-50").line_bytes == 100 * MIB
    assert by_name("limit-50").line_bytes == 16 * MIB
