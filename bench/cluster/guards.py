"""Who guards the node: kubelet's eviction and MemoryQoS, each by its documentation, or memguard, or nobody."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from e2e.lab.kubelet import EVICTION, configuration
from e2e.lab.specs import NodeSpec

MEMORY = "memory.available"
#: The lab's own for disks; without a threshold for memory nobody is evicted for it.
DISKS = {signal: threshold for signal, threshold in EVICTION.items() if signal != MEMORY}
#: kubelet says when it looks (conductor.py waits for that), and what it saw; no more, which would cost CPU.
TELLING = {"logging": {"vmodule": [{"filePattern": "eviction_manager", "verbosity": 3}]}}
DEFAULT_HARD = {"evictionHard": {**DISKS, MEMORY: "100Mi"}}


@dataclass(frozen=True, kw_only=True)
class Guard:
    """One way to be guarded. `kubelet`: fields of KubeletConfiguration; `source`: what it is, by whose word."""

    label: str
    source: str
    kubelet: Mapping[str, Any] = field(default_factory=lambda: {"evictionHard": DISKS})
    memguard: bool = False

    @property
    def evicts(self) -> bool:
        """Whether kubelet looks at memory, so that the moment of its look matters."""
        return MEMORY in self.kubelet["evictionHard"]

    def configuration(self, spec: NodeSpec) -> dict[str, Any]:
        """The KubeletConfiguration of a node that is guarded so."""
        return configuration(msgspec.structs.replace(spec, kubelet={**spec.kubelet, **TELLING, **self.kubelet}))


#: In the order of the table. kernelMemcgNotification changes nothing on cgroup v2: kubelet's NewCgroupNotifier gives a
#: notifier there that never notifies (pkg/kubelet/eviction/threshold_notifier_linux.go, kubernetes/kubernetes#106331).
#: kubelet looks every 10 s, and nothing in its configuration changes that.
GUARDS: tuple[Guard, ...] = (
    Guard(label="none", source="kubelet without a threshold for memory: the kernel's OOM killer alone"),
    Guard(label="kubelet-default", kubelet=DEFAULT_HARD, source="evictionHard memory.available<100Mi, its default"),
    Guard(
        label="kubelet",
        kubelet={
            "evictionHard": {**DISKS, MEMORY: "5%"},
            "evictionSoft": {MEMORY: "15%"},
            "evictionSoftGracePeriod": {MEMORY: "1s"},
            "kernelMemcgNotification": True,
        },
        source="as its page on node-pressure eviction would have it: hard at 95 % of use, soft at 15 % left (its 1.5 "
        "GiB of 10 GiB) with the shortest grace, and kernelMemcgNotification",
    ),
    Guard(
        label="memoryqos",
        kubelet={**DEFAULT_HARD, "featureGates": {"MemoryQoS": True}, "memoryThrottlingFactor": 0.9},
        source="KEP-2570, beside the default eviction: memory.min of requests, memory.high at 0.9 of the way from "
        "request to limit, or to the node's allocatable",
    ),
    Guard(
        label="memguard",
        memguard=True,
        source="the chart with profile=enforce, a policy with limit.guard; kubelet evicts nobody for memory",
    ),
    Guard(
        label="memguard-beside",
        kubelet=DEFAULT_HARD,
        memguard=True,
        source="the same beside kubelet's default eviction, as on most nodes",
    ),
)
LABELS = tuple(guard.label for guard in GUARDS)
