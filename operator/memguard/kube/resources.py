"""Which resources there are, and how an address is made of one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar
from urllib.parse import quote

import msgspec

from memguard.kube.identities import thin_pod
from memguard.kube.objects import ConfigMap, Event, Lease, Namespace, Node, Pod, PodDisruptionBudget

T = TypeVar("T")


def _whole(one: T) -> T:
    return one


class Resource(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """One kind of object and the type that it is decoded to; the group of core/v1 is "".

    `thin`: what is kept of one that was listed or watched.
    """

    group: str
    version: str
    plural: str
    kind: str
    type: type[T]
    namespaced: bool = True
    thin: Callable[[T], T] = _whole

    @property
    def api_version(self) -> str:
        """As objects name it: "v1", "memguard.io/v1alpha1"."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str | None = None, name: str = "", subresource: str = "") -> str:
        """The address of the collection (of all namespaces without one), or of one object, or of a part of it."""
        if namespace and not self.namespaced:
            raise ValueError(f"{self.plural} have no namespace, but {namespace} was given")
        if name and self.namespaced and not namespace:
            raise ValueError(f"{self.plural} have a namespace, none was given for {name}")
        root = f"/apis/{self.api_version}" if self.group else f"/api/{self.version}"
        parts = [f"namespaces/{quote(namespace, safe='')}"] if namespace else []
        parts += [part for part in (self.plural, quote(name, safe=""), subresource) if part]
        return "/".join((root, *parts))


class Selection(msgspec.Struct, Generic[T], frozen=True):
    """Some objects of one resource: of one namespace or all, by label selector and field selector."""

    resource: Resource[T]
    namespace: str | None = None
    labels: str = ""
    fields: str = ""

    @property
    def path(self) -> str:
        """The address of the collection."""
        return self.resource.path(self.namespace)

    @property
    def query(self) -> dict[str, str]:
        """The selectors as the API server reads them."""
        selectors = {"labelSelector": self.labels, "fieldSelector": self.fields}
        return {key: value for key, value in selectors.items() if value}


PODS = Resource(group="", version="v1", plural="pods", kind="Pod", type=Pod, thin=thin_pod)
NODES = Resource(group="", version="v1", plural="nodes", kind="Node", type=Node, namespaced=False)
NAMESPACES = Resource(group="", version="v1", plural="namespaces", kind="Namespace", type=Namespace, namespaced=False)
CONFIG_MAPS = Resource(group="", version="v1", plural="configmaps", kind="ConfigMap", type=ConfigMap)
DISRUPTION_BUDGETS = Resource(
    group="policy", version="v1", plural="poddisruptionbudgets", kind="PodDisruptionBudget", type=PodDisruptionBudget
)
EVENTS = Resource(group="events.k8s.io", version="v1", plural="events", kind="Event", type=Event)
LEASES = Resource(group="coordination.k8s.io", version="v1", plural="leases", kind="Lease", type=Lease)
