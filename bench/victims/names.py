"""Names and ids as Kubernetes gives them, neutral: nothing in a trace tells who is guilty or important."""

import random
import uuid

_WORDS = """
alder amber anchor apex atlas aurora basil beacon birch bolt breeze brook canyon cedar cinder cobalt comet
copper coral cove crane delta drift dune echo ember falcon fern fjord flint forge gale garnet glade grove
harbor hazel heron indigo iris ivory jasper juniper kestrel lagoon lantern larch lark linden lotus maple
marlin meadow mesa nimbus north oasis onyx opal orchid osprey otter pebble pine plume prism quartz quill
raven reef ridge river robin sable saffron sage sierra slate sorrel spruce stone summit swift tansy teal
thistle tidal timber topaz umber vale violet walnut willow wren yarrow zephyr
"""
WORDS = _WORDS.split()
SUFFIXES = ("", "-api", "-svc", "-core", "-v2", "-main", "-eu", "-a", "-b", "-next")
NAMESPACES = ("shop", "data", "team-a", "team-b", "platform", "payments", "media", "default", "research", "edge")
ALPHABET = "bcdfghjklmnpqrstvwxz2456789"


def hex_id(rng: random.Random) -> str:
    return f"{rng.getrandbits(256):064x}"


def uid(rng: random.Random) -> str:
    return str(uuid.UUID(int=rng.getrandbits(128), version=4))


def _tail(rng: random.Random, length: int) -> str:
    return "".join(rng.choice(ALPHABET) for _ in range(length))


def app_name(rng: random.Random, taken: set[str]) -> str:
    while True:
        name = rng.choice(WORDS) + rng.choice(SUFFIXES)
        if name not in taken:
            taken.add(name)
            return name


def pod_name(rng: random.Random, app: str, owner_kind: str, node: str) -> str:
    if owner_kind == "Deployment":
        return f"{app}-{_tail(rng, 9)}-{_tail(rng, 5)}"
    if owner_kind == "StatefulSet":
        return f"{app}-{rng.randint(0, 2)}"
    if owner_kind == "Node":
        return f"{app}-{node}"
    return f"{app}-{_tail(rng, 5)}" if owner_kind else app


def cgroup_path(pod_uid: str, qos: str, container_id: str) -> str:
    """The systemd driver's path."""
    flat = pod_uid.replace("-", "_")
    if qos == "Guaranteed":
        return f"kubepods.slice/kubepods-pod{flat}.slice/cri-containerd-{container_id}.scope"
    tier = f"kubepods-{qos.lower()}"
    return f"kubepods.slice/{tier}.slice/{tier}-pod{flat}.slice/cri-containerd-{container_id}.scope"
