"""The guards of the race: memguard as the bench configures it, and those it is compared with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.machine.guest.cgroups import Names, as_cgroupfs
from tests.machine.guest.peers import PEERS
from tests.machine.guest.spec import MIB, Driver, Guard

#: In the order of the tables. How each peer is configured, and by whose word, stands in tests/machine/guest/peers.py.
LABELS = ("none", *PEERS, "memguard")

#: Requests as the machine's kubelet would have them (guest/plan.py); the others ask for 64 MiB.
REQUESTS = {"service": 256 * MIB, "database": 112 * MIB, "lat": 32 * MIB, "reader": 32 * MIB, "churner": 32 * MIB}
CONTAINERS = ("hog", "hog2", "app", "service", "database", "lat", "churner", "reader")
#: Where there are no sandboxes, everything else in a pod is a container too.
IDLE = 'cgroup = "kubepods.slice/*"\nnamespace = "idle"\nrequestBytes = 8388608'

READY = '"kind":"start"'


def config(
    *,
    mode: str = "Enforce",
    rule: Mapping[str, Any] | None = None,
    budget: Mapping[str, Any] | None = None,
    tuning: Mapping[str, Any] | None = None,
    idle: bool = False,
    reserve: str = "@RESERVE@",
    extra: str = "",
    driver: Driver = "systemd",
) -> str:
    """memguard's TOML for one cell. `reserve` is the cell's own, so that all guards race for the same line.

    Only containers that are named are ever touched: a sandbox is nobody. `idle` names the idle ones as well (for
    cells without sandboxes, which look the same from outside). `extra` is text for the top level, `driver` the cell's.
    """
    identities = [_identity(name, driver) for name in CONTAINERS]
    tables = (
        ("[settings]", {"reserveRatio": 0.5, "reserveCapBytes": Raw(reserve)}),
        ("[tuning]", tuning or {}),
        ("[budget]", budget or {}),
        ("[[rules]]", {"guardLimit": True, **(rule or {})}),
    )
    return "\n".join(
        (
            f'mode = "{mode}"',
            'runDirectory = "@RUN@/mg"',
            extra,
            *(_table(head, values) for head, values in tables if values),
            *(f"[[containers]]\n{text}" for text in (*identities, *((IDLE,) if idle else ()))),
        )
    )


class Raw(str):
    """A value that stands in the file as it is."""


def memguard(text: str | None = None, **options: Any) -> Guard:
    """memguard with this configuration."""
    return Guard(kind="memguard", config=config() if text is None else text, ready=READY, **options)


def guard(label: str, **options: Any) -> Guard:
    """The guard of that name; `options` are for memguard's config and mean nothing to the others."""
    return memguard(config(**options)) if label == "memguard" else Guard(kind=label)  # type: ignore[arg-type]


def _identity(name: str, driver: Driver) -> str:
    request, path = REQUESTS.get(name, 64 * MIB), Names(name).container()
    path = as_cgroupfs(path) if driver == "cgroupfs" else path
    return f'cgroup = "{path}"\nnamespace = "shop"\npod = "{name}"\nname = "{name}"\nrequestBytes = {request}'


def _table(head: str, values: Mapping[str, Any]) -> str:
    return "\n".join((head, *(f"{key} = {_value(value)}" for key, value in values.items())))


def _value(value: Any) -> str:
    if isinstance(value, Raw):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)
