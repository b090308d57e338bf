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


class DaemonSet(KubeObject, frozen=True, kw_only=True):
    """A DaemonSet."""

    metadata: ObjectMeta
    status: DaemonSetStatus = DaemonSetStatus()


class DeploymentStatus(KubeObject, frozen=True, kw_only=True):
    """How many of it are ready."""

    ready_replicas: int = 0


class Deployment(KubeObject, frozen=True, kw_only=True):
    """A Deployment."""

    metadata: ObjectMeta
    status: DeploymentStatus = DeploymentStatus()


class ResourceRule(KubeObject, frozen=True, kw_only=True):
    """What an admission policy is about."""

    resources: tuple[str, ...] = ()


class MatchConstraints(KubeObject, frozen=True, kw_only=True):
    """The same, all of it."""

    resource_rules: tuple[ResourceRule, ...] = ()


class AdmissionSpec(KubeObject, frozen=True, kw_only=True):
    """Of a ValidatingAdmissionPolicy, or of its binding."""

    match_constraints: MatchConstraints = MatchConstraints()
    policy_name: str = ""
    validation_actions: tuple[str, ...] = ()


class Admission(KubeObject, frozen=True, kw_only=True):
    """A ValidatingAdmissionPolicy, or its binding."""

    metadata: ObjectMeta
    spec: AdmissionSpec = AdmissionSpec()

    @property
    def about(self) -> frozenset[str]:
        """Which resources, in the plural."""
        return frozenset(one for rule in self.spec.match_constraints.resource_rules for one in rule.resources)


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
ADMISSION_POLICIES = Resource(
    group="admissionregistration.k8s.io",
    version="v1",
    plural="validatingadmissionpolicies",
    kind="ValidatingAdmissionPolicy",
    type=Admission,
    namespaced=False,
)
ADMISSION_BINDINGS = Resource(
    group="admissionregistration.k8s.io",
    version="v1",
    plural="validatingadmissionpolicybindings",
    kind="ValidatingAdmissionPolicyBinding",
    type=Admission,
    namespaced=False,
)
