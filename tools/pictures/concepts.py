"""The pictures of docs/concepts.md that explain; those that show figures are in measured.py."""

from __future__ import annotations

from demo.svg import element, polyline
from tools.pictures.kit import WIDTH, arrow, bar, box, caption, heading, picture, rule


def parts() -> str:
    """Who thinks, who speaks, who acts."""
    return picture(
        372,
        "The operator thinks ahead, the agent speaks, the guard acts",
        (
            heading("The operator thinks ahead, the agent speaks, the guard acts"),
            box((24, 56, 330, 96), "API server", ("policies, NodeMemory, MemoryGuardDecision, Events",), "soft"),
            box(
                (466, 56, 270, 96),
                "operator",
                ("one acts per cluster; optional: evicts minutes ahead, lends budgets",),
                "service",
            ),
            arrow((466, 92), (360, 92), "orders, evictions", at=(410, 82)),
            arrow((360, 120), (466, 120), "reports", at=(412, 138)),
            element("rect", x=24, y=208, width=712, height=140, rx=9, class_="box soft-box"),
            caption(720, 228, "every node: one pod, three containers", anchor="end"),
            box((40, 240, 206, 92), "agent", ("API token and network; no cgroups, no signals",), "cache"),
            box((278, 240, 226, 92), "guard", ("cgroups and signals; no network, no token",), "culprit"),
            box((536, 240, 184, 92), "supervisor", ("lifts what a dead guard left behind",), "hold"),
            arrow((130, 238), (130, 154), "reports, records", at=(122, 186), anchor="end"),
            arrow((190, 154), (190, 238), "policies, pods", at=(198, 186), anchor="start"),
            arrow((246, 272), (278, 272)),
            arrow((278, 300), (246, 300)),
            arrow((536, 286), (504, 286)),
        ),
    )


def line() -> str:
    """What happens in the milliseconds around a line."""
    left, right, limit, at_line, floor = 60, 700, 92, 150, 300
    curve = [
        (left, 286),
        (150, 268),
        (240, 232),
        (330, 178),
        (372, 150),
        (392, 139),
        (410, 136),
        (470, 136),
        (480, 250),
        (496, 288),
    ]
    steps = (
        (372, 150, "Bell", "the kernel counts a high event, slows this container alone, and wakes the guard"),
        (400, 137, "Hold", "the guard freezes the suspect: from now on it grows no more"),
        (436, 136, "Decide", "facts are read, scores are made, while it stands still"),
        (472, 160, "Act", "one is killed, the others run again; what comes back is measured"),
    )
    drawn = [
        heading(
            "Bell, hold, decide, act",
            "One container against its own limit. Not to scale: steps 2 to 4 take about a millisecond.",
        ),
        bar((left, limit, right - left, at_line - limit), "line", 0.12),
        rule((left, limit), (right, limit), "culprit"),
        caption(right, limit - 7, "memory.max: here the kernel's OOM killer comes", "culprit-text", anchor="end"),
        rule((left, at_line), (right, at_line), "line", dashed=True),
        caption(right, at_line + 16, "the line (memory.high)", "line-text", anchor="end"),
        caption(left + 10, (limit + at_line) / 2 + 4, "margin: 5 % of the limit, at least 16 MiB"),
        rule((left, floor), (right, floor)),
        caption(right, floor + 16, "time", anchor="end"),
        polyline(curve, "curve culprit-line"),
        caption(left + 10, 226, "memory of the container", "culprit-text"),
    ]
    for number, (x, y, name, words) in enumerate(steps, 1):
        below = 318 + number * 26
        drawn += [_badge(x, y, number), _badge(left + 10, below - 4, number)]
        drawn += [caption(left + 28, below, name, "strong ink-text"), caption(left + 84, below, words, "ink-text")]
    return picture(440, "A line under a container's limit: bell, hold, decide, act", drawn)


def _badge(x: float, y: float, number: int) -> str:
    """A number in a disc."""
    disc = element("circle", cx=x, cy=y, r=9, class_="ink-fill")
    return disc + caption(x, y + 4, str(number), "strong page-text", anchor="middle")


def ladder() -> str:
    """The steps, from the gentlest to the last."""
    steps = (
        ("notify", "an Event; a signal, if the policy asks", "guard", "cache"),
        ("reclaim", "page cache of the best holders, if the policy asks", "guard", "cache"),
        ("brake", "freeze for milliseconds; memory.high during a grace", "guard", "hold"),
        ("resize", "raise the limit in place, where the node has room", "operator", "service"),
        ("terminate", "the stop signal, with the time that the forecast leaves", "guard", "line"),
        ("kill", "the whole container at once: cgroup.kill", "guard", "culprit"),
        ("evict", "the pod, within its PodDisruptionBudget", "operator", "service"),
    )
    drawn = [
        heading(
            "The ladder",
            "Each only while it can still help, and only if the policy allows it. After each the memory is read again.",
        )
    ]
    for number, (name, words, who, tone) in enumerate(steps):
        x, y = 24 + number * 26, 76 + number * 42
        drawn.append(
            element("rect", x=x, y=y, width=WIDTH - 48 - number * 26, height=34, rx=6, class_=f"box {tone}-box")
        )
        drawn.append(caption(x + 12, y + 22, name, f"strong {tone}-text"))
        drawn.append(caption(x + 92, y + 22, words, "ink-text"))
        drawn.append(caption(WIDTH - 36, y + 22, who, anchor="end"))
    return picture(76 + 42 * 7 + 18, "The ladder: notify, reclaim, brake, resize, terminate, kill, evict", drawn)


def modes() -> str:
    """What each profile and each mode may."""
    rows = (
        ("the cgroup tree is mounted", "read-only", "writable"),
        ("capabilities of the guard", "none", "four"),
        ("signals, freezes, kills", "impossible", "where a policy says Enforce"),
        ("decisions", "recorded, not carried out", "recorded and carried out"),
        ("scorecard", "hit, false alarm, miss", "misses"),
        ("a line under a container's limit", "none: it would be a brake", "where limit.guard is true"),
    )
    drawn = [
        heading(
            "Two switches, and both must be on",
            "The profile of the node's pod says what can be done at all, the policy's mode what may be done to whom.",
        ),
        box((270, 74, 222, 40), "profile observe (default)", (), "cache"),
        box((514, 74, 222, 40), "profile enforce", (), "culprit"),
    ]
    for number, (what, observe, enforce) in enumerate(rows):
        y = 142 + number * 34
        drawn += [
            rule((24, y + 12), (736, y + 12)),
            caption(24, y, what, "strong ink-text"),
            caption(282, y, observe, "ink-text"),
            caption(526, y, enforce, "ink-text"),
        ]
    return picture(346, "Observe and enforce: what the node's pod can do, and what a policy allows", drawn)


def icon() -> str:
    """The favicon: a bar that stops at its line."""
    return picture(
        32,
        "memguard",
        (bar((6, 12, 8, 16), "service"), bar((18, 4, 8, 24), "culprit"), rule((3, 9), (29, 9), "line", dashed=True)),
        width=32,
    )
