"""The wheel as a user gets it: built, installed into a fresh environment, run away from this checkout."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli import incident

import memguard

ROOT = Path(__file__).resolve().parents[2]
# `uv run` says where uv is.
UV = os.environ.get("UV") or shutil.which("uv") or str(ROOT / ".cache" / "uv" / "bin" / "uv")


def uv(*arguments: object) -> str:
    """Run uv in this repository; its standard output."""
    ran = subprocess.run([UV, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built with the locked build backend, without network."""
    directory = tmp_path_factory.mktemp("dist")
    uv("build", "--wheel", "--no-build-isolation", "--python", sys.executable, "--out-dir", directory)
    (built,) = directory.glob("*.whl")
    return built


class Installed:
    """A fresh environment with the wheel and the locked dependencies of some extras."""

    def __init__(self, directory: Path, wheel: Path, *extras: str) -> None:
        self.directory = directory
        self.python = directory / "bin" / "python"
        locked = directory.with_suffix(".txt")
        options = [word for extra in extras for word in ("--extra", extra)]
        locked.write_text(uv("export", "--frozen", "--quiet", "--no-dev", "--no-emit-project", *options))
        uv("venv", "--quiet", "--python", sys.executable, directory)
        uv("pip", "install", "--quiet", "--python", self.python, "--require-hashes", "-r", locked)
        uv("pip", "install", "--quiet", "--python", self.python, "--no-deps", wheel)

    def memguard(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        """Run the installed console script, with nothing of this checkout in reach."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL"))}
        return subprocess.run(
            [str(self.directory / "bin" / "memguard"), *map(str, arguments)],
            cwd=self.directory,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return incident.write_trace(tmp_path_factory.mktemp("trace") / "incident.jsonl.gz")


def test_the_command_line_works_from_a_wheel(wheel: Path, trace: Path, tmp_path: Path) -> None:
    installed = Installed(tmp_path / "cli", wheel, "cli")
    assert installed.memguard("--version").stdout == f"memguard {memguard.__version__}\n"
    ranked = installed.memguard("rank", trace, "-o", "json")
    assert (ranked.returncode, ranked.stderr) == (0, "")
    assert ranked.stdout == (ROOT / "tests" / "cli" / "golden" / "rank.json").read_text()
    assert json.loads(ranked.stdout)["victim"] == incident.LEAK
    plugin = installed.memguard("kubectl", "top")
    assert (plugin.returncode, plugin.stdout) == (2, "")
    assert plugin.stderr == "memguard: urllib3 is missing. In memguard's source: pip install '.[kubectl]'\n"


def test_the_guard_needs_msgspec_and_nothing_else(wheel: Path, trace: Path, tmp_path: Path) -> None:
    """What the guard's container holds: no typer, rich or yaml; the other commands say what they lack."""
    installed = Installed(tmp_path / "guard", wheel)
    assert installed.memguard("--version").returncode == 0
    assert installed.memguard("guard", "--help").stdout.startswith("usage: memguard guard")
    ranked = installed.memguard("rank", trace)
    assert (ranked.returncode, ranked.stdout) == (2, "")
    assert ranked.stderr == "memguard: typer is missing. In memguard's source: pip install '.[cli]'\n"


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    import zipfile

    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.partition("/")[0] for name in names}
    assert tops == {"memguard", f"memguard-{memguard.__version__}.dist-info"}
    package = (ROOT / "operator" / "memguard").rglob("*")
    sources = {str(path.relative_to(ROOT / "operator")) for path in package if path.suffix in (".py", ".html", ".css")}
    assert sources <= set(names)
    assert "memguard/cli/incident/template/page.html" in sources
