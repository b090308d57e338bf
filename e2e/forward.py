"""A pod's port on this machine: the lab's pods, as a user's, are out of reach otherwise."""

from __future__ import annotations

import contextlib
import re
import subprocess
from collections.abc import Iterator

from e2e.cluster import Cluster
from e2e.lab.errors import LabError


@contextlib.contextmanager
def forwarded(cluster: Cluster, namespace: str, pod: str, port: int) -> Iterator[str]:
    """Where the pod's port answers meanwhile, as in "127.0.0.1:40123"."""
    command = (*cluster.kubectl_command, "--namespace", namespace, "port-forward", f"pod/{pod}", f":{port}")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as forward:
        try:
            said = forward.stdout.readline() if forward.stdout else ""
            found = re.search(r"127\.0\.0\.1:\d+", said)
            if not found:
                raise LabError(f"kubectl does not forward port {port} of {namespace}/{pod}: {said.strip()}")
            yield found[0]
        finally:
            forward.kill()
