"""The command line of `memguard guard`, as a shell sees it: exit codes, one line of words, never a traceback."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.kernel_files.trees import make_cgroup

from memguard.errors import ConfigError, InputError, UnfitError
from memguard.guard import life
from memguard.guard.config import Config
from memguard.guard.main import USAGE, Arguments, arguments
from memguard.kernel.host import CgroupVersion, cgroup_version

ROOT = Path(__file__).resolve().parents[2]
GUARD = [sys.executable, "-m", "memguard", "guard"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT / "operator")}

Ran = subprocess.CompletedProcess[str]


def guard(*words: object, prefix: tuple[str, ...] = ()) -> Ran:
    command = [*prefix, *GUARD, *map(str, words)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, env=ENVIRONMENT, check=False)
    assert "Traceback" not in ran.stderr
    return ran


@pytest.fixture
def config(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        path = tmp_path / "guard.toml"
        path.write_text(text)
        return path

    return write


# --- words


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["--standalone", "--config", "x"], Arguments(config="x", standalone=True)),
        (["--config=x", "--standalone"], Arguments(config="x", standalone=True)),
        (["--config=a=b", "--standalone"], Arguments(config="a=b", standalone=True)),
        (["--check", "--config", "x"], Arguments(config="x", check=True)),
        (["--standalone", "--check", "--config", "x"], Arguments(config="x", standalone=True, check=True)),
        (["--socket", "s", "--peer-uid", "7"], Arguments(socket="s", peer_uid=7)),
        (["--socket=s", "--peer-uid=7", "--config=x"], Arguments(config="x", socket="s", peer_uid=7)),
        (["--supervise"], Arguments(supervise=True)),
        (["--supervise", "--config", "x"], Arguments(config="x", supervise=True)),
        (["-h"], Arguments(help=True)),
        (["--config", "x", "--help"], Arguments(help=True)),
    ],
)
def test_words_that_mean_something(words: list[str], wanted: Arguments) -> None:
    assert arguments(words) == wanted


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ([], "--config FILE"),
        (["--standalone"], "--config FILE"),
        (["--config", "x"], "--standalone"),
        (["--standalone", "--config"], "--config needs a value"),
        (["--standalone", "--config="], "--config needs a value"),
        (["--check"], "--config FILE"),
        (["--standalone", "--confg", "x"], "'--confg'"),
        (["--standalone=yes", "--config", "x"], "'--standalone=yes'"),
        (["--socket", "s"], "--peer-uid"),
        (["--socket", "s", "--peer-uid", "agent"], "'agent'"),
        (["--socket", "--peer-uid"], "--peer-uid"),
        (["--socket", "s", "--peer-uid", "7", "--standalone", "--config", "x"], "exclude each other"),
        (["--supervise", "--standalone", "--config", "x"], "exclude each other"),
        (["--peer-uid", "7", "--config", "x"], "--standalone"),
        (["x"], "'x'"),
    ],
)
def test_words_that_do_not(words: list[str], named: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(named)) as caught:
        arguments(words)
    assert "--help" in caught.value.remedy


def test_help_names_every_option_and_every_exit_code() -> None:
    ran = guard("--help")
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, USAGE, "")
    assert all(word in USAGE for word in ("--standalone", "--config", "--check", "SIGHUP", "SIGTERM"))
    assert re.search(r"exit codes: 0 .*, 1 .*, 2 ", USAGE)


# --- checking


def test_a_good_configuration_is_called_good(config: Callable[[str], Path]) -> None:
    path = config("mode = 'Enforce'\n")
    ran = guard("--check", "--config", path)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, f"{path}: good\n", "")


PATTERNS = """
cgroupRoot = "{root}"
[[containers]]
cgroup = "apps.slice/*.service"
[[containers]]
cgroup = "typo.slice/*.service"
[[rules]]
match = {{ cgroup = "apps.slice/a*" }}
[[rules]]
match = {{ cgroup = "system.slice/*" }}
[[rules]]
"""


def test_it_says_whom_the_patterns_match_now(config: Callable[[str], Path], tmp_path: Path) -> None:
    for path in ("", "apps.slice", "apps.slice/a.service", "apps.slice/b.service", "system.slice/ssh.service"):
        make_cgroup(tmp_path / "tree", path)
    path = config(PATTERNS.format(root=tmp_path / "tree"))
    ran = guard("--check", "--config", path)
    assert (ran.returncode, ran.stdout.splitlines()) == (
        0,
        [
            f"{path}: good",
            "containers[0].cgroup: 2 cgroups match 'apps.slice/*.service' now",
            "rules[0].match.cgroup: 1 cgroup matches 'apps.slice/a*' now",
        ],
    )
    typo, unnamed = ran.stderr.splitlines()
    assert "warning: containers[1].cgroup: 0 cgroups match 'typo.slice/*.service' now" in typo
    assert "warning: rules[1].match.cgroup: 0 cgroups match 'system.slice/*' now" in unnamed


def test_where_there_is_no_tree_it_cannot_say(config: Callable[[str], Path], tmp_path: Path) -> None:
    ran = guard("--check", "--config", config(PATTERNS.format(root=tmp_path / "none")))
    assert ran.returncode == 0
    assert "none: no cgroup v2 tree" in ran.stderr
    assert ran.stdout.endswith(": good\n")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("mode = \n", "guard.toml:1: is not valid TOML"),
        ("mod = 'Observe'\n", "Did you mean 'mode'?"),
        ("mode = 'Watch'\n", "at mode"),
        ("a = " + "[" * 100_000, "too deep"),
    ],
)
@pytest.mark.parametrize("mode", ["--check", "--standalone"])
def test_a_bad_one_is_told_in_one_line(config: Callable[[str], Path], text: str, words: str, mode: str) -> None:
    ran = guard(mode, "--config", config(text))
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith("memguard guard: ")
    assert ran.stderr.count("\n") == 1
    assert words in ran.stderr


def test_a_missing_one(tmp_path: Path) -> None:
    ran = guard("--standalone", "--config", tmp_path / "none.toml")
    assert ran.returncode == 2
    assert "No such file" in ran.stderr


def test_a_name_that_is_no_text(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path / "guard") + b"\xff.toml"
    Path(os.fsdecode(path)).write_text("mode = 'Observe'\n")
    command = [*map(os.fsencode, GUARD), b"--check", b"--config", path]
    strict = ENVIRONMENT | {"PYTHONIOENCODING": "utf-8:strict"}
    ran = subprocess.run(command, capture_output=True, timeout=60, env=strict, check=False)
    assert (ran.returncode, ran.stderr) == (0, b"")
    assert ran.stdout.endswith(b": good\n")


# --- what cannot be guarded


def test_this_machine_where_it_has_no_cgroup_v2(config: Callable[[str], Path], tmp_path: Path) -> None:
    """The real host, if its tree is the old one; a directory that is no tree at all in any case."""
    version = cgroup_version("/sys/fs/cgroup")
    places = {str(tmp_path): "none"} | ({} if version == "v2" else {"/sys/fs/cgroup": version})
    for place, found in places.items():
        path = config(f"cgroupRoot = '{place}'\nrunDirectory = '{tmp_path}/run'\n")
        ran = guard("--standalone", "--config", path)
        assert (ran.returncode, ran.stdout) == (1, "")
        assert f"{place} is no cgroup v2 tree ({found})" in ran.stderr
        assert "systemd.unified_cgroup_hierarchy=1" in ran.stderr
        assert not (tmp_path / "run").exists(), "refused before anything is written"


HYBRID = """
set -e
mount -t tmpfs none "$1"
mkdir "$1/unified"
mount -t cgroup2 none "$1/unified"
shift
exec "$@"
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a hybrid tree")
def test_a_hybrid_tree_is_refused(config: Callable[[str], Path], tmp_path: Path) -> None:
    place = tmp_path / "cgroup"
    place.mkdir()
    path = config(f"cgroupRoot = '{place}'\n")
    within = ("unshare", "--mount", "sh", "-c", HYBRID, "sh", str(place))
    ran = guard("--standalone", "--config", path, prefix=within)
    assert ran.returncode == 1
    assert f"{place} is no cgroup v2 tree (hybrid)" in ran.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a cgroup tree")
def test_a_tree_without_the_memory_controller_is_refused(config: Callable[[str], Path], tmp_path: Path) -> None:
    """A hybrid host's unified tree has none, since the old one holds it; on a v2 host this one has it."""
    if cgroup_version("/sys/fs/cgroup") == "v2":
        return
    place = tmp_path / "cgroup"
    place.mkdir()
    script = 'set -e; mount -t cgroup2 none "$1"; shift; exec "$@"'
    within = ("unshare", "--mount", "sh", "-c", script, "sh", str(place))
    ran = guard("--standalone", "--config", config(f"cgroupRoot = '{place}'\n"), prefix=within)
    assert ran.returncode == 1
    assert "no memory controller" in ran.stderr


def test_a_wrong_proc_root_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(life, "cgroup_version", lambda _: "v2")
    monkeypatch.setattr(life, "controllers", lambda _: ["memory"])
    with pytest.raises(InputError, match=r"no proc file system.*procRoot"):
        life.require_fit(Config(proc_root=str(tmp_path)))


@pytest.mark.parametrize("version", ["v1", "hybrid", "none"])
def test_every_other_tree_is_unfit(monkeypatch: pytest.MonkeyPatch, version: CgroupVersion) -> None:
    monkeypatch.setattr(life, "cgroup_version", lambda _: version)
    with pytest.raises(UnfitError, match=rf"\({version}\)"):
        life.require_fit(Config())
