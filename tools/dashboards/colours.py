"""What colours mean, the same on every dashboard: of a series by its legend, of a value, and of a word."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

GREEN, YELLOW, ORANGE, RED, BLUE, GREY = "green", "yellow", "orange", "red", "blue", "text"
#: Which colour from a value on; what is below the first is green.
Steps = Sequence[tuple[float, str]]
#: A value's word and colour.
Words = Mapping[float, tuple[str, str]]
LEAST = float("-inf")

#: By the legend that shows it.
SERIES: Mapping[str, Mapping[str, str]] = {
    "{{level}}": {"Calm": GREEN, "Tight": YELLOW, "Critical": RED},
    "{{verdict}}": {"hit": GREEN, "false_alarm": ORANGE, "miss": RED},
    "{{action}}": {"terminate": ORANGE, "kill": RED},
    "{{step}}": {
        "notify": BLUE, "reclaim": "purple", "hold": YELLOW, "brake": ORANGE, "terminate": "semi-dark-red", "kill": RED
    },
    "available": {"available": GREEN},
    "reserve": {"reserve": RED},
    "tight below": {"tight below": YELLOW},
    "threshold": {"threshold": RED},
}  # fmt: skip

BAD: Steps = ((1, RED),)
DOUBTFUL: Steps = ((1, ORANGE),)
#: Memory above the reserve.
HEADROOM: Steps = ((LEAST, RED), (0, GREEN))
#: Seconds until nothing is left: MemguardExhaustionNear.
SOON = 600
EXHAUSTION: Steps = ((LEAST, RED), (SOON, ORANGE), (2 * SOON, GREEN))
#: Share of alarms that were right: MemguardFalseAlarmsHigh.
TRUST: Steps = ((LEAST, RED), (0.5, ORANGE), (0.9, GREEN))

LEVELS: Words = {0: ("Calm", GREEN), 1: ("Tight", YELLOW), 2: ("Critical", RED)}
MODES: Words = {0: ("observes", BLUE), 1: ("enforces", GREEN)}
FIT: Words = {0: ("not fit", ORANGE), 1: ("fit", GREEN)}
CURRENT: Words = {0: ("stale", RED), 1: ("current", GREEN)}
CAN: Words = {0: ("no", ORANGE), 1: ("yes", GREEN)}
