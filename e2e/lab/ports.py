"""Free ports on this machine's loopback, for control planes that run side by side."""

from __future__ import annotations

import random
import socket

import msgspec

#: Below the ports that the kernel gives to outgoing connections: nobody takes one between our choice and its use.
RANGE = range(20000, 32000)


class Ports(msgspec.Struct, frozen=True):
    """The TCP ports of one control plane, all on 127.0.0.1."""

    api_server: int
    etcd: int
    etcd_peers: int


def choose() -> Ports:
    """Ports on which nobody listens."""
    found: list[int] = []
    while len(found) < len(msgspec.structs.fields(Ports)):
        port = random.choice(RANGE)  # noqa: S311 - no secret
        if port not in found and _is_free(port):
            found.append(port)
    return Ports(*found)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
