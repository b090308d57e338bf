"""What the operator sees of a node, kept: its reports one after another, and who, where and under which policies.

The file is JSON Lines: first what stands still, then one NodeMemory a line, and at last the operator's decisions.
tests/controller/test_replay.py has core decide on one again.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from e2e.cluster import Cluster
from tests.machine.image import REPOSITORY

DIRECTORY = REPOSITORY / "build" / "incidents"
#: A report may come while the last action is told.
TAIL_SECONDS = 2.0


@contextlib.contextmanager
def recorded(cluster: Cluster, node: str, name: str) -> Iterator[None]:
    """All reports of the node meanwhile, in build/incidents/NAME.jsonl."""
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    raw, still = DIRECTORY / f"{name}.raw", _still(cluster, node)
    command = (*cluster.kubectl_command, "get", "nodememory", node, "--watch", "--output=json")
    with raw.open("wb") as out, subprocess.Popen(command, stdout=out) as watch:
        try:
            yield
            time.sleep(TAIL_SECONDS)
        finally:
            watch.kill()
    lines = (still, *_reports(raw), _decisions(cluster, node))
    (DIRECTORY / f"{name}.jsonl").write_text("".join(f"{line}\n" for line in lines))
    raw.unlink()


def _still(cluster: Cluster, node: str) -> str:
    """The node, its pods, and all policies."""
    asked = {
        "node": ("node", node),
        "pods": ("pods", "--all-namespaces", f"--field-selector=spec.nodeName={node}"),
        "policies": ("memoryguardpolicies", "--all-namespaces"),
        "clusterPolicies": ("clustermemoryguardpolicies",),
    }
    return json.dumps({what: json.loads(cluster.kubectl("get", *words, "-o", "json")) for what, words in asked.items()})


def _decisions(cluster: Cluster, node: str) -> str:
    """What the operator has decided on the node, the latest last."""
    fields = f"--field-selector=spec.node={node}"
    every = json.loads(cluster.kubectl("get", "memoryguarddecisions", "--all-namespaces", fields, "-o", "json"))[
        "items"
    ]
    ours = [one for one in every if one["spec"]["trigger"] == "report"]
    return json.dumps({"decisions": sorted(ours, key=lambda one: str(one["spec"]["takenAt"]))})


def _reports(raw: Path) -> Iterator[str]:
    """kubectl writes one object after another, over many lines each."""
    text, decoder, at = raw.read_text(), json.JSONDecoder(), 0
    while at < len(text):
        try:
            one, at = decoder.raw_decode(text, at)
        except json.JSONDecodeError:  # the last may be written in part
            return
        yield json.dumps(one)
        while at < len(text) and text[at].isspace():
            at += 1
