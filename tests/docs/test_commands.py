"""Every command that a document has people type is one that works.

What a console block shows is run: by this module, or where it needs a cluster by e2e/test_quickstart.py, which runs the
quick start whole. Of commands in other places the names and options are checked.
"""

from __future__ import annotations

import functools
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from tests.docs.documents import ROOT, blocks, commands, documents
from tools.generate.readme import COLUMNS

QUICK_START = ROOT / "docs" / "quickstart.md"
#: The chart's own are tests/chart's; those of runbooks are for the node that an alert names, and those of cli.md are
#: the programs' own examples.
READ = [path for path in documents() if not {"charts", "runbooks", "cli.md"} & set(path.parts)]
TYPED = [(path.relative_to(ROOT).as_posix(), command) for path in READ for command in commands(path)]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
TARGETS = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
PROGRAM = re.compile(r"(?:kubectl )?memguard (?P<words>[a-z].*)")


def ran(*words: str, codes: tuple[int, ...] = (0,)) -> str:
    """What the program printed."""
    environment = os.environ | {"COLUMNS": str(COLUMNS)}
    command = [sys.executable, "-m", "memguard", *words]
    found = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert found.returncode in codes, found.stderr
    return found.stdout


@functools.cache
def helped(*place: str) -> str:
    """What a command says of itself."""
    return ran(*place, "--help")


def works(command: str, directory: Path) -> None:
    """Try a command that needs no cluster; fail where nobody knows how."""
    words = [word.removeprefix("/opt/memguard/bin/") for word in shlex.split(command) if word != "sudo"]
    match words:
        case ["make", target]:
            assert target in TARGETS
        case ["python3", "-m", "venv", "/opt/memguard"]:
            subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(directory)], check=True, timeout=120)
        case ["pip" | "pipx", "install", package]:
            assert package.removeprefix(".[").removesuffix("]") in EXTRAS
        case ["memguard", "guard", "--standalone", "--config", name]:
            (directory / name).write_text(blocks(ROOT / "README.md", "toml")[0])
            ran("guard", "--check", "--config", str(directory / name))
        case ["memguard", "top", "--once", "--plan", name]:
            (directory / name).write_text(blocks(ROOT / "README.md", "toml")[0])
            ran("top", "--once", "--plan", str(directory / name), codes=(0, 1))
        case ["memguard", "doctor"]:
            assert "cgroup v2" in ran("doctor", codes=(0, 1))
        case ["memguard", *rest]:
            assert ran(*rest)
        case _:
            pytest.fail(f"nothing runs this: {command}")


@pytest.mark.parametrize(("page", "command"), [one for one in TYPED if one[0] != "docs/quickstart.md"])
def test_a_command_works(page: str, command: str, tmp_path: Path) -> None:
    if command.startswith(("helm ", "kubectl ")):
        followed = commands(QUICK_START)
        assert any(one.startswith(command) for one in followed) or page == "docs/policies.md"
    else:
        works(command, tmp_path)


def test_the_readmes_commands_are_among_them() -> None:
    told = {command.split()[0] for page, command in TYPED if page == "README.md"}
    assert told == {"make", "helm", "kubectl", "pipx", "memguard", "sudo"}


def named() -> set[tuple[str, str]]:
    """Every command of ours that any document names, in a block or within a line."""
    found = set()
    for path in documents():
        text = path.read_text()
        inline = re.findall(r"`((?:kubectl )?memguard [a-z][^`\n]*)`", text)
        typed = (line.strip().removeprefix("$ ") for name in ("console", "sh", "") for block in blocks(path, name)
                 for line in block.splitlines())  # fmt: skip
        cut = (re.split(r" [|>#] | && ", line)[0] for line in (*inline, *typed))
        found |= {
            (path.relative_to(ROOT).as_posix(), line) for line in cut if re.match(r"(kubectl )?memguard [a-z]", line)
        }
    return found


@pytest.mark.parametrize("line", sorted({line for _, line in named()}))
def test_a_command_that_is_named_exists_with_its_options(line: str) -> None:
    match = PROGRAM.match(line)
    assert match is not None
    words = match["words"].replace("=", " ").split()
    place = ["kubectl", words[0]] if line.startswith("kubectl ") else [words[0]]
    told = helped(*place)
    options = [word.rstrip(",.;:") for word in words[1:] if re.match(r"--?[a-z]", word)]
    assert [option for option in options if not re.search(rf"(?<![\w-]){option}\b", told)] == []


def test_the_targets_of_make_that_are_named_exist() -> None:
    told = {name for path in documents() for name in re.findall(r"`make ([a-z0-9-]+)", path.read_text())}
    assert told <= TARGETS


def test_the_files_that_are_named_exist() -> None:
    """Paths of the repository, as in e2e/test_quickstart.py."""
    path_like = re.compile(
        r"(?<![\w/.])((?:docs|tests|e2e|tools|bench|charts|deploy)/[\w./-]*\w\.(?:py|md|yaml|json|jsonl))\b"
    )
    told = {(page.name, name) for page in documents() for name in path_like.findall(page.read_text())}
    assert {one for one in told if not (ROOT / one[1]).exists()} == set()
