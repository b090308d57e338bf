"""What nodes a lab has."""

from __future__ import annotations

from typing import Any

import msgspec


class NodeSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One node's machine, kernel and kubelet."""

    name: str
    memory_mib: int = 2048
    cpus: int = 2
    #: Memory and CPUs are divided between them evenly.
    numa_nodes: int = 1
    swap_mib: int = 0
    kernel_args: str = ""
    #: Fields of KubeletConfiguration, over the lab's own.
    kubelet: dict[str, Any] = {}


#: Neither AppArmor nor SELinux; node-b has Debian's AppArmor, under which containerd confines every container.
NODE_A = NodeSpec(name="node-a", kernel_args="lsm=landlock,yama,bpf")
NODE_B = NodeSpec(
    name="node-b", memory_mib=1536, numa_nodes=2, swap_mib=1024, kubelet={"memorySwap": {"swapBehavior": "LimitedSwap"}}
)
NODES = (NODE_A, NODE_B)
