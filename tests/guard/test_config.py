"""The configuration: every key, every way to get one wrong, and what it means when nothing is said."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.core.make import GIB, MIB, container, snapshot

from memguard.core.history import History
from memguard.core.model import Container, Memory, Owner
from memguard.core.policy import Budget, Match, Plan, Rule, Settings
from memguard.core.score import WEIGHTS
from memguard.core.select import judge
from memguard.core.trace import Header, Reading, decode_line, encode_line
from memguard.errors import ConfigError
from memguard.guard.config import (
    GUARD_HORIZON_SECONDS,
    GUARD_PATIENCE_SECONDS,
    Config,
    NamedCgroup,
    Tuning,
    load_config,
    parse_config,
)
from memguard.guard.tomllines import LONGEST_VALUE_LINES, line_of

ROOT = Path(__file__).resolve().parents[2]

#: every key with a value that is not its default
EVERY_KEY = """
mode = "Enforce"
cgroupRoot = "/cg"
procRoot = "/p"
sysctlRoot = "/s"
runDirectory = "/r"
textfile = "/t.prom"
trace = "/t.jsonl"
critical = ["init"]

[settings]
reserveRatio = 0.1
reserveCapBytes = 1073741824
reliefRatio = 1.5
horizonSeconds = 0.2
patienceLooks = 9
patienceSeconds = 30
marginRatio = 0.07
marginBytes = 33554432
protectedNamespaces = ["system"]
weights = { memory = 2.5 }

[budget]
windowSeconds = 60
perContainer = 1
perNamespace = 2
perNode = 4

[[rules]]
match = { namespace = "shop", pod = "cart-*", container = "app", cgroup = "kubepods*", labels = { app = "cart" }, \
containers = ["app"], expressions = [{ key = "tier", operator = "In", values = ["web"] }] }
mode = "Observe"
adjustment = -50
protected = true
minimumAgeSeconds = 5
guardLimit = true
graceSeconds = 0.3
stopSignal = "SIGQUIT"
notifySignal = "SIGUSR1"
notifyDirectory = "/tmp"
actions = ["notify", "kill"]
budget = { perContainer = 1, perNamespace = 2 }
overrideDisruptionBudget = true
largestLimitBytes = 1073741824
policy = "shop/cart"

[[containers]]
cgroup = "app.slice/*"
namespace = "shop"
pod = "cart-7d9"
name = "app"
requestBytes = 67108864
priority = 7
privileged = true
static = true
restartPolicy = "Never"
owner = { kind = "Job", name = "cart" }
labels = { app = "cart" }

[tuning]
tickFloorSeconds = 0.001
tickCeilingSeconds = 0.25
fastestFillBytesPerSecond = 2e9
hold = false
realtime = false
lines = false
pagesStay = false
psi = false
"""

TABLES: dict[str, type[msgspec.Struct]] = {
    "": Config,
    "settings": Settings,
    "budget": Budget,
    "tuning": Tuning,
    "rules": Rule,
    "rules.match": Match,
    "containers": NamedCgroup,
    "containers.owner": Owner,
}


def parsed(text: str | bytes) -> Config | ConfigError:
    try:
        return parse_config(text if isinstance(text, bytes) else text.encode(), "guard.toml")
    except ConfigError as error:
        return error


def refusal(text: str | bytes) -> ConfigError:
    found = parsed(text)
    assert isinstance(found, ConfigError)
    return found


def keys(kind: type[msgspec.Struct]) -> list[str]:
    return [field.encode_name for field in msgspec.structs.fields(kind)]


def differing(found: msgspec.Struct, default: msgspec.Struct) -> Iterator[str]:
    for field in msgspec.structs.fields(type(found)):
        if getattr(found, field.name) != getattr(default, field.name):
            yield field.encode_name


# --- what is said


def test_every_key_arrives() -> None:
    config = parse_config(EVERY_KEY.encode())
    rule, identity = config.rules[0], config.containers[0]
    assert identity.owner is not None
    for found, default in (
        (config, Config()),
        (config.settings, Config().settings),
        (config.budget, Budget()),
        (rule, Rule()),
        (rule.match, Match()),
        (config.tuning, Tuning()),
        (identity, NamedCgroup(cgroup="", namespace="standalone")),
        (identity.owner, Owner(kind="", name="")),
    ):
        assert set(differing(found, default)) == set(keys(type(found)))


def test_what_was_read_writes_the_same_again() -> None:
    config = parse_config(EVERY_KEY.encode())
    assert msgspec.convert(msgspec.to_builtins(config), Config) == config


def test_the_plan_is_made_of_it() -> None:
    config = parse_config(EVERY_KEY.encode())
    plan = Plan(mode="Enforce", settings=config.settings, rules=config.rules, budget=config.budget)
    assert config.plan == plan


def test_the_guard_looks_less_far_ahead_than_other_readers() -> None:
    for text in (b"", b"[settings]\nreserveRatio = 0.1\n"):
        settings = parse_config(text).settings
        assert settings.horizon_seconds == GUARD_HORIZON_SECONDS < Settings().horizon_seconds
        assert settings.patience_seconds == GUARD_PATIENCE_SECONDS


# --- what is not said


def test_nothing_said_is_harmless() -> None:
    config = parse_config(b"")
    assert config == Config()
    assert config.mode == "Observe"
    assert config.plan.mode_for(Container(id="a", memory=Memory(current_bytes=0))) == "Observe"
    assert config.rules == config.containers == ()
    assert config.textfile is config.trace is None
    rule = Rule()
    assert rule.mode is None
    assert not rule.guard_limit
    assert rule.notify_signal is rule.notify_directory is None
    assert {"kube-system", "memguard-system"} <= set(config.settings.protected_namespaces)


def test_a_cgroup_that_nobody_names_is_nobody() -> None:
    identity = parse_config(b"").identify("system.slice/cron.service", "x")
    assert not identity.mapped


# --- who is who


IDENTITIES = b"""
[[containers]]
cgroup = "app.slice/web-*.service"
pod = "web"
[[containers]]
cgroup = "app.slice/*"
[[containers]]
cgroup = "kubepods.slice/*/cri-containerd-3f*.scope"
namespace = "shop"
"""


@pytest.mark.parametrize(
    ("cgroup", "title"),
    [
        ("app.slice/web-1.service", "standalone/web/web-1.service"),
        ("app.slice/db.service", "standalone/db.service/db.service"),
        ("kubepods.slice/pod1/cri-containerd-3fa.scope", "shop/cri-containerd-3fa.scope/cri-containerd-3fa.scope"),
        ("system.slice/cron.service", "system.slice/cron.service"),
    ],
)
def test_the_first_glob_that_matches_says_who_it_is(cgroup: str, title: str) -> None:
    assert parse_config(IDENTITIES).identify(cgroup, "id").title == title


@pytest.mark.parametrize(
    ("cgroup", "watched"),
    [
        ("app.slice/db.service", True),
        ("system.slice/cron.service", False),
        ("app.slice/inner.slice", False),
        ("app.slice", False),
    ],
)
def test_units_are_watched_where_they_are_named_and_slices_never(cgroup: str, watched: bool) -> None:
    config = parse_config(IDENTITIES)
    assert config.watches(cgroup) is watched
    assert config.extra_directories == ("app.slice",)


# --- what is said wrongly


@pytest.mark.parametrize(
    ("text", "field", "nearest"),
    [
        ("mod = 'Enforce'", "top level", "mode"),
        ("[setings]\nreserveRatio = 1", "top level", "settings"),
        ("[settings]\nreserve_ratio = 0.1", "settings", "reserveRatio"),
        ("[settings.weights]\nmemmory = 2", "settings.weights", "memory"),
        ("[budget]\nperNodes = 1", "budget", "perNode"),
        ("[tuning]\ntickFloor = 1", "tuning", "tickFloorSeconds"),
        ("[[rules]]\n[[rules]]\ngraceSecond = 1", "rules[1]", "graceSeconds"),
        ("[[rules]]\nmatch = { namspace = 'a' }", "rules[0].match", "namespace"),
        ("[[containers]]\ncgroup = 'a'\nnamspace = 'a'", "containers[0]", "namespace"),
        ("[[containers]]\ncgroup = 'a'\nowner = { kind = 'a', nam = 'b' }", "containers[0].owner", "name"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest(text: str, field: str, nearest: str) -> None:
    error = refusal(text)
    assert error.field == field
    assert repr(nearest) in error.remedy
    assert "unknown key" in str(error)


@pytest.mark.parametrize("table", TABLES)
def test_a_key_that_is_like_no_other_is_refused_with_those_that_exist(table: str) -> None:
    outer, _, inner = table.partition(".")
    lists = ("rules", "containers")
    text = "" if not outer else f"[[{outer}]]\n" if outer in lists else f"[{outer}]\n"
    text += "cgroup = 'a'\n" if outer == "containers" else ""
    error = refusal(text + (f"{inner} = {{ xyzzyq = 1 }}" if inner else "xyzzyq = 1"))
    assert all(key in error.remedy for key in keys(TABLES[table]))


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("mode = 'Watch'", "mode"),
        ("mode = 1", "mode"),
        ("critical = 'init'", "critical"),
        ("textfile = 7", "textfile"),
        ("settings = 1", "settings"),
        ("[settings]\nreserveRatio = 'much'", "settings.reserveRatio"),
        ("[settings]\nreserveRatio = 1.5", "settings.reserveRatio"),
        ("[settings]\nreserveCapBytes = -1", "settings.reserveCapBytes"),
        ("[settings]\nweights = { memory = 'x' }", "settings.weights"),
        ("[settings]\nweights = { memory = -1 }", "settings.weights"),
        ("[budget]\nperNode = 1.5", "budget.perNode"),
        ("[budget]\nwindowSeconds = -1", "budget.windowSeconds"),
        ("[tuning]\nhold = 1", "tuning.hold"),
        ("[tuning]\nfastestFillBytesPerSecond = 0", "tuning.fastestFillBytesPerSecond"),
        ("[tuning]\nfastestFillBytesPerSecond = nan", "tuning.fastestFillBytesPerSecond"),
        ("[tuning]\ntickFloorSeconds = 0", "tuning.tickFloorSeconds"),
        ("[tuning]\ntickFloorSeconds = -1", "tuning.tickFloorSeconds"),
        ("[tuning]\ntickFloorSeconds = nan", "tuning.tickFloorSeconds"),
        ("[tuning]\ntickCeilingSeconds = 0", "tuning.tickCeilingSeconds"),
        ("[tuning]\ntickCeilingSeconds = inf", "tuning.tickCeilingSeconds"),
        ("[settings]\npatienceSeconds = inf", "settings.patienceSeconds"),
        ("[[rules]]\nadjustment = 1001", "rules"),
        ("[[rules]]\nactions = ['kil']", "rules"),
        ("[[rules]]\ngraceSeconds = -1", "rules"),
        ("[[rules]]\ngraceSeconds = nan", "rules"),
        ("rules = 1", "rules"),
        ("rules = [1]", "rules"),
        ("[[containers]]\nname = 'a'", "containers"),
        ("[[containers]]\ncgroup = 'a'\nrequestBytes = -1", "containers"),
        ("[[containers]]\ncgroup = 'a'\nrestartPolicy = 'always'", "containers"),
        ("[[containers]]\ncgroup = 'a'\npriority = 99999999999999999999", "containers"),
        ("[[containers]]\ncgroup = 'a'\nowner = { kind = 'Job' }", "containers"),
    ],
)
def test_a_wrong_value_names_its_field(text: str, field: str) -> None:
    error = refusal(text)
    assert error.field is not None
    assert error.field.startswith(field)
    assert "docs/guard.md" in error.remedy


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("mode = 'enforce'", "Observe, Enforce."),
        ("[[rules]]\nmode = 'enforce'", "Observe, Enforce."),
        ("[[rules]]\nactions = ['notify', 'kil']", "notify, reclaim, brake, terminate, kill, evict."),
        ("[[containers]]\ncgroup = 'a'\nrestartPolicy = 'always'", "Always, OnFailure, Never."),
    ],
)
def test_a_wrong_word_is_told_which_there_are(text: str, known: str) -> None:
    assert f"Known here: {known}" in refusal(text).remedy


def test_what_only_a_cluster_can_do_is_refused() -> None:
    error = refusal("[[rules]]\n[[rules]]\nactions = ['kill', 'resize']")
    assert (error.field, error.line) == ("rules[1].actions", 3)
    assert "no guard can resize" in str(error)
    assert "cluster's API" in error.remedy


def test_eviction_is_accepted_since_it_falls_back() -> None:
    assert parse_config(b"[[rules]]\nactions = ['evict', 'kill']").rules[0].allows("evict")


@pytest.mark.parametrize("key", ["stopSignal", "notifySignal"])
@pytest.mark.parametrize("name", ["SIGKILL", "SIGSTOP"])
def test_a_signal_that_nobody_hears_is_refused(key: str, name: str) -> None:
    error = refusal(f"[[rules]]\n{key} = '{name}'")
    assert (error.field, error.line) == (f"rules[0].{key}", 2)
    assert f"no process hears {name}" in str(error)
    assert "action kill" in error.remedy


@pytest.mark.parametrize("table", ["[[containers]]\ncgroup = '{}'", "[[rules]]\nmatch.cgroup = '{}'"])
@pytest.mark.parametrize("glob", ["/apps.slice/*", "apps.slice/*/", "/sys/fs/cgroup/apps.slice/*"])
def test_a_glob_that_matches_no_cgroup_is_refused_with_the_one_that_was_meant(table: str, glob: str) -> None:
    error = refusal(table.format(glob))
    assert error.line == 2
    assert "matches no cgroup" in str(error)
    assert "'apps.slice/*'" in error.remedy


PLACES = """\
# line 1
textfile = \"\"\"
mode = "this is text"
\"\"\"
critical = [
  "a",
]

[settings]
reserveRatio = 0.1  # line 10
weights = { memory = 1 }
[[rules]]
match.namespace = "[budget]"
match.labels = { app = "x" }

[[ rules ]]
"mode" = 'Observe'
  [rules.match]
  pod = "a"  # line 19
[budget]\r
perNode = 3\r
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("textfile", 2),
        ("critical", 5),
        ("critical[0]", 5),
        ("settings", 9),
        ("settings.reserveRatio", 10),
        ("settings.weights.memory", 11),
        ("settings.weights[...]", 11),
        ("rules[0]", 12),
        ("rules[0].match.namespace", 13),
        ("rules[0].match.labels[...]", 14),
        ("rules[1]", 16),
        ("rules[1].mode", 17),
        ("rules[1].match", 18),
        ("rules[1].match.pod", 19),
        ("rules[1].match.po", 18),
        ("rules[2]", None),
        ("budget.perNode", 21),
        ("mode", None),
        ("", None),
    ],
)
def test_the_line_of_each_place_is_found(path: str, line: int | None) -> None:
    assert line_of(PLACES, path) == line


def test_what_stands_behind_an_endless_value_is_not_looked_for() -> None:
    many = "critical = [\n" + "'a',\n" * LONGEST_VALUE_LINES + "]\nmode = 'x'\n"
    assert refusal(many).line is None
    assert refusal("critical = [\n'a',\n]\nmode = 'x'\n").line == 4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\n[settings]\nreserveRato = 1", "guard.toml:3: unknown key 'reserveRato' at settings. Did you mean"),
        ("\nmod = 'Observe'", "guard.toml:2: unknown key 'mod' at top level. Did you mean 'mode'?"),
        ("\nmode = 'enforce'", "guard.toml:2: Invalid enum value 'enforce' at mode. Known here: Observe, Enforce."),
        ("[tuning]\nhold = 1", "guard.toml:2: Expected `bool`, got `int` at tuning.hold. "),
        ("[tuning]\ntickFloorSeconds = nan", "guard.toml:2: nan is no figure at tuning.tickFloorSeconds. "),
        ("[[rules]]\n\nstopSignal = 'SIGTRM'", "guard.toml:3: unknown signal 'SIGTRM' at rules[0].stopSignal. "),
        ("\n[[containers]]\nname = 'a'", "guard.toml:2: Object missing required field `cgroup` at containers[0]. "),
        ('\ntrace = "a\\u0000b"', "guard.toml:2: a path cannot hold a NUL at trace. "),
    ],
)
def test_an_error_names_its_line(text: str, message: str) -> None:
    assert str(refusal(text)).startswith(message)


@pytest.mark.parametrize("key", ["stopSignal", "notifySignal"])
@pytest.mark.parametrize(("name", "nearest"), [("SIGTRM", "SIGTERM"), ("sigusr1", ""), ("9", "")])
def test_a_signal_that_does_not_exist(key: str, name: str, nearest: str) -> None:
    error = refusal(f"[[rules]]\n[[rules]]\n{key} = '{name}'")
    assert error.field == f"rules[1].{key}"
    assert name in str(error)
    assert nearest in error.remedy


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("mode = \n", 1),
        ("mode = 'Observe'\n\n[settings\nx = 1", 3),
        ("mode = 'Observe'\nmode = 'Enforce'\n", 2),
        ("# fine\n\ncritical = [1,\n", None),
        ("a = 'x\n", 1),
    ],
)
def test_bad_toml_names_its_line(text: str, line: int | None) -> None:
    error = refusal(text)
    assert "TOML" in str(error)
    if line is not None:
        assert error.line == line
        assert str(error).startswith(f"guard.toml:{line}: ")


# --- files


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "guard.toml"
    path.write_text(EVERY_KEY)
    assert load_config(str(path)) == parse_config(EVERY_KEY.encode())


def test_a_missing_file_and_a_directory(tmp_path: Path) -> None:
    for path, problem in ((tmp_path / "none.toml", "No such file"), (tmp_path, "directory")):
        with pytest.raises(ConfigError, match=problem) as caught:
            load_config(str(path))
        assert caught.value.source == str(path)
        assert caught.value.exit_code == 2


def test_a_huge_file_is_refused_and_never_cut_off(tmp_path: Path) -> None:
    """Cut at a line's end it would be a good file, without its last rules."""
    path = tmp_path / "guard.toml"
    path.write_text("#" * ((1 << 20) - 1) + "\nmode = 'Enforce'\n")
    with pytest.raises(ConfigError, match="MiB"):
        load_config(str(path))


TOML_BITS = st.sampled_from([*EVERY_KEY.splitlines(), "[", "[[", "= {", '"', "'''", "\\", "nan", "inf", "1e999", "\0"])


@given(st.binary(max_size=200) | st.lists(TOML_BITS, max_size=8).map("\n".join).map(str.encode))
@example(b"\xff\xfe")
@example(b"a = " + b"[" * 100_000)
@example(b"a = " + b"1" * 5000)
@example(b"[" + b"a." * 5000 + b"a]\n")
@example(b"mode = 1979-05-27\n")
@example(b"[settings]\nreserveCapBytes = " + b"9" * 400)
@example(b"[tuning]\ntickCeilingSeconds = 1e999\n")
def test_anything_is_a_configuration_or_refused(content: bytes) -> None:
    found = parsed(content)
    assert isinstance(found, Config) or (str(found).startswith("guard.toml") and found.remedy)


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["Job", "Always"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@pytest.mark.row("G2")
@given(
    st.fixed_dictionaries({}, optional={key: VALUES for key in keys(NamedCgroup) if key not in ("cgroup", "labels")})
)
def test_whoever_is_accepted_can_be_written_into_a_trace_and_read_again(facts: dict[str, Any]) -> None:
    """Else a replay could not read what the guard wrote."""
    text = "[[containers]]\ncgroup = 'a'\n" + "".join(f"{key} = {_toml(value)}\n" for key, value in facts.items())
    config = parsed(text)
    if isinstance(config, ConfigError):
        return
    reading = Reading(snapshot=snapshot([config.identify("a", "id")]))
    assert decode_line(encode_line(reading)) == reading
    header = Header(plan=Plan(rules=config.rules))
    assert decode_line(encode_line(header)) == header


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        items = (f"{msgspec.json.encode(key).decode()} = {_toml(item)}" for key, item in value.items())
        return f"{{{', '.join(items)}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, float):
        return repr(value)
    return msgspec.json.encode(value).decode() if value is not None else '""'


# --- what is written about it


def documented() -> str:
    return (ROOT / "docs" / "guard.md").read_text()


#: only without patienceSeconds, which the guard always has; docs/score.md tells of it
#: Two of them say something in a cluster only.
NOT_FOR_THE_GUARD = {"patienceLooks", "overrideDisruptionBudget", "largestLimitBytes"}


@pytest.mark.parametrize("table", TABLES)
def test_every_key_is_documented(table: str) -> None:
    text = documented()
    missing = [key for key in keys(TABLES[table]) if not re.search(rf"(?<!\w){key}(?!\w)", text)]
    assert set(missing) <= NOT_FOR_THE_GUARD


def test_the_documented_configuration_is_a_good_one_and_shows_the_defaults() -> None:
    [block] = re.findall(r"```toml\n(.*?)```", documented(), re.DOTALL)
    config = parse_config(block.encode())
    assert config.mode == "Observe"
    assert config.budget == Budget()
    assert config.tuning == Tuning()
    assert msgspec.structs.replace(config.settings, relief_ratio=4 / 3) == Config().settings
    assert config.rules[0].actions == Rule().actions


def test_the_documented_weights_are_the_scores() -> None:
    text = "[settings.weights]\n" + "".join(f"{name} = {weight}\n" for name, weight in WEIGHTS.items())
    assert parse_config(text.encode()).settings.weights == dict(WEIGHTS)


@pytest.mark.parametrize(
    "text",
    [
        "[settings]\nreserveRatio = 0\nmarginBytes = 0\nmarginRatio = 0\nhorizonSeconds = 0\npatienceSeconds = 0\n",
        "[settings]\nreserveRatio = 1\nreserveCapBytes = 9223372036854775807\nreliefRatio = 1e9\n",
        "[settings]\nmarginRatio = 1\nmarginBytes = 9223372036854775807\n[settings.weights]\n"
        + "".join(f"{name} = 0\n" for name in WEIGHTS),
    ],
)
def test_the_extremes_that_are_accepted_can_be_judged_with(text: str) -> None:
    plan = parse_config((text + "[[rules]]\nguardLimit = true\n").encode()).plan
    history = History()
    for available in (GIB, 100 * MIB, 0):
        look = snapshot([container("a", limit_bytes=GIB)], available=available, seconds=GIB / (available + 1))
        history, ranking = judge(history, look, plan)
        assert ranking.candidates
