"""The chart's node pods: what they promise about rights, and that their parts fit. An API server: tests/cluster."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.chart.manifests import PROFILES, Manifest, containers, mounts, node_object, node_pod, one, render

from memguard.agent.main import arguments as agent_arguments
from memguard.cli.checks.privileges import CAPABILITIES
from memguard.guard.config import parse_config
from memguard.guard.life import require_no_plan
from memguard.guard.main import arguments as guard_arguments

TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount"  # noqa: S105 - a path
#: What tells the profiles apart, and nothing else may: docs/security.md has a row for each.
DIFFERENCES = {
    "hostPID",
    "initContainers",
    "containers.guard.securityContext.appArmorProfile",
    "containers.guard.securityContext.capabilities.add",
    "containers.guard.securityContext.runAsGroup",
    "containers.guard.securityContext.runAsNonRoot",
    "containers.guard.securityContext.runAsUser",
    "containers.guard.volumeMounts.cgroup.readOnly",
    "containers.guard.volumeMounts.compaction",
    "containers.agent.args",
    "volumes.compaction",
}

each_profile = pytest.mark.parametrize("profile", PROFILES)


def parts(profile: str) -> dict[str, Manifest]:
    """The containers of a node's pod."""
    return containers(node_pod(profile))


def named(value: Any) -> Any:
    """Lists of named things as tables."""
    if isinstance(value, dict):
        return {key: named(each) for key, each in value.items()}
    if isinstance(value, list) and value and all(isinstance(each, dict) and "name" in each for each in value):
        return {each["name"]: named(each) for each in value}
    return value


def differing(one: Any, other: Any, path: str = "") -> Iterator[str]:
    """Where they are not the same, as high up as one of them has nothing."""
    if one == other:
        return
    if not (isinstance(one, dict) and isinstance(other, dict)):
        yield path
        return
    for key in one.keys() | other.keys():
        yield from differing(one.get(key), other.get(key), f"{path}.{key}" if path else key)


def test_the_profiles_differ_only_where_they_should() -> None:
    assert set(differing(named(node_pod("observe")), named(node_pod("enforce")))) == DIFFERENCES
    observed, enforced = (node_object(profile, "DaemonSet") for profile in PROFILES)
    for daemon_set in (observed, enforced):
        del daemon_set["spec"]["template"]["spec"]
        del daemon_set["spec"]["template"]["metadata"]["annotations"]["checksum/config"]
    assert observed == enforced


def test_the_observe_profile_cannot_harm() -> None:
    """What else it has not the real admission says (tests/cluster/test_chart.py)."""
    spec = node_pod("observe")
    writable = {
        mount["name"]
        for container in spec["containers"]
        for mount in container["volumeMounts"]
        if not mount.get("readOnly")
    }
    assert writable == {"run", "link", "state"}
    assert not [volume for volume in spec["volumes"] if volume["name"] in writable and "emptyDir" not in volume]


@each_profile
def test_every_root_is_read_only(profile: str) -> None:
    assert all(each["securityContext"]["readOnlyRootFilesystem"] is True for each in parts(profile).values())


def test_the_guard_has_the_capabilities_that_the_doctor_asks_for_and_nobody_else_has_any() -> None:
    found = {name: each["securityContext"]["capabilities"].get("add", []) for name, each in parts("enforce").items()}
    assert sorted(found.pop("guard")) == sorted(CAPABILITIES)
    assert found == {"supervisor": [], "agent": []}


@each_profile
def test_only_the_agent_holds_a_token(profile: str) -> None:
    spec = node_pod(profile)
    assert spec["automountServiceAccountToken"] is False
    tokens = {volume["name"] for volume in spec["volumes"] if "serviceAccountToken" in json.dumps(volume)}
    assert tokens == {"token"}
    holders = [name for name, each in parts(profile).items() if tokens & mounts(each).keys()]
    assert holders == ["agent"]
    assert mounts(parts(profile)["agent"])["token"] == TOKEN
    [source] = [volume["projected"]["sources"] for volume in spec["volumes"] if volume["name"] == "token"]
    assert source[0]["serviceAccountToken"]["expirationSeconds"] <= 3600


@each_profile
def test_the_agent_sees_neither_the_nodes_cgroups_nor_the_guards_records(profile: str) -> None:
    assert mounts(parts(profile)["agent"]).keys() == {"link", "state", "token"}


def test_the_supervisor_has_the_cgroups_and_the_guards_records_and_nothing_else() -> None:
    supervisor = parts("enforce")["supervisor"]
    assert supervisor["restartPolicy"] == "Always"
    assert mounts(supervisor).keys() == {"config", "cgroup", "compaction", "run"}
    assert mounts(supervisor).items() <= mounts(parts("enforce")["guard"]).items()


@each_profile
def test_each_has_its_memory_and_no_cpu_quota(profile: str) -> None:
    for container in parts(profile).values():
        resources = container["resources"]
        assert resources["limits"] == {"memory": resources["requests"]["memory"]}
        assert resources["requests"]["cpu"]


@each_profile
def test_the_command_lines_are_good_ones(profile: str) -> None:
    found = parts(profile)
    guard = guard_arguments(found["guard"]["args"][1:])
    agent = agent_arguments(found["agent"]["args"][1:])
    assert guard.socket == agent.socket
    assert guard.peer_uid == found["agent"]["securityContext"]["runAsUser"]
    assert agent.guard_uid == found["guard"]["securityContext"]["runAsUser"]
    assert (agent.state, agent.listen) == (
        mounts(found["agent"])["state"],
        f":{found['agent']['ports'][0]['containerPort']}",
    )
    for name in ("guard", "agent"):
        assert guard.socket is not None
        assert Path(guard.socket).parent == Path(mounts(found[name])["link"])


def test_guard_and_supervisor_read_the_same_configuration() -> None:
    found = parts("enforce")
    guard, supervisor = (guard_arguments(found[name]["args"][1:]) for name in ("guard", "supervisor"))
    assert supervisor.supervise
    assert guard.config == supervisor.config


@each_profile
def test_the_configuration_fits_the_mounts(profile: str) -> None:
    files = node_object(profile, "ConfigMap")["data"]
    guard = parts(profile)["guard"]
    path = Path(guard_arguments(guard["args"][1:]).config or "")
    config = parse_config(files[path.name].encode(), str(path))
    require_no_plan(config, str(path))
    found = mounts(guard)
    assert (str(path.parent), config.cgroup_root, config.run_directory) == (
        found["config"],
        found["cgroup"],
        found["run"],
    )
    if profile == "enforce":
        assert found["compaction"] == f"{config.sysctls}/vm/compact_unevictable_allowed"


@each_profile
def test_no_file_need_lie_on_the_nodes(profile: str) -> None:
    for container in parts(profile).values():
        seccomp = container["securityContext"].get("seccompProfile", {"type": "RuntimeDefault"})
        assert seccomp == {"type": "RuntimeDefault"}


def test_the_agent_may_only_what_it_does() -> None:
    role = one(render(), "ClusterRole", "memguard-agent")
    verbs = {resource: set(rule["verbs"]) for rule in role["rules"] for resource in rule["resources"]}
    assert verbs.keys() == {
        "pods", "nodes", "memoryguardpolicies", "clustermemoryguardpolicies", "nodememories", "nodememories/status",
        "memoryguarddecisions", "memoryguarddecisions/status", "events",
    }  # fmt: skip
    changing = {resource for resource, allowed in verbs.items() if allowed - {"get", "list", "watch"}}
    assert not changing & {"pods", "nodes", "memoryguardpolicies", "clustermemoryguardpolicies"}
    assert not {"*", "delete", "deletecollection", "impersonate", "escalate", "bind"} & set().union(*verbs.values())
