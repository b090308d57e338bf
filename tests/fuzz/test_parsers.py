"""Every parser meets the kept corpus, then good inputs that chance has spoilt: what it cannot read it refuses by name.

A parser that comes without standing here, or where its own fuzz test stands, fails the last test.
"""

from __future__ import annotations

import ast
import functools
import itertools
import json
import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.docs.documents import blocks
from tests.fuzz.corpus import NASTY, SHARDS
from tests.kernel_files import test_parse

from memguard.agent.disk import read_back
from memguard.agent.ledger import Ledger
from memguard.agent.plan_store import KeptPlan
from memguard.agent.resources import OwnNodeMemory, written
from memguard.agent.roster import Roster
from memguard.agent.spool import Entry
from memguard.api.decision import MemoryGuardDecision
from memguard.api.node_memory import NodeMemory
from memguard.api.policies import ClusterMemoryGuardPolicy, MemoryGuardPolicy
from memguard.cli.cluster.simulate.policy_file import read_policies
from memguard.cli.files import numbered_lines, read_trace, read_yaml
from memguard.cli.incident.reading import read_incident
from memguard.cli.journal import explain_logged, is_journal
from memguard.core.compile import Cluster, Tenant, compile_plan
from memguard.core.domain import parse_nodes
from memguard.core.link import Hello, Mapping, NewPlan, Order, agents_inbox, encode, guards_inbox
from memguard.core.model import UNREADABLE, Identity
from memguard.core.policy import Plan, Rule
from memguard.core.quantity import parse, parse_bytes
from memguard.core.trace import decode_line, decode_lines, decode_snapshot
from memguard.errors import ConfigError, InputError, KernelFileError, LinkError, MemguardError
from memguard.guard.config import load_config, parse_config
from memguard.guard.outbox import Outbox
from memguard.kernel import host, zram
from memguard.kernel.paths import parse_container_path
from memguard.kernel.record import decode
from memguard.kube.answers import Answer, Request, refusal
from memguard.kube.codec import Codec
from memguard.kube.identities import identities
from memguard.kube.kubeconfig import read_kubeconfig
from memguard.kube.objects import ConfigMap, Event, Lease, Node, ObjectMeta, Pod, PodDisruptionBudget, moment_of

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "docs" / "examples"
NOW = datetime(2026, 11, 30, tzinfo=UTC)


class Parser(NamedTuple):
    """`parse` of bytes, what it may raise, and good inputs; `of`: the functions that it is, as module:name."""

    parse: Callable[[bytes], object]
    refuses: tuple[type[Exception], ...]
    good: Sequence[bytes]
    of: tuple[str, ...] = ()


def a_file(read: Callable[[str], object], name: str = "input") -> Callable[[bytes], object]:
    """A parser of what a path leads to."""

    def parse_file(data: bytes) -> object:
        path = f"{os.environ['PYTEST_FUZZ_DIRECTORY']}/{name}"
        with open(path, "wb") as file:
            file.write(data)
        return read(path)

    return parse_file


def text(read: Callable[[str], object]) -> Callable[[bytes], object]:
    return lambda data: read(os.fsdecode(data))


def _kept(kind: Any) -> Parser:
    troubles: list[str] = []
    decoder = msgspec.json.Decoder(kind)
    return Parser(
        a_file(lambda path: read_back(path, decoder, troubles.append)), (), [b"{}"], ("agent.disk:read_back",)
    )


def _of_kube(kind: Any, *good: dict[str, Any]) -> dict[str, Parser]:
    codec = Codec(kind)
    page = {"metadata": {"resourceVersion": "1"}, "items": [*good]}
    events = [{"type": word, "object": one} for word in ("ADDED", "DELETED", "BOOKMARK", "ERROR") for one in good]
    return {
        f"{kind.__name__}, one": Parser(codec.object, UNREADABLE, [json.dumps(one).encode() for one in good]),
        f"{kind.__name__}, a page": Parser(codec.listing, UNREADABLE, [json.dumps(page).encode()]),
        f"{kind.__name__}, an event": Parser(codec.event, UNREADABLE, [json.dumps(one).encode() for one in events]),
    }


def _inbox(make: Callable[[], Any]) -> Callable[[bytes], object]:
    """At once and byte by byte it is the same."""

    def hear(data: bytes) -> object:
        return _heard(make, [data])

    return hear


def _heard(make: Callable[[], Any], pieces: list[bytes]) -> list[Any]:
    inbox = make()
    return [message for piece in pieces for message in inbox.feed(piece)]


def _policy(kind: Any) -> Callable[[bytes], object]:
    """From the API server's words to the plan."""
    codec = Codec(kind)

    def compiled(data: bytes) -> object:
        found = codec.object(data)
        cluster = [Cluster(name="default", spec=found.spec)] if kind is ClusterMemoryGuardPolicy else []
        tenants = [Tenant(namespace="shop", name="mine", spec=found.spec)] if kind is MemoryGuardPolicy else []
        return compile_plan(cluster, tenants, {})

    return compiled


def _outbox(data: bytes) -> object:
    directory = os.environ["PYTEST_FUZZ_DIRECTORY"]
    with open(f"{directory}/outbox", "wb") as file:
        file.write(data)
    box = Outbox(directory, lambda: NOW)
    box.close()
    return box.waiting


def _kernel(name: str, data: bytes) -> object:
    return test_parse.PARSERS[name](data, "/x/some.file")


META = {"name": "p", "namespace": "shop", "uid": "u", "resourceVersion": "7", "labels": {"app": "web"}}
POD = {
    "metadata": META,
    "spec": {
        "nodeName": "node-a", "priority": 7, "restartPolicy": "Always",
        "containers": [{"name": "app", "resources": {"requests": {"memory": "64Mi"}, "limits": {"memory": "1Gi"}}}],
    },
    "status": {"phase": "Running", "containerStatuses": [{"name": "app", "containerID": "containerd://" + "a" * 64}]},
}  # fmt: skip
CLUSTER_POLICY = {
    "metadata": META,
    "spec": {
        "settings": {"reserveCap": "2Gi", "reserveRatio": 0.06}, "protectedNamespaces": ["kube-system"],
        "nodeSelector": {"matchLabels": {"a": "b"}}, "budget": {"perNode": 3, "windowSeconds": 600},
    },
}  # fmt: skip
TENANT_POLICY = {
    "metadata": META,
    "spec": {
        "selector": {"matchExpressions": [{"key": "app", "operator": "In", "values": ["web"]}]}, "mode": "Enforce",
        "adjustment": 20, "limit": {"guard": True, "terminateGraceSeconds": 1.5}, "actions": ["kill"],
    },
}  # fmt: skip
KUBECONFIG = b"""apiVersion: v1
kind: Config
current-context: a
clusters: [{name: c, cluster: {server: "https://127.0.0.1:6443", insecure-skip-tls-verify: false}}]
users: [{name: u, user: {token: abc}}]
contexts: [{name: a, context: {cluster: c, user: u, namespace: shop}}]
"""
STATUS = {
    "kind": "Status",
    "code": 409,
    "reason": "AlreadyExists",
    "message": "no",
    "details": {"retryAfterSeconds": 3},
}
LINES = (EXAMPLES / "incident.jsonl").read_bytes().splitlines()[:2]
REPORT = (EXAMPLES / "report.json").read_bytes()
LOGGED = json.dumps({"kind": "decision", **json.loads(REPORT)["decision"]["spec"]}).encode()
TOML = [block.encode() for block in blocks(ROOT / "docs" / "guard.md", "toml")]
SAID = [
    encode(Hello(protocol=1, version="1")),
    encode(NewPlan(plan=Plan(mode="Enforce", rules=(Rule(grace_seconds=1.0),)))),
    encode(Mapping(containers=(Identity(id="a" * 64, namespace="shop", pod="p"),), pods=("u",))),
    encode(Order(id="o", action="kill", container_id="a", pod_uid="u", expires_at=NOW)),
]
WORDS = [b"128Mi", b"1.5Gi", b"1e3", b"100m", b"12345"]

PARSERS: dict[str, Parser] = {
    "a line of a trace": Parser(decode_line, (InputError,), LINES, ("core.trace:decode_line",)),
    "lines of a trace": Parser(
        lambda data: list(decode_lines(data.splitlines())), (InputError,), [b"\n".join(LINES)],
        ("core.trace:decode_lines",),
    ),
    "a snapshot": Parser(decode_snapshot, (InputError,), LINES[1:], ("core.trace:decode_snapshot",)),
    "a trace": Parser(
        a_file(lambda path: list(read_trace(path))), (InputError,), [b"\n".join(LINES)],
        ("cli.files:read_trace", "cli.files:parse_trace"),
    ),
    "YAML": Parser(
        a_file(lambda path: read_yaml(path, "")), (InputError,), [(EXAMPLES / "enforce.yaml").read_bytes()],
        ("cli.files:read_yaml",),
    ),
    "a file of policies": Parser(
        a_file(lambda path: read_policies(path, "shop")), (InputError,), [(EXAMPLES / "enforce.yaml").read_bytes()],
        ("cli.cluster.simulate.policy_file:read_policies",),
    ),
    "an incident": Parser(
        a_file(lambda path: read_incident(path, NOW)), (InputError,), [REPORT], ("cli.incident.reading:read_incident",)
    ),
    "a guard's log": Parser(
        a_file(lambda path: explain_logged(numbered_lines(path), None, path)), (InputError,), [LOGGED]
    ),
    "a line of a log": Parser(is_journal, (), [LOGGED]),
    "a configuration": Parser(parse_config, (ConfigError,), TOML, ("guard.config:parse_config",)),
    "a configuration's file": Parser(a_file(load_config), (ConfigError,), TOML, ("guard.config:load_config",)),
    "a kubeconfig": Parser(
        a_file(read_kubeconfig), (ConfigError,), [KUBECONFIG], ("kube.kubeconfig:read_kubeconfig",)
    ),
    "a quantity": Parser(text(parse), (InputError,), WORDS, ("core.quantity:parse",)),
    "a size": Parser(text(parse_bytes), (InputError,), WORDS, ("core.quantity:parse_bytes",)),
    "a list of nodes": Parser(text(parse_nodes), (), [b"0-3,5"], ("core.domain:parse_nodes",)),
    "a moment": Parser(text(moment_of), (ValueError,), [b"2026-11-30T00:00:00.000000Z"]),
    "the agent's words": Parser(_inbox(guards_inbox), (LinkError,), SAID, ("core.link:feed",)),
    "the guard's words": Parser(_inbox(agents_inbox), (LinkError,), SAID[:1], ("core.link:feed",)),
    "the guard's outbox": Parser(_outbox, (), [b'{"session":"s","before":0}\n' + SAID[0]]),
    "a refusal": Parser(
        lambda data: str(refusal(Request(verb="GET", path="/x"), Answer(status=409, body=data, retry_after=None))),
        (), [json.dumps(STATUS).encode()],
    ),
    "when to ask again": Parser(
        text(lambda one: refusal(Request(verb="GET", path="/x"), Answer(status=429, body=b"", retry_after=one))),
        (), [b"3"],
    ),
    "another version's status": Parser(
        lambda data: written(OwnNodeMemory(metadata=ObjectMeta(name="n"), status=msgspec.Raw(data))),
        (), [b'{"orders": []}'],
    ),
    "a tenant's policy": Parser(_policy(MemoryGuardPolicy), UNREADABLE, [json.dumps(TENANT_POLICY).encode()]),
    "a cluster's policy": Parser(
        _policy(ClusterMemoryGuardPolicy), UNREADABLE, [json.dumps(CLUSTER_POLICY).encode()]
    ),
    "a pod's containers": Parser(
        lambda data: list(identities(Codec(Pod).object(data))), UNREADABLE, [json.dumps(POD).encode()]
    ),
    "a record of a hold": Parser(decode, (), [b"line 7 9 3 3 a/b"], ("kernel.record:decode",)),
    "a cgroup's path": Parser(
        text(parse_container_path), (), [b"kubepods.slice/a"], ("kernel.paths:parse_container_path",)
    ),
    "an uptime": Parser(
        a_file(lambda path: host.uptime_seconds(os.path.dirname(path)), "uptime"), (KernelFileError,), [b"1.0 2"]
    ),
    "zram": Parser(
        lambda data: zram.parse_mm_stat(data, "zram0", "f"), (KernelFileError,), [b"1 2 3 4 5 6 7 8 9\n"],
        ("kernel.zram:parse_mm_stat",),
    ),
    **{f"kept: {getattr(kind, '__name__', kind)}": _kept(kind) for kind in (KeptPlan, Roster, Entry, Ledger)},
    **_of_kube(Pod, POD),
    **_of_kube(MemoryGuardPolicy, TENANT_POLICY),
    **_of_kube(ClusterMemoryGuardPolicy, CLUSTER_POLICY),
    **_of_kube(NodeMemory, {"metadata": META, "spec": {"orders": []}}),
    **_of_kube(MemoryGuardDecision, json.loads(REPORT)["decision"]),
    **_of_kube(Node, {"metadata": META, "spec": {"taints": []}}),
    **_of_kube(ConfigMap, {"metadata": META, "data": {"a": "b"}}),
    **_of_kube(Lease, {"metadata": META, "spec": {"holderIdentity": "a", "renewTime": "2026-11-30T00:00:00.000000Z"}}),
    **_of_kube(Event, {"metadata": META, "reason": "a"}),
    **_of_kube(PodDisruptionBudget, {"metadata": META, "spec": {}, "status": {"disruptionsAllowed": 1}}),
    **{
        f"the kernel's {name}": Parser(functools.partial(_kernel, name), (KernelFileError,), [])
        for name in sorted(test_parse.PARSERS)
    },
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def directory(tmp_path_factory: pytest.TempPathFactory) -> None:
    os.environ["PYTEST_FUZZ_DIRECTORY"] = str(tmp_path_factory.mktemp("fuzz"))


def spoilt(good: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """A good input of which pieces are cut out, doubled, or made into something else."""
    place = st.integers(0, 2000)
    good = good or [b""]
    change = st.tuples(place, st.integers(0, 40), st.sampled_from(SHARDS), st.booleans())

    def change_all(data: bytes, changes: list[tuple[int, int, bytes, bool]]) -> bytes:
        for at, length, shard, twice in changes:
            begin = at % (len(data) + 1)
            cut = data[begin : begin + length]
            data = data[:begin] + shard + (cut + cut if twice else b"") + data[begin + length :]
        return data

    return st.builds(change_all, st.sampled_from(list(good)), st.lists(change, min_size=1, max_size=4))


def refused(parser: Parser, data: bytes) -> Exception | None:
    """How it refuses this, if it does."""
    try:
        parser.parse(data)
    except parser.refuses as error:
        return error
    return None


@pytest.mark.parametrize("name", PARSERS)
def test_the_corpus(name: str) -> None:
    parser = PARSERS[name]
    for what, data in NASTY.items():
        refusal = refused(parser, data)
        assert not isinstance(refusal, MemguardError) or len(str(refusal)) < 5000, what


@pytest.mark.parametrize("name", PARSERS)
def test_good_ones_are_read(name: str) -> None:
    for good in PARSERS[name].good:
        PARSERS[name].parse(good)


@pytest.mark.parametrize("name", PARSERS)
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_what_is_spoilt(name: str, data: st.DataObject) -> None:
    parser = PARSERS[name]
    refused(parser, data.draw(st.one_of(spoilt(parser.good), st.binary(max_size=200)), label="input"))


@settings(max_examples=100, deadline=None)
@given(messages=st.lists(st.sampled_from(SAID), max_size=4), cuts=st.lists(st.integers(0, 4000), max_size=8))
def test_however_a_stream_is_cut_the_same_is_heard(messages: list[bytes], cuts: list[int]) -> None:
    data = b"".join(messages)
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    pieces = [data[begin:end] for begin, end in itertools.pairwise(places)]
    assert _heard(guards_inbox, pieces) == _heard(guards_inbox, [data])
    assert [encode(message) for message in _heard(guards_inbox, pieces)] == messages


#: Functions with a parser's name that have their own fuzz test, or only call one that stands here.
ELSEWHERE = {
    "core.replay:feed": "tests/core/test_replay.py",
    "kernel.members:parse_pids": "the kernel's pids",
    "kernel.vmstat:parse_vmstat": "the kernel's vmstat",
    "kernel.process:parse_stat": "the kernel's stat",
    "kernel.psi:read_stall": "the kernel's stall",
    "kernel.numa:parse_node": "the kernel's node",
    "kernel.meminfo:parse_meminfo": "the kernel's meminfo",
    "kernel.files:read_once": "bytes as they are",
    "kernel.zram:read_zram": "zram",
    "kube.connection:read_pem": "ssl's own",
    "cli.cluster.stops:read_stops": "asks the API server",
}


def test_no_parser_is_forgotten() -> None:
    found = set()
    package = ROOT / "operator" / "memguard"
    for path in package.rglob("*.py"):
        module = ".".join(path.relative_to(package).with_suffix("").parts)
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name.startswith(
                ("parse", "decode", "read_", "load_", "feed")
            ):
                found.add(f"{module}:{node.name}")
    assert found == ELSEWHERE.keys() | {name for parser in PARSERS.values() for name in parser.of}
