"""Command lines of a control plane's four programs; each runs in the control plane's directory."""

from __future__ import annotations

from pathlib import Path

from e2e.lab.certificates import HOST_SEEN_BY_NODE, SERVICE_ADDRESS, Certificates
from e2e.lab.ports import Ports

TOKENS = "tokens.csv"
#: Nobody asks a controller anything, and several may run: the secure port 0 serves nothing.
CONTROLLER = ("--leader-elect=false", "--secure-port=0")


def etcd(ports: Ports) -> tuple[str, ...]:
    """Without fsync: the data are thrown away, and only a power failure of this machine could lose them before."""
    clients, peers = _etcd_url(ports), f"http://127.0.0.1:{ports.etcd_peers}"
    return (
        "--data-dir=etcd", f"--listen-client-urls={clients}", f"--advertise-client-urls={clients}",
        f"--listen-peer-urls={peers}", f"--initial-advertise-peer-urls={peers}", f"--initial-cluster=default={peers}",
        "--unsafe-no-fsync", "--log-level=warn",
    )  # fmt: skip


def api_server(ports: Ports, certificates: Certificates) -> tuple[str, ...]:
    """It listens on loopback alone; nodes reach it through QEMU's user network, which is what it tells pods."""
    signing = certificates.service_account_key
    return (
        f"--etcd-servers={_etcd_url(ports)}", f"--secure-port={ports.api_server}", "--bind-address=127.0.0.1",
        f"--advertise-address={HOST_SEEN_BY_NODE}",
        f"--service-cluster-ip-range={SERVICE_ADDRESS.rpartition('.')[0]}.0/16",
        f"--tls-cert-file={certificates.file('apiserver.crt')}",
        f"--tls-private-key-file={certificates.file('apiserver.key')}",
        f"--client-ca-file={certificates.authority}", f"--token-auth-file={TOKENS}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-signing-key-file={signing}", f"--service-account-key-file={signing}",
        "--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction", "--allow-privileged",
        # Each node has an address of its own on this machine's loopback: nothing to resolve.
        "--kubelet-preferred-address-types=ExternalIP",
        f"--kubelet-client-certificate={certificates.file('kubelet-client.crt')}",
        f"--kubelet-client-key={certificates.file('kubelet-client.key')}",
    )  # fmt: skip


def controller_manager(kubeconfig: Path, certificates: Certificates) -> tuple[str, ...]:
    """Every controller with a service account of its own, as in a real cluster."""
    return (
        *CONTROLLER, f"--kubeconfig={kubeconfig}", "--use-service-account-credentials",
        f"--service-account-private-key-file={certificates.service_account_key}",
        f"--root-ca-file={certificates.authority}",
    )  # fmt: skip


def scheduler(kubeconfig: Path) -> tuple[str, ...]:
    """The default scheduler."""
    return (*CONTROLLER, f"--kubeconfig={kubeconfig}")


def _etcd_url(ports: Ports) -> str:
    return f"http://127.0.0.1:{ports.etcd}"
