"""What each container of our pod cannot do, tried from inside; and that no brake outlives the guard."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from e2e import report
from e2e.cluster import NODES
from e2e.deployment import Deployment
from e2e.helm import NAMESPACE
from e2e.workloads import Shop, container, eventually, lines, opened, pod, policy

NODE = NODES[1]  # the lab's has AppArmor


#: What is tried, and what must come of it.
TRIES = """
import errno, json, os, signal, socket
found = {}
def attempt(name, deed):
    try:
        deed()
        found[name] = "done"
    except OSError as error:
        found[name] = errno.errorcode[error.errno]
attempt("signal a host process", lambda: os.kill(1, 0))
attempt("read a host process' environment", lambda: open("/proc/1/environ").read())
attempt("write a cgroup", lambda: open("/sys/fs/cgroup/cgroup.procs", "w").close())
attempt("see the host's cgroups", lambda: os.stat("/host/sys/fs/cgroup"))
attempt("write its own root", lambda: open("/memguard", "w").close())
attempt("become root", lambda: os.setuid(0))
print(json.dumps(found))
"""
GUARD_TRIES = """
import errno, json, socket
found = {}
for name in ("AF_INET", "AF_INET6", "AF_NETLINK", "AF_PACKET", "AF_UNIX"):
    try:
        socket.socket(getattr(socket, name), socket.SOCK_DGRAM if name != "AF_PACKET" else socket.SOCK_RAW).close()
        found[name] = "done"
    except OSError as error:
        found[name] = errno.errorcode[error.errno]
print(json.dumps(found))
"""


def tried(memguard: Deployment, name: str, code: str) -> dict[str, str]:
    """What a program can do inside one of our containers, as that container's user."""
    inside = ("-n", NAMESPACE, "exec", memguard.pod(NODE), "-c", name, "--", "/opt/memguard/bin/python3", "-c", code)
    found: dict[str, str] = json.loads(memguard.cluster.kubectl(*inside))
    return found


@pytest.mark.smoke
def test_the_agent_reaches_nothing_of_the_node(memguard: Deployment) -> None:
    assert tried(memguard, "agent", TRIES) == {
        "signal a host process": "EPERM",
        "read a host process' environment": "EACCES",
        "write a cgroup": "EROFS",
        "see the host's cgroups": "ENOENT",
        "write its own root": "EROFS",
        "become root": "EPERM",
    }


@pytest.mark.smoke
@pytest.mark.parametrize("name", ["guard", "supervisor"])
def test_the_guard_and_its_supervisor_reach_no_network(memguard: Deployment, name: str) -> None:
    found = tried(memguard, name, GUARD_TRIES)
    assert found.pop("AF_UNIX") == "done"
    assert set(found.values()) <= {"EPERM", "EACCES", "EAFNOSUPPORT"}, found


@pytest.fixture
def shop(memguard: Deployment) -> Iterator[Shop]:
    enforce = policy("lines", "isolation", mode="Enforce", limit={"guard": True})
    with opened(memguard.cluster, "isolation", enforce) as found:
        yield found


@pytest.mark.parametrize("death", ["SIGKILL", "cgroup.kill"])
def test_the_supervisor_lifts_every_line_within_a_second(memguard: Deployment, shop: Shop, death: str) -> None:
    node = memguard.cluster.node(NODE)
    calm = container("app", "hog", "rate=50", "max=60", request="32Mi", limit="256Mi")
    shop.create(pod("calm", NODE, calm, namespace="isolation"))
    armed = f"{lines(memguard.cluster, NODE)} 2>/dev/null | wc -l"
    eventually(lambda: int(node.run(armed)) > 0, "a line is hung")
    guard = "pgrep -f '[m]emguard guard --socket'"
    scope = f"/sys/fs/cgroup$(cut -d: -f3 /proc/$({guard})/cgroup)"
    kill = f"kill -9 $({guard})" if death == "SIGKILL" else f"echo 1 > {scope}/cgroup.kill"
    script = f"""
    {kill}
    began=$(date +%s%N)
    while [ $({armed}) != 0 ] && [ $(( $(date +%s%N) - began )) -lt 10000000000 ]; do :; done
    echo $(( ($(date +%s%N) - began) / 1000000 ))
    """
    milliseconds = int(node.run(script, timeout_s=60))
    report.record("supervisor lifts every line", {f"after {death}, milliseconds": milliseconds})
    assert milliseconds < 1000
    memguard.wait()
    eventually(lambda: int(node.run(armed)) > 0, "the next guard hangs it again")
