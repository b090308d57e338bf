"""What is done to the chosen one: the gentlest step that can still help in the time that is left."""

from __future__ import annotations

from memguard.core.footprint import footprint, lasting
from memguard.core.model import Container
from memguard.core.policy import Action, Rule
from memguard.core.score import request
from memguard.core.select import UNCONDITIONAL_LEVEL, Candidate, Ranking

#: From kill to memory freed for 700 MB of small pages: 330 ms in virtual time (braking.md).
KILL_SECONDS = 0.35
#: Several containers of a pod end together when each frees this share of the need, and makes this share of the growth
#: that the victim makes. By the first alone, half of the leaking sidecars (bench/victims) took the main one along.
TREE_SHARE = 0.25


def choose_action(ranking: Ranking, victim: Candidate, rule: Rule) -> Action:
    """evict, terminate or kill; policy and time permitting."""
    if rule.allows("evict") and (not rule.allows("kill") or _pod_is_the_unit(ranking, victim)):
        return "evict"
    return choose_deed(ranking, victim, rule)


def choose_deed(ranking: Ranking, victim: Candidate, rule: Rule) -> Action:
    """terminate or kill: what a node can do by itself, also where an eviction would be better."""
    wanted = rule.allows("terminate") and rule.grace_seconds > 0 and may_terminate(victim.container)
    return "terminate" if wanted and _in_time(ranking, rule) else "kill"


def _in_time(ranking: Ranking, rule: Rule) -> bool:
    """Is there time for a stop signal? At an own limit the line brakes: until half of the margin is gone there is."""
    left = ranking.pressure.exhaustion_seconds
    if not (ranking.domain.is_own_limit and rule.allows("brake")):
        return left is None or left > rule.grace_seconds + KILL_SECONDS
    return ranking.pressure.level < UNCONDITIONAL_LEVEL or left is None or left > rule.grace_seconds


def relief_is_coming(pending_bytes: int, deficit_bytes: int, reserve_bytes: int) -> bool:
    """Is what victims are still giving back enough, so that nobody else need die? Not when half the reserve is gone."""
    return pending_bytes > 0 and deficit_bytes <= min(pending_bytes, reserve_bytes // 2)


def may_terminate(container: Container) -> bool:
    """May it be asked to end? Not where a clean exit would count as success (Jobs, restartPolicy not Always)."""
    job = container.owner is not None and container.owner.kind == "Job"
    return not job and container.restart_policy in (None, "Always")


def is_virtual_machine(container: Container) -> bool:
    """A whole machine run as a pod (KubeVirt): its controller migrates it when the pod is evicted."""
    return container.owner is not None and container.owner.kind == "VirtualMachineInstance"


def only_evictable(container: Container) -> bool:
    """Would ending the container be of no use, or wrong? Its memory outlives it, or it is a machine of its own."""
    shmem = container.memory.shmem_bytes or 0
    outlives = lasting(container) and shmem > footprint(container.memory) / 2
    return outlives or is_virtual_machine(container)


def _pod_is_the_unit(ranking: Ranking, victim: Candidate) -> bool:
    """Memory that outlives the container, a virtual machine, or several containers of one pod over the threshold."""
    return only_evictable(victim.container) or len(_guilty_siblings(ranking, victim)) > 1


def _guilty_siblings(ranking: Ranking, victim: Candidate) -> list[Candidate]:
    """Candidates of the victim's pod (itself among them) that are to blame each by itself: beyond its own request,
    worth its end, and growing with the victim, if that grows. The big container beside a leaking sidecar is none."""
    enough = ranking.pressure.need_bytes * TREE_SHARE
    return [
        c
        for c in ranking.candidates
        if c.excluded is None
        and (c.container.namespace, c.container.pod) == (victim.container.namespace, victim.container.pod)
        and c.freed_bytes >= enough
        and c.growth_ratio >= victim.growth_ratio * TREE_SHARE
        and footprint(c.container.memory) > (request(c.container) or 0)
    ]
