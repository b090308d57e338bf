"""The words of a report: what was done or would have been, what became of it, and how times and places are called."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from memguard.cli.incident.incident import Incident, short
from memguard.cli.words import duration, times
from memguard.core.explain import size
from memguard.core.policy import Action

Tone = Literal["good", "bad", "open"]

#: What was done to the victim, and what would have been done.
DONE: dict[Action, str] = {
    "notify": "was notified",
    "reclaim": "had its cache reclaimed",
    "brake": "was slowed down",
    "resize": "got a higher limit",
    "terminate": "was asked to end",
    "kill": "was killed",
    "evict": "was evicted",
}
WOULD: dict[Action, str] = {
    "notify": "would have been notified",
    "reclaim": "would have had its cache reclaimed",
    "brake": "would have been slowed down",
    "resize": "would have got a higher limit",
    "terminate": "would have been asked to end",
    "kill": "would have been killed",
    "evict": "would have been evicted",
}
#: What is written down before the cluster is asked, and was refused.
UNDONE: dict[Action, str] = {
    "resize": "was to get a higher limit, and did not",
    "evict": "was to be evicted, and was not",
}
#: What led to it, as the recorded trigger is told to people.
TRIGGERS = {
    "line": "the kernel rang: the line under the limit was crossed",
    "psi": "the kernel rang: processes stood still for want of memory",
    "tick": "memguard looked, and too little was left",
    "order": "the operator ordered it",
    "report": "the node's reports showed it coming",
    "storm": "it had been ended in place again and again",
}
DOMAINS = {
    "node": "the node",
    "kubepods": "all pods of the node",
    "pod": "the pod's limit",
    "container": "the container's limit",
}


class Verdict(msgspec.Struct, frozen=True):
    """What became of it in a word and in a sentence; `tone` colours it, and never says more than the word."""

    tone: Tone
    word: str
    words: str


def headline(incident: Incident) -> str:
    """Who, and what was done."""
    return f"{short(incident.subject)} {deed(incident)}"


def deed(incident: Incident) -> str:
    """What was done, or would have been, without the name."""
    spec, status = incident.decision.spec, incident.decision.status
    if spec.mode == "Observe":
        return WOULD[spec.action]
    done = DONE[spec.action] if status.kill_seconds is None else f"{DONE[spec.action]}, and was killed"
    if status.phase != "Incomplete":
        return done
    return UNDONE[spec.action] if _refused(incident) else f"{done}, and did not go"


def remark(incident: Incident) -> str | None:
    """What must be known of the action: why something else was done than was chosen, or what the record leaves open."""
    spec = incident.decision.spec
    if spec.wanted in (None, spec.action):
        return _with_the_pod(incident) if spec.action == "evict" else _left_open(incident)
    if spec.wanted == "evict":
        return "An eviction would have been better; a node that cannot wait ends the container itself."
    if spec.wanted == "terminate":
        return "It was to be asked to end first; nobody in it could take the signal, so it was killed."
    return f"{spec.wanted} was chosen; {spec.action} was done."


def _with_the_pod(incident: Incident) -> str | None:
    """Memory-backed volumes outlive a container."""
    spec = incident.decision.spec
    alone = next((one.freed_bytes for one in spec.candidates if one.id == spec.victim.id), spec.expected_bytes)
    if alone >= spec.expected_bytes:
        return None
    return f"{size(spec.expected_bytes - alone)} of its memory outlives the container, and goes with the pod only."


def _left_open(incident: Incident) -> str | None:
    spec, status = incident.decision.spec, incident.decision.status
    if spec.action != "terminate" or spec.mode == "Observe" or status.phase != "Done":
        return None
    if status.kill_seconds is not None:
        return f"It did not end within {duration(status.kill_seconds)}, so it was killed."
    if not incident.timeline:  # of a version that did not tell
        return "It ended by itself or, when its time was over, was killed: the record does not tell which."
    return "It ended by itself."


def verdict(incident: Incident) -> Verdict:
    """What became of it."""
    return _of_watching(incident) if incident.decision.spec.mode == "Observe" else _of_acting(incident)


def _of_watching(incident: Incident) -> Verdict:
    status = incident.decision.status
    match status.verdict:
        case "Hit":
            words = "The kernel's OOM killer came within ten minutes: acting would have been right."
            return Verdict("bad", "Observed: hit", words)
        case "FalseAlarm":
            words = "The kernel's OOM killer did not come within ten minutes: acting would have been one end too many."
            return Verdict("open", "Observed: false alarm", words)
    words = "Whether the kernel's OOM killer comes within ten minutes is not known yet."
    return Verdict("open", "Only observed", words)


def _of_acting(incident: Incident) -> Verdict:
    status = incident.decision.status
    if status.kernel_oom_kills:
        return Verdict("bad", "The kernel came all the same", f"{_freed(incident)} {kernel_words(incident)}")
    match status.phase:
        case "Done":
            return Verdict("good", "Done", f"{_freed(incident)} {kernel_words(incident)}".strip())
        case "Acted":
            return Verdict("open", "On its way", "What became of it was not recorded yet.")
        case "Incomplete":
            return Verdict("bad", "Incomplete", _why_incomplete(incident))
    return Verdict("open", "Not known", "What became of it was not recorded.")


def kernel_words(incident: Incident) -> str:
    """Did the kernel's OOM killer come all the same? Empty where that is not known."""
    kills = incident.decision.status.kernel_oom_kills
    if kills is None:
        return ""
    if kills == 0:
        return "The kernel's OOM killer did not come within ten minutes."
    return f"The kernel's OOM killer came all the same, {times(kills)} within ten minutes."


def _freed(incident: Incident) -> str:
    spec, status = incident.decision.spec, incident.decision.status
    if spec.action == "resize":
        return "Kubelet was asked to raise the limit; the container goes on."
    after = f" after {duration(status.seconds)}" if status.seconds is not None else ""
    back = "what came back is not known" if status.freed_bytes is None else f"{size(status.freed_bytes)} came back"
    return f"It was gone{after}; {back}."


def _refused(incident: Incident) -> bool:
    spec, status = incident.decision.spec, incident.decision.status
    return status.phase == "Incomplete" and spec.action in UNDONE and status.freed_bytes is None


def _why_incomplete(incident: Incident) -> str:
    status = incident.decision.status
    if _refused(incident):
        return "The cluster refused it, or it was not needed any more."
    waited = f" {duration(status.seconds)} later" if status.seconds is not None else ""
    back = "" if status.freed_bytes is None else f" {size(status.freed_bytes)} came back."
    return f"It was still there{waited}.{back}"


def place(domain: str) -> str:
    """The boundary, for people; ids and paths stand in the facts."""
    kind, _, name = domain.partition(":")
    return f"NUMA node {short(name, 12)}" if kind == "numa" else DOMAINS.get(kind, short(domain, 40))


def trigger_words(trigger: str) -> str:
    """What led to it."""
    return TRIGGERS.get(trigger, short(trigger) or "not recorded")


def clock(at: datetime) -> str:
    """A time of day with its date, for people."""
    return f"{at.day} {at:%B %Y, %H:%M:%S %Z}"


def around(seconds: float) -> str:
    """A time as seen from the action: `2.3 s before`, `at 0`, `330 ms after`."""
    if seconds == 0:
        return "at 0"
    return f"{duration(abs(seconds))} {'before' if seconds < 0 else 'after'}"
