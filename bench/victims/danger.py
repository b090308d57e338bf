"""How much of a boundary is left, and when the kernel would give up: what the truth calls exhausted."""

from bench.victims.kernel import Node

# Under this share of the boundary, with swap gone too, the kernel's own killer fires or is about to.
EXHAUSTED = 0.01
SWAP_GONE = 0.02


def left(node: Node, domain: str) -> float:
    """The share of the domain (node, kubepods or numa/0) that could still be had, swap included."""
    machine = node.machine
    if domain == "kubepods":
        return kubepods_left(node)
    if domain.startswith("numa/"):
        return node.local_available(int(domain[5:])) / node.part
    return (node.available() + node.swap_free) / (machine.total + machine.swap_total)


def kubepods_left(node: Node) -> float:
    """The part of kubepods' limit that is neither used nor to be had by reclaim."""
    if node.machine.kubepods_max is None:
        return 1.0
    held = sum(sum(c.used) - c.slab_now for c in node.containers if not c.hidden and c.used)
    return 1 - held / node.machine.kubepods_max


def exhausted(node: Node) -> bool:
    """Is the node, a NUMA node to which containers are bound, or kubepods.slice out of memory?"""
    machine = node.machine
    if node.swap_free > SWAP_GONE * machine.swap_total:
        return False
    bound = {c.home for c in node.containers if c.bound and c.used}
    local = any(left(node, f"numa/{k}") < EXHAUSTED for k in bound)
    return local or kubepods_left(node) < EXHAUSTED or node.available() < EXHAUSTED * machine.total
