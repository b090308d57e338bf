"""The words of the field that a report uses, for a reader who meets them for the first time."""

from __future__ import annotations

GLOSSARY = {
    "Boundary": "What was about to run out: the node's memory, what all pods together may use (kubepods), a NUMA node, "
    "or the own limit of a pod or a container. The victim is chosen within it, as the kernel would.",
    "Reserve": "What must be left within the boundary, so that there is time to act before the kernel has to.",
    "Pressure": "How close the boundary is to breaking, from 0 (calm) to 1 (now).",
    "Threshold": "The score from which on a container may be chosen. It falls as the pressure rises.",
    "Score": "From 0 to 1000: how much speaks for ending this container rather than another. It is the sum of a few "
    "factors with published weights, and never depends on which other containers there are.",
    "Badness": "What candidates are ordered by: the score, plus what ending the container would really free, plus a "
    "little where it sleeps. The highest is chosen.",
    "Growth": "How much of the boundary's recent growth a container makes: the best sign of who is to blame now.",
    "Line": "A memory.high that memguard puts just under a limit. When it is crossed the kernel slows that container, "
    "and only it, and wakes memguard.",
    "Held still": "Frozen for milliseconds (cgroup.freeze), so that nothing grows while it is decided.",
    "Whole container": "All of its processes end together (cgroup.kill): none is left behind half alive.",
    "Observe": "Nothing is done. memguard records what it would have done, and whether the kernel's OOM killer came "
    "within ten minutes (hit) or not (false alarm).",
    "Enforce": "What is decided is done.",
    "OOM killer": "The kernel's last resort when nothing is left: it picks by size, late, and does not explain itself.",
}
