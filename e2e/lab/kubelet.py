"""Configuration of a lab node's kubelet and of its pods' network."""

from __future__ import annotations

from typing import Any

from e2e.lab.specs import NodeSpec

FILES = "/etc/kubernetes"
#: The nodes are small: kubelet's own 100Mi would begin where the guard's reserve lies.
EVICTION = {"memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%"}
STATIC_PODS = "/var/lib/kubelet/manifests"


def configuration(spec: NodeSpec) -> dict[str, Any]:
    """KubeletConfiguration of a node: the lab's, and over it what its spec says."""
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": f"{FILES}/ca.crt"},
        },
        "authorization": {"mode": "Webhook"},
        # Without these kubelet makes an RSA key at each boot: seconds under emulation.
        "tlsCertFile": f"{FILES}/kubelet.crt",
        "tlsPrivateKeyFile": f"{FILES}/kubelet.key",
        "cgroupDriver": "systemd",
        "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
        "staticPodPath": STATIC_PODS,
        "failSwapOn": False,
        "evictionHard": EVICTION,
        # Nothing can be pulled again.
        "imageGCHighThresholdPercent": 100,
        "clusterDomain": "cluster.local",
        "clusterDNS": ["10.96.0.10"],
        **spec.kubelet,
    }


def pod_network(number: int) -> dict[str, Any]:
    """CNI configuration of a node's pods: a bridge with 10.244.NUMBER.0/24."""
    ranges = [[{"subnet": f"10.244.{number}.0/24"}]]
    addresses = {"type": "host-local", "ranges": ranges, "routes": [{"dst": "0.0.0.0/0"}]}
    bridge = {"type": "bridge", "bridge": "cni0", "isGateway": True, "ipMasq": True, "ipam": addresses}
    ports = {"type": "portmap", "capabilities": {"portMappings": True}}
    return {"cniVersion": "1.0.0", "name": "pods", "plugins": [bridge, ports]}
