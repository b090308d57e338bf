"""Of an API server as much as the agent's writers need, for faults that the real one does not produce on demand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from memguard.errors import AlreadyExistsError, KubeError, NotFoundError
from memguard.kube.events import Notice
from memguard.kube.resources import Resource

#: plural, namespace, name
Key = tuple[str, str, str]


class Cluster:
    """Stands for the client: objects by their address, and how often each was written.

    `fault` is asked before each call for the error that it is to end in.
    """

    def __init__(self) -> None:
        self.objects: dict[Key, dict[str, Any]] = {}
        self.calls: list[tuple[str, Key]] = []
        self.fault: Callable[[str, Key], KubeError | None] = lambda _verb, _key: None

    def create(self, resource: Resource[Any], body: Any, namespace: str | None = None) -> None:
        key = self._called("create", resource, body["metadata"]["name"], namespace)
        if key in self.objects:
            raise AlreadyExistsError("POST", "/", "it is there", remedy="")
        self.objects[key] = {**body, "status": {}}

    def merge_patch(
        self, resource: Resource[Any], name: str, body: Any, namespace: str | None = None, *, subresource: str = ""
    ) -> None:
        key = self._called("patch", resource, name, namespace)
        if key not in self.objects:
            raise NotFoundError("PATCH", "/", "it is not there", remedy="")
        self.objects[key][subresource] |= body[subresource]

    def apply(self, resource: Resource[Any], name: str, body: Any, **how: Any) -> None:
        key = self._called("apply", resource, name, None)
        if key not in self.objects:
            raise NotFoundError("PATCH", "/", "it is not there", remedy="")
        self.objects[key][how["subresource"]] = body[how["subresource"]]

    def decisions(self) -> dict[str, dict[str, Any]]:
        return {f"{ns}/{name}": one for (plural, ns, name), one in self.objects.items() if "decisions" in plural}

    def _called(self, verb: str, resource: Resource[Any], name: str, namespace: str | None) -> Key:
        key = (resource.plural, namespace or "", name)
        error = self.fault(verb, key)
        self.calls.append((verb, key))
        if error is not None:
            raise error
        return key


class Events:
    """Stands for the recorder: what would be written, each id once."""

    def __init__(self) -> None:
        self.notices: list[Notice] = []

    def emit(self, notice: Notice) -> bool:
        self.notices.append(notice)
        return True

    def told(self) -> set[tuple[str, str, str]]:
        """What people see in the end: reason, name of what it is about, and id."""
        return {(one.reason, one.regarding.name, one.id) for one in self.notices}
