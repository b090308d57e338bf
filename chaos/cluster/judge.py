"""The invariants, on what was seen. A fault excuses exactly what it makes impossible to hold, and it is said why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import NamedTuple

from chaos.cluster.draw import FAULTS
from chaos.cluster.faults import FOREIGN_HIGH
from chaos.cluster.pods import NEIGHBOURS, SPACE
from chaos.cluster.seen import Happened, KernelKill, Seen

#: A guard has its plan and its lines within 5 s of its start (e2e/test_faults.py); emulated and beside a fault, twice.
ARMED_SECONDS = 10.0
#: The guard looks for its supervisor, and whether its lines are still its own, every 10 s.
LOOK_SECONDS = 12.0
#: An agent that found no API server asks again after up to 30 s.
NAMED_SECONDS = 35.0
#: The supervisor takes less than one second (e2e/test_isolation.py); emulated, beside a fault, this.
LIFTED_SECONDS = 2.0
#: By SIGKILL, ours or the kernel's.
KILLED = 137
#: containerd's word for a container that could not be started; of one that was not even made there is none.
NEVER_STARTED = frozenset({128, None})
#: Faults that end whoever starts containers.
RESTARTS = ("kubelet evicts", "kubelet killed", "containerd killed")
#: Five calm minutes, and the last report of trouble may have been a while after it.
TAINT_SECONDS = 400.0
#: Faults that end the guard, and those of them that end its supervisor, too.
DEADLY = ("guard killed", "node pod deleted", "DaemonSet deleted", "guard at its limit")
SUPERVISOR = ("supervisor killed", "supervisor stopped", "supervisor slowed")
POD_GONE = ("node pod deleted", "DaemonSet deleted")
#: Faults by which the agent, or the API server for it, is away.
MUTE = tuple(
    name for name in FAULTS
    if name.startswith(("agent ", "API server ", "etcd ", "kubelet ", "containerd "))
    or name in {"partitioned", "answers lost", *POD_GONE}
)  # fmt: skip
#: Which of our containers a fault ends.
ENDS = {
    **{f"{name} killed": (name,) for name in ("guard", "supervisor", "agent", "operator")},
    "guard at its limit": ("guard",),
}


class Verdict(NamedTuple):
    """What did not hold, and what need not hold because of a fault."""

    broken: tuple[str, ...]
    excused: tuple[str, ...]


def judge(seen: Seen) -> Verdict:
    """All invariants."""
    found = [one for invariant in INVARIANTS for one in invariant(seen)]
    return Verdict(
        tuple(dict.fromkeys(words for words, why in found if not why)),
        tuple(dict.fromkeys(f"{words}: {why}" for words, why in found if why)),
    )


#: A sentence, and the excuse, "" where there is none.
Finding = tuple[str, str]


def kernel_was_not_first(seen: Seen) -> Iterator[Finding]:
    """No kernel OOM kill."""
    for kill in seen.kills:
        yield f"the kernel's OOM killer ended {_who(kill)}", _excuse(seen, kill)


def nobody_else_was_ended(seen: Seen) -> Iterator[Finding]:
    """Of the neighbours none restarted, was evicted, or made anew. A PodDisruptionBudget is kept by that, too."""
    here = (pod for name, pod in seen.after.items() if name.startswith(f"{SPACE}/"))
    apps = {pod.app: pod for pod in here if not pod.evicted}
    for name, before in seen.before.items():
        if before.app not in NEIGHBOURS or not name.startswith(f"{SPACE}/"):
            continue
        after = apps.get(before.app)
        if after is None or after.uid != before.uid or after.restarts != before.restarts:
            yield f"{before.app} was ended", _killed_by_others(seen, before.app, before.uid)


def the_leak_was_ended(seen: Seen) -> Iterator[Finding]:
    """It is not let go on for ever."""
    if seen.lives_on:
        braked = "somebody else's memory.high brakes it" * seen.draw.plays("memory.high by another")
        yield "the leak lives on", braked or "no guard came meanwhile" * (seen.guard_since > seen.over_at)


def budgets_are_held(seen: Seen) -> Iterator[Finding]:
    """Its policy allows one end."""
    if seen.draw.leak == "twice" and len(seen.records) > 1:
        made_anew = seen.draw.plays(*POD_GONE)
        yield (
            f"ended {len(seen.records)} times with a budget of 1",
            "the pod was made anew, and its run directory is gone with what it had spent" * made_anew,
        )


def decisions_are_exact(seen: Seen) -> Iterator[Finding]:
    """Each act is recorded once under the id that the guard's journal has, with its outcome."""
    said, recorded = {act.id for act in seen.acts}, {act.id for act in seen.records}
    for lost in sorted(said - recorded):
        yield f"decision {lost} was said and not recorded", _state_gone(seen)
    for made_up in sorted(recorded - said):
        lost = f"{seen.lost_lines} lines of the journal were dropped, or cut by a full disk" if seen.lost_lines else ""
        yield f"decision {made_up} was recorded and never said", lost
    for act in seen.records:
        if act.phase != "Done":
            yield f"the outcome of {act.id} is not known ({act.phase or 'no status'})", _guard_died(seen)
    for container, times in Counter(act.container for act in seen.records).items():
        if times > 1:
            yield f"container {container[:12]} was ended {times} times", _guard_died(seen)


def every_end_is_told(seen: Seen) -> Iterator[Finding]:
    """No end of the leak that neither the kernel nor kubelet nor a record of ours explains."""
    after = seen.after.get(f"{SPACE}/{seen.draw.pod}")
    if after is None or after.evicted:
        return
    ended = after.restarts.get("app", 0)
    by_kernel = sum(after.uid.replace("-", "_") in kill.cgroup for kill in seen.kills)
    if ended > by_kernel + len(seen.records):
        words = f"the leak ended {ended} times, {by_kernel} by the kernel, {len(seen.records)} by a record"
        never = after.exits.get("app") in NEVER_STARTED and seen.draw.plays(*RESTARTS)
        yield words, "kubelet was restarted while it started it again" * never or _guard_died(seen) or _state_gone(seen)


def nothing_is_left(seen: Seen) -> Iterator[Finding]:
    """No line or freeze, neither while there was no guard nor when all is over; and no hand on somebody else's line."""
    for seconds in seen.left_seconds:
        if seconds > LIFTED_SECONDS:
            words = f"lines or freezes of a dead guard were there for {seconds:.1f} s"
            yield words, "the supervisor was a fault's victim, too" * seen.draw.plays(*SUPERVISOR, "CPU starved")
    for what, where in (("line", seen.lines), ("freeze", seen.frozen)):
        for path in where:
            yield f"a {what} was left on {path}", ""
    if seen.draw.plays("memory.high by another") and seen.foreign_high != str(FOREIGN_HIGH["database"]):
        yield f"somebody else's memory.high became {seen.foreign_high}", ""


def our_programs_go_on(seen: Seen) -> Iterator[Finding]:
    """No traceback, and none of our containers ends that no fault has ended."""
    for where in seen.tracebacks:
        yield f"a traceback in the log of {where}", ""
    allowed = {name for fault in seen.draw.faults for name in ENDS.get(fault.name, ())}
    for key, before in seen.before.items():
        after = seen.after.get(key)
        if after is None or key.startswith(f"{SPACE}/") or after.uid != before.uid:
            continue
        for name, restarts in after.restarts.items():
            if restarts > before.restarts.get(name, 0) and name not in allowed:
                yield f"the {name} ended by itself (exit code {after.exits.get(name)})", ""


def all_is_well_again(seen: Seen) -> Iterator[Finding]:
    """Everything is Ready, and the taint is gone with the trouble."""
    if seen.unready:
        yield f"not ready in time: {seen.unready}", ""
    if seen.taint_seconds is not None and seen.taint_seconds > TAINT_SECONDS:
        yield f"the taint stands {seen.taint_seconds:.0f} s after the last trouble", ""


def faults_were_played(seen: Seen) -> Iterator[Finding]:
    """What could not be played is told, and nothing was shown by it."""
    for fault in seen.happened:
        if fault.problem:
            yield f"{fault.name} was not played", fault.problem


INVARIANTS: tuple[Callable[[Seen], Iterator[Finding]], ...] = (
    kernel_was_not_first,
    nobody_else_was_ended,
    the_leak_was_ended,
    budgets_are_held,
    decisions_are_exact,
    every_end_is_told,
    nothing_is_left,
    our_programs_go_on,
    all_is_well_again,
    faults_were_played,
)


def _excuse(seen: Seen, kill: KernelKill) -> str:
    """Why a kernel's kill is no fault of the guard's."""
    own = "memguard" in kill.cgroup or any(uid in kill.cgroup for uid in _own_uids(seen))
    if own and seen.draw.plays("guard at its limit"):
        return "somebody filled the guard's own cgroup"
    for fault in seen.happened:
        if why := _absent(seen, fault, kill):
            return why
    if kill.shared or kill.cgroup.endswith(seen.first_leak):
        return ""
    if len(seen.records) == 1:
        return "its policy's budget of one end is spent"
    if seen.draw.plays(*MUTE) and kill.at <= max(fault.ended for fault in seen.happened) + NAMED_SECONDS:
        return "the agent could not tell the guard who its second container is"
    return ""


def _absent(seen: Seen, fault: Happened, kill: KernelKill) -> str:
    """Whether a fault took guard or line away at that time."""
    over = max(fault.ended for fault in seen.happened)
    since = {
        **dict.fromkeys(DEADLY, (max(seen.guard_since, over) + ARMED_SECONDS, "there was no guard")),
        "guard stopped": (fault.ended + 1, "the guard stood still"),
        "guard slowed": (fault.ended + 1, "the guard had a sixth of its time"),
        "supervisor killed": (over + LOOK_SECONDS, "no line stands while there is no supervisor"),
        "memory.high by another": (over + LOOK_SECONDS, "somebody else's memory.high: no line of ours stands there"),
    }
    until, why = since.get(fault.name, (0.0, ""))
    return why if fault.began <= kill.at <= until else ""


def _killed_by_others(seen: Seen, app: str, uid: str) -> str:
    kill = next((kill for kill in seen.kills if uid.replace("-", "_") in kill.cgroup), None)
    if kill is not None:
        return _excuse(seen, kill) and "the kernel chose it while no guard was there"
    if seen.draw.plays("disk full") and _exit(seen, app) not in {0, KILLED}:
        return "its writes failed on the full disk"
    evicted = any(pod.app == app and pod.evicted for pod in seen.after.values())
    return "kubelet evicted it" if evicted and seen.draw.plays("kubelet evicts") else ""


def _exit(seen: Seen, app: str) -> int:
    """Of its last end."""
    return next((pod.exits.get("app", 0) for pod in seen.after.values() if pod.app == app), 0)


def _guard_died(seen: Seen) -> str:
    """Between the act and the word of it, or of its outcome, lie milliseconds."""
    return "the guard was killed in the middle of it" if seen.draw.plays(*DEADLY) else ""


def _state_gone(seen: Seen) -> str:
    return "the pod was deleted by force, and what waited in it is gone" if seen.draw.plays(*POD_GONE) else ""


def _own_uids(seen: Seen) -> list[str]:
    pods = {**seen.before, **seen.after}
    return [pod.uid.replace("-", "_") for key, pod in pods.items() if not key.startswith(f"{SPACE}/")]


def _who(kill: KernelKill) -> str:
    return f"{kill.task} for want of the {'node' if kill.shared else 'container'}'s memory"
