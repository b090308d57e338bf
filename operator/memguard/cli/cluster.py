"""The cluster that a kubeconfig names, for the commands that ask it."""

from __future__ import annotations

import os

from memguard.api.definitions import NODE_MEMORY
from memguard.api.node_memory import NodeMemory
from memguard.errors import KubeError, MemguardError, NotFoundError
from memguard.kube.client import Client
from memguard.kube.kubeconfig import read_kubeconfig
from memguard.service.resources import resource_of


def node_memory(node: str, kubeconfig: str | None, context: str | None) -> NodeMemory:
    """What a node reports. Raises MemguardError with what to do."""
    client = Client(read_kubeconfig(kubeconfig or _default(), context))
    try:
        return client.get(resource_of(NODE_MEMORY, NodeMemory), node)
    except NotFoundError:
        raise MemguardError(
            f"node {node}: there is no report of it. Is that its name (kubectl get nodes), and does a memguard-node "
            "pod run on it (kubectl -n memguard-system get pods -o wide)?"
        ) from None
    except KubeError as error:
        raise MemguardError(str(error)) from None
    finally:
        client.close()


def _default() -> str:
    """As kubectl finds it; of several files in $KUBECONFIG the first."""
    named = os.environ.get("KUBECONFIG", "").split(os.pathsep)[0]
    return named or os.path.expanduser("~/.kube/config")
