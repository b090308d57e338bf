"""The configuration file of `memguard guard --standalone`: TOML, every key checked, every error with a remedy."""

from __future__ import annotations

import os
import signal
import tomllib
from fnmatch import fnmatchcase
from typing import Any

import msgspec

from memguard.core.model import Bytes, Container, Memory, Owner, Record
from memguard.core.policy import Budget, Mode, Plan, Rule, Settings
from memguard.errors import ConfigError
from memguard.kernel.paths import is_boundary

#: The guard looks every few milliseconds near the danger, so it need not act on forecasts: what it cannot wait for
#: is its own reaction. Other readers of snapshots keep the core's 8 s.
GUARD_HORIZON_SECONDS = 0.1
#: At the reserve the guard acts on all growth that would use it up within this time: the reserve is its line.
GUARD_PATIENCE_SECONDS = 60.0
GUARD_SETTINGS = Settings(horizon_seconds=GUARD_HORIZON_SECONDS, patience_seconds=GUARD_PATIENCE_SECONDS)


class Identity(Record, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which container a cgroup is, where no Kubernetes tells: a glob over cgroup paths relative to the root."""

    cgroup: str
    namespace: str = "standalone"
    pod: str | None = None
    name: str | None = None
    owner: Owner | None = None
    priority: int | None = None
    privileged: bool | None = None
    static: bool | None = None
    request_bytes: Bytes | None = None
    restart_policy: str | None = None
    labels: dict[str, str] = {}


class Tuning(Record, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the guard works; the defaults follow from measurements (docs/guard.md). Times in seconds."""

    #: sleep between looks: headroom / fastest fill, within these bounds
    tick_floor_seconds: float = 0.002
    tick_ceiling_seconds: float = 0.5
    #: one thread fills 12-13 GB/s with huge pages (mechanics.md, section 10)
    fastest_fill_bytes_per_second: float = 13e9
    #: freeze the suspects while deciding
    hold: bool = True
    #: SCHED_FIFO 1, so that a swarm of runnable processes cannot starve the guard
    realtime: bool = True
    #: lines under container limits (where rules ask for them)
    lines: bool = True
    #: PSI triggers as the third eye
    psi: bool = True


class Config(Record, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file."""

    mode: Mode = "Observe"
    settings: Settings = GUARD_SETTINGS
    rules: tuple[Rule, ...] = ()
    budget: Budget = Budget()
    containers: tuple[Identity, ...] = ()
    tuning: Tuning = Tuning()
    cgroup_root: str = "/sys/fs/cgroup"
    proc_root: str = "/proc"
    run_directory: str = "/run/memguard"
    #: node_exporter's textfile collector reads it; none is written by default
    textfile: str | None = None
    #: a trace of what was decided on, for `memguard replay`; none is written by default
    trace: str | None = None
    #: processes whose death after a kill is an alarm, by name (comm)
    critical: tuple[str, ...] = ("systemd", "kubelet", "containerd", "crio", "sshd")

    @property
    def plan(self) -> Plan:
        """The plan that decisions are made under."""
        return Plan(mode=self.mode, settings=self.settings, rules=self.rules, budget=self.budget)

    @property
    def extra_directories(self) -> tuple[str, ...]:
        """Directories outside of kubepods whose cgroups are named in `containers`."""
        return tuple({i.cgroup.rpartition("/")[0] for i in self.containers if "kubepods" not in i.cgroup} - {""})

    def watches(self, cgroup: str) -> bool:
        """Is a cgroup that is no Kubernetes container named here? A slice never is: it holds containers."""
        return not is_boundary(cgroup) and any(fnmatchcase(cgroup, i.cgroup) for i in self.containers)

    def identify(self, cgroup: str, container_id: str) -> Container:
        """The container that a cgroup is; without a match it stays unmapped, and is never touched."""
        found = next((i for i in self.containers if fnmatchcase(cgroup, i.cgroup)), None)
        blank = Container(id=container_id, cgroup=cgroup, memory=Memory(current_bytes=0))
        if found is None:
            return blank
        facts = {name: getattr(found, name) for name in found.__struct_fields__ if name != "cgroup"}
        leaf = cgroup.rpartition("/")[2]
        facts["pod"] = found.pod or leaf
        facts["name"] = found.name or leaf
        return msgspec.structs.replace(blank, **facts)


def load_config(path: str) -> Config:
    """Read and check a configuration. Raises ConfigError, naming the place and the remedy."""
    try:
        with open(path, "rb") as file:
            text = file.read(1 << 20)
    except OSError as error:
        raise ConfigError(path, f"cannot be read: {os.strerror(error.errno or 0)}", remedy="Check the path.") from None
    return parse_config(text, path)


def parse_config(text: bytes, path: str = "<config>") -> Config:
    """The same from bytes."""
    try:
        data = tomllib.loads(text.decode())
    except UnicodeDecodeError:
        raise ConfigError(path, "is not UTF-8 text", remedy="Write it as TOML (docs/guard.md).") from None
    except tomllib.TOMLDecodeError as error:
        raise _syntax_error(path, str(error)) from None
    settings = data.get("settings")
    if isinstance(settings, dict):
        settings.setdefault("horizonSeconds", GUARD_HORIZON_SECONDS)
        settings.setdefault("patienceSeconds", GUARD_PATIENCE_SECONDS)
    _refuse_unknown(path, data, Config)
    try:
        config = msgspec.convert(data, Config)
        _check_signals(path, config)
    except msgspec.ValidationError as error:
        problem, _, field = str(error).partition(" - at `$")
        raise ConfigError(
            path, problem, field=field.strip("`.") or None, remedy="See docs/guard.md for what each key takes."
        ) from None
    return config


def _check_signals(path: str, config: Config) -> None:
    known = signal.Signals.__members__
    for index, rule in enumerate(config.rules):
        for key, name in (("stopSignal", rule.stop_signal), ("notifySignal", rule.notify_signal)):
            if name is not None and name not in known:
                raise ConfigError(
                    path, f"unknown signal {name!r}", field=f"rules[{index}].{key}", remedy=_nearest(name, [*known])
                )


def _syntax_error(path: str, problem: str) -> ConfigError:
    words, _, place = problem.partition(" (at line ")
    line = place.partition(",")[0]
    return ConfigError(
        path, f"is not valid TOML: {words}", line=int(line) if line.isdecimal() else None, remedy="Correct that line."
    )


_TABLES: dict[str, Any] = {
    "settings": Settings,
    "budget": Budget,
    "tuning": Tuning,
    "rules": Rule,
    "containers": Identity,
}


def _refuse_unknown(path: str, data: dict[str, Any], kind: type[msgspec.Struct], at: str = "") -> None:
    """A misspelt key must not silently mean the default: name it, and the nearest that exists."""
    known = [field.encode_name for field in msgspec.structs.fields(kind)]
    for key, value in data.items():
        if key not in known:
            raise ConfigError(path, f"unknown key {key!r}", field=at or "top level", remedy=_nearest(key, known))
        table = _TABLES.get(key) if not at else None
        for index, item in enumerate(value if isinstance(value, list) else [value]):
            if table is not None and isinstance(item, dict):
                _refuse_unknown(path, item, table, f"{key}[{index}]" if isinstance(value, list) else key)


def _nearest(key: str, known: list[str]) -> str:
    from difflib import get_close_matches

    close = get_close_matches(key, known, n=1, cutoff=0.5)
    return f"Did you mean {close[0]!r}?" if close else f"Known here: {', '.join(known)}."
