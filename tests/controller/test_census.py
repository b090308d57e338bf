"""Who runs on a node is asked for when there is somebody new, and again in another turn."""

from __future__ import annotations

import json
from datetime import timedelta

from tests.controller.objects import NOW

from memguard.controller.census import Census
from memguard.kube.codec import Codec
from memguard.kube.objects import Pod

LATER = NOW + timedelta(seconds=5)
_pods = Codec(Pod)


def pod(name: str, **labels: str) -> Pod:
    metadata = {"name": name, "namespace": "shop", "uid": f"uid-{name}", "labels": labels}
    status = {"name": "app", "containerID": f"containerd://id-{name}", "state": {"running": {}}}
    spec = {"nodeName": "node-a", "containers": [{"name": "app"}]}
    return _pods.object(
        json.dumps({"metadata": metadata, "spec": spec, "status": {"containerStatuses": [status]}}).encode()
    )


class Deeds:
    """The node's pods, and how often each was asked for."""

    def __init__(self, *pods: Pod) -> None:
        self.pods = {one.metadata.uid: one for one in pods}
        self.lists, self.looks = 0, 0

    def pods_on(self, node: str) -> tuple[Pod, ...]:
        assert node == "node-a"
        self.lists += 1
        return tuple(self.pods.values())

    def pod(self, namespace: str, name: str, uid: str) -> Pod | None:
        self.looks += 1
        return self.pods.get(uid)


def census(deeds: Deeds) -> Census:
    found = Census("node-a", deeds)  # type: ignore[arg-type]
    found.recognise(["id-cart"], NOW)
    return found


def test_they_are_listed_where_one_is_not_known() -> None:
    deeds = Deeds(pod("cart"))
    found = census(deeds)
    found.recognise(["id-cart"], LATER)
    assert deeds.lists == 1
    deeds.pods["uid-web"] = pod("web")
    found.recognise(["id-cart", "id-web"], LATER)
    assert (deeds.lists, set(found.identities)) == (2, {"id-cart", "id-web"})
    assert found.namespaces == {"shop"}


def test_a_pod_that_was_listed_in_this_turn_is_not_asked_for_again() -> None:
    deeds = Deeds(pod("cart"))
    assert census(deeds).pod("uid-cart", NOW) == pod("cart")
    assert deeds.looks == 0


def test_in_another_turn_it_is_as_it_is_then() -> None:
    deeds = Deeds(pod("cart", app="old"))
    found = census(deeds)
    known = found.identities
    deeds.pods["uid-cart"] = pod("cart", app="new")
    assert found.pod("uid-cart", LATER) == pod("cart", app="new")
    assert found.identities["id-cart"].labels == {"app": "new"}
    assert known["id-cart"].labels == {"app": "old"}  # another thread may be reading it


def test_who_is_gone_or_unknown_is_nobody() -> None:
    deeds = Deeds(pod("cart"))
    found = census(deeds)
    deeds.pods.clear()
    assert found.pod("uid-cart", LATER) is None
    assert found.pod("uid-web", LATER) is None
