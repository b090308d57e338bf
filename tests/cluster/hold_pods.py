"""A process of its own that holds the pods of a namespace: prints how many, and the most memory it took (KiB).

Arguments: the address of the API server, the file with its CA, a token, the namespace. Without a kubeconfig: the agent
has no parser for one either.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from memguard.kube.client import Client
from memguard.kube.connection import Connection, FixedToken, read_pem, tls_context
from memguard.kube.resources import PODS, Selection
from memguard.kube.watch import Watcher
from memguard.kube.wire import Wire

DEADLINE_SECONDS = 60


def hold(server: str, ca_file: str, token: str, namespace: str) -> None:
    connection = Connection(server, tls=lambda: tls_context(read_pem(ca_file), ca_file), token=FixedToken(token))
    watcher = Watcher(Client(Wire(connection)), Selection(PODS, namespace), lambda change: None)
    threading.Thread(target=watcher.run, daemon=True).start()
    watcher.synced.wait(DEADLINE_SECONDS)
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    print(len(watcher.objects()), status["VmHWM"].split()[0])


if __name__ == "__main__":
    hold(*sys.argv[1:])
