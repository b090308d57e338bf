"""The configuration file of `memguard guard --standalone`: TOML, every key checked, every error with a remedy."""

from __future__ import annotations

import os
import signal
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatchcase
from math import isfinite
from typing import Annotated, Any, NamedTuple, get_args

import msgspec

from memguard.core.model import Bytes, Container, Identity, Number, Owner, Record, RestartPolicy, unread
from memguard.core.policy import (
    GUARD_HORIZON_SECONDS,
    GUARD_PATIENCE_SECONDS,
    GUARD_SETTINGS,
    Action,
    Budget,
    Match,
    Mode,
    Plan,
    Rule,
    Settings,
)
from memguard.core.score import WEIGHTS
from memguard.errors import ConfigError, problem_and_field
from memguard.kernel.paths import is_boundary

#: More than any plan needs; what is cut off a longer file would silently not count.
LARGEST_FILE_BYTES = 1 << 20

#: The cluster's API has them, and on a node alone nobody can do them. (`evict` falls back on what can be done.)
CLUSTER_ACTIONS: tuple[Action, ...] = ("resize",)
#: No process hears these: as a request they would be the end of it, or stop it for good.
UNHEARD_SIGNALS = ("SIGKILL", "SIGSTOP")

#: A minute without a look would be no guard; and poll(2) knows no more than 24 days.
Tick = Annotated[float, msgspec.Meta(gt=0, le=60)]


class NamedCgroup(Record, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which container a cgroup is, where no Kubernetes tells: a glob over cgroup paths relative to the root."""

    cgroup: str
    namespace: str = "standalone"
    pod: str | None = None
    name: str | None = None
    owner: Owner | None = None
    priority: Number | None = None
    privileged: bool | None = None
    static: bool | None = None
    request_bytes: Bytes | None = None
    restart_policy: RestartPolicy | None = None
    labels: dict[str, str] = {}


class Tuning(Record, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the guard works; the defaults follow from measurements (docs/guard.md). Times in seconds."""

    #: sleep between looks: headroom / fastest fill, within these bounds
    tick_floor_seconds: Tick = 0.002
    tick_ceiling_seconds: Tick = 0.5
    #: one thread fills 12-13 GB/s with huge pages (docs/braking.md)
    fastest_fill_bytes_per_second: Annotated[float, msgspec.Meta(ge=1)] = 13e9
    #: freeze the suspects while deciding
    hold: bool = True
    #: SCHED_FIFO 1, so that a swarm of runnable processes cannot starve the guard
    realtime: bool = True
    #: compaction moves no locked page of the machine while the guard runs and may act
    pages_stay: bool = True
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
    containers: tuple[NamedCgroup, ...] = ()
    tuning: Tuning = Tuning()
    cgroup_root: str = "/sys/fs/cgroup"
    proc_root: str = "/proc"
    #: where the one sysctl that an acting guard sets can be written; procRoot/sys without it, which is read-only in a
    #: container
    sysctl_root: str | None = None
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
    def sysctls(self) -> str:
        """Where sysctls are."""
        return self.sysctl_root or f"{self.proc_root}/sys"

    @property
    def extra_directories(self) -> tuple[str, ...]:
        """Globs of the directories outside of kubepods whose cgroups are named in `containers`; "" is the root."""
        return tuple({i.cgroup.rpartition("/")[0] for i in self.containers if "kubepods" not in i.cgroup})

    def watches(self, cgroup: str) -> bool:
        """Is a cgroup that is no Kubernetes container named here? A slice never is: it holds containers."""
        return not is_boundary(cgroup) and any(fnmatchcase(cgroup, i.cgroup) for i in self.containers)

    def identify(self, cgroup: str, container_id: str) -> Container:
        """The container that a cgroup is; without a match it stays unmapped, and is never touched."""
        found = next((i for i in self.containers if fnmatchcase(cgroup, i.cgroup)), None)
        if found is None:
            return unread(Identity(id=container_id), cgroup)
        leaf = cgroup.rpartition("/")[2]
        facts = msgspec.structs.asdict(found) | {"pod": found.pod or leaf, "name": found.name or leaf}
        del facts["cgroup"]
        return unread(Identity(id=container_id, **facts), cgroup)


def load_config(path: str) -> Config:
    """Read and check a configuration. Raises ConfigError, naming the place and the remedy."""
    try:
        with open(path, "rb") as file:
            text = file.read(LARGEST_FILE_BYTES + 1)
    except OSError as error:
        raise ConfigError(path, f"cannot be read: {os.strerror(error.errno or 0)}", remedy="Check the path.") from None
    if len(text) > LARGEST_FILE_BYTES:
        raise ConfigError(path, "is larger than 1 MiB", remedy="Check the path; say less.")
    return parse_config(text, path)


def parse_config(text: bytes, path: str = "<config>") -> Config:
    """The same from bytes."""
    try:
        source = _Source(path, text.decode())
        data = tomllib.loads(source.text)
        _check_keys(source, data)
    except UnicodeDecodeError:
        raise ConfigError(path, "is not UTF-8 text", remedy="Write it as TOML (docs/guard.md).") from None
    except tomllib.TOMLDecodeError as error:
        raise _syntax_error(path, str(error), text) from None
    except (ValueError, RecursionError):  # an integer of thousands of digits; tables in tables in tables
        raise ConfigError(path, "has a figure too long or tables too deep", remedy="See docs/guard.md.") from None
    settings = data.get("settings")
    if isinstance(settings, dict):
        settings.setdefault("horizonSeconds", GUARD_HORIZON_SECONDS)
        settings.setdefault("patienceSeconds", GUARD_PATIENCE_SECONDS)
    try:
        config = msgspec.convert(data, Config)
    except msgspec.ValidationError as error:
        raise _wrong_value(source, error) from None
    for check in (_check_actions, _check_signals, _check_globs, _check_paths):
        check(source, config)
    return config


class _Source(NamedTuple):
    """What is read: an error about a part of it names the line."""

    path: str
    text: str

    def error(self, problem: str, *, field: str, remedy: str, at: str | None = None) -> ConfigError:
        """About a field; the line is that of `at`, where that is another."""
        from memguard.guard.tomllines import line_of

        return ConfigError(self.path, problem, field=field, remedy=remedy, line=line_of(self.text, at or field))


#: What may be written where a fixed set of words is taken, by key.
_WORDS = {
    "mode": get_args(Mode),
    "actions": tuple(action for action in get_args(Action) if action not in CLUSTER_ACTIONS),
    "restartPolicy": get_args(RestartPolicy),
}
_REMEDY = "See docs/guard.md for what each key takes."


def _wrong_value(source: _Source, error: msgspec.ValidationError) -> ConfigError:
    """msgspec's words as ours."""
    problem, path = problem_and_field(error)
    field = path.removeprefix("$").strip(".")
    words = _WORDS.get(field.rpartition(".")[2].partition("[")[0], ())
    listed = problem.startswith("Invalid enum value") and words
    return source.error(
        problem, field=field, remedy=f"Known here: {', '.join(words)}. {_REMEDY}" if listed else _REMEDY
    )


def _check_actions(source: _Source, config: Config) -> None:
    for index, rule in enumerate(config.rules):
        for action in filter(rule.allows, CLUSTER_ACTIONS):
            remedy = "Leave it out: that goes through the cluster's API, and a guard on a node does not use it."
            raise source.error(f"no guard can {action}", field=f"rules[{index}].actions", remedy=remedy)


def wrong_signals(plan: Plan) -> Iterator[tuple[str, str]]:
    """The signals in a plan that no process hears, or that are none: where each stands, and its name."""
    for index, rule in enumerate(plan.rules):
        for key, name in (("stopSignal", rule.stop_signal), ("notifySignal", rule.notify_signal)):
            if name is not None and (name not in signal.Signals.__members__ or name in UNHEARD_SIGNALS):
                yield f"rules[{index}].{key}", name


def _check_signals(source: _Source, config: Config) -> None:
    for field, name in wrong_signals(config.plan):
        if name in UNHEARD_SIGNALS:
            remedy = "Name one that it can answer; graceSeconds = 0, or the action kill alone, ends it at once."
            raise source.error(f"no process hears {name}", field=field, remedy=remedy)
        raise source.error(
            f"unknown signal {name!r}", field=field, remedy=_nearest(name, [*signal.Signals.__members__])
        )


def _check_globs(source: _Source, config: Config) -> None:
    globs = {f"rules[{index}].match.cgroup": rule.match.cgroup for index, rule in enumerate(config.rules)}
    globs |= {f"containers[{index}].cgroup": identity.cgroup for index, identity in enumerate(config.containers)}
    for field, glob in globs.items():
        if glob.startswith("/") or glob.endswith("/"):
            inside = glob.removeprefix(config.cgroup_root).strip("/")
            remedy = f"Write it relative to cgroupRoot, with no slash around it: {inside!r}."
            raise source.error(f"{glob!r} matches no cgroup", field=field, remedy=remedy)


def _check_paths(source: _Source, config: Config) -> None:
    for key in ("cgroup_root", "proc_root", "sysctl_root", "run_directory", "textfile", "trace"):
        if "\0" in (getattr(config, key) or ""):
            name = msgspec.structs.fields(Config)[Config.__struct_fields__.index(key)].encode_name
            raise source.error("a path cannot hold a NUL", field=name, remedy="Leave it out.")


def _syntax_error(path: str, problem: str, text: bytes) -> ConfigError:
    words, _, place = problem.removesuffix(")").partition(" (at ")
    number = place.removeprefix("line ").partition(",")[0]
    line = int(number) if number.isdecimal() else len(text.splitlines())
    return ConfigError(path, f"is not valid TOML: {words}", line=line, remedy="Correct that line.")


def _keys(kind: type[msgspec.Struct]) -> list[str]:
    return [field.encode_name for field in msgspec.structs.fields(kind)]


#: What may stand in which table; in any other (labels) it is the user's own.
_KNOWN = {
    "": _keys(Config),
    "settings": _keys(Settings),
    "settings.weights": list(WEIGHTS),
    "budget": _keys(Budget),
    "tuning": _keys(Tuning),
    "rules": _keys(Rule),
    "rules.match": _keys(Match),
    "containers": _keys(NamedCgroup),
    "containers.owner": _keys(Owner),
}


def _check_keys(source: _Source, value: Any, table: str = "", at: str = "") -> None:
    """A misspelt key must not silently mean the default: name it, and the nearest that exists."""
    if isinstance(value, dict):
        known = _KNOWN.get(table, value)
        for key, item in value.items():
            inner = f"{at}.{key}".lstrip(".")
            if key not in known:
                remedy = _nearest(key, list(known))
                raise source.error(f"unknown key {key!r}", field=at or "top level", remedy=remedy, at=inner)
            _check_keys(source, item, f"{table}.{key}".lstrip("."), inner)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _check_keys(source, item, table, f"{at}[{index}]")
    elif isinstance(value, float) and not isfinite(value):
        raise source.error(f"{value} is no figure", field=at, remedy=_REMEDY)


def _nearest(key: str, known: list[str]) -> str:
    from difflib import get_close_matches

    close = get_close_matches(key, known, n=1, cutoff=0.5)
    return f"Did you mean {close[0]!r}?" if close else f"Known here: {', '.join(known)}."
