"""What of memguard is installed in a cluster: the kinds that tell, as much of each as `doctor` looks at."""

from __future__ import annotations

from typing import Any

from memguard.kube.objects import KubeObject, ObjectMeta
from memguard.kube.resources import Resource


class CrdVersion(KubeObject, frozen=True, kw_only=True):
    """One version of a kind; `schema` as it stands there."""

    name: str = ""
    schema: dict[str, Any] = {}


class CrdSpec(KubeObject, frozen=True, kw_only=True):
    """Its versions."""

    versions: tuple[CrdVersion, ...] = ()


class Crd(KubeObject, frozen=True, kw_only=True):
    """A CustomResourceDefinition."""

    metadata: ObjectMeta
    spec: CrdSpec = CrdSpec()


class DaemonSetStatus(KubeObject, frozen=True, kw_only=True):
    """On how many nodes it should run, and does."""

    desired_number_scheduled: int = 0
    number_ready: int = 0


class PodSpec(KubeObject, frozen=True, kw_only=True):
    """Which account its pods have."""

    service_account_name: str = ""


class PodTemplate(KubeObject, frozen=True, kw_only=True):
    """Of what its pods are made."""

    spec: PodSpec = PodSpec()


class DaemonSetSpec(KubeObject, frozen=True, kw_only=True):
    """How its pods are to be."""

    template: PodTemplate = PodTemplate()


class DaemonSet(KubeObject, frozen=True, kw_only=True):
    """A DaemonSet."""

    metadata: ObjectMeta
    spec: DaemonSetSpec = DaemonSetSpec()
    status: DaemonSetStatus = DaemonSetStatus()


class DeploymentStatus(KubeObject, frozen=True, kw_only=True):
    """How many of it are ready."""

    ready_replicas: int = 0


class Deployment(KubeObject, frozen=True, kw_only=True):
    """A Deployment."""

    metadata: ObjectMeta
    status: DeploymentStatus = DeploymentStatus()


CRDS = Resource(
    group="apiextensions.k8s.io",
    version="v1",
    plural="customresourcedefinitions",
    kind="CustomResourceDefinition",
    type=Crd,
    namespaced=False,
)
DAEMON_SETS = Resource(group="apps", version="v1", plural="daemonsets", kind="DaemonSet", type=DaemonSet)
DEPLOYMENTS = Resource(group="apps", version="v1", plural="deployments", kind="Deployment", type=Deployment)
