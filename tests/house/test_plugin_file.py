"""The kubectl plugin as a single file, run as a stranger would; and what a release is made of."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import yaml
from tools import plugin

import memguard


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file, for the Python that runs the tests."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return plugin.build(tmp_path_factory.mktemp("dist") / plugin.NAME, [version])


def run(program: Path, *arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    """With nothing of this checkout in reach, and the Python of the tests as python3."""
    python = home / "bin" / "python3"
    python.parent.mkdir(exist_ok=True)
    if not python.exists():
        python.symlink_to(Path(sys.executable).resolve())
    environment = {"HOME": str(home), "PATH": f"{python.parent}:{os.defpath}"}
    return subprocess.run(
        [str(program), *arguments], cwd=home, env=environment, capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.row("K8")
def test_the_file_is_the_plugin_and_needs_nothing_else(built: Path, tmp_path: Path) -> None:
    assert run(built, "--version", home=tmp_path).stdout == f"memguard {memguard.__version__}\n"
    assert "Usage: kubectl memguard top" in run(built, "top", "--help", home=tmp_path).stdout
    asked = run(built, "top", "--once", home=tmp_path)
    assert (asked.returncode, asked.stdout) == (1, "")
    assert asked.stderr.startswith("memguard: there is no kubeconfig.")


def test_kubectl_completes_with_the_program_beside_it(built: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    run(built, "--version", home=home)
    (home / "bin" / plugin.NAME).symlink_to(built)
    ran = run(plugin.COMPLETION, "sim", home=home)
    candidate, directive = ran.stdout.splitlines()
    assert (candidate.partition("\t")[0], directive) == ("simulate", ":4")


def test_an_archive_holds_the_file_what_completes_it_and_the_licence(built: Path, tmp_path: Path) -> None:
    one, two = (plugin.packed(tmp_path / f"{number}.tar.gz", built) for number in (1, 2))
    with tarfile.open(one) as archive:
        assert {member.name: f"{member.mode:o}" for member in archive} == {
            "kubectl-memguard": "755",
            "kubectl_complete-memguard": "755",
            "LICENSE": "644",
        }
    assert one.read_bytes()[16:] == two.read_bytes()[16:]  # but for its own name in the head


def test_krews_manifest_names_every_archive_and_the_python_that_it_needs() -> None:
    sums = {target.archive: f"{number:064x}" for number, target in enumerate(plugin.TARGETS)}
    filled = yaml.safe_load(plugin.filled(plugin.MANIFEST.read_text(), "https://example.org/v1/", sums))
    assert filled["spec"]["version"] == f"v{memguard.__version__}"
    found = {one["uri"]: one["sha256"] for one in filled["spec"]["platforms"]}
    assert found == {f"https://example.org/v1/{name}": digest for name, digest in sums.items()}
    labels = [one["selector"]["matchLabels"] for one in filled["spec"]["platforms"]]
    assert labels == [{"os": target.os, "arch": target.arch} for target in plugin.TARGETS]
    assert "Python 3.11" in filled["spec"]["caveats"]
    with pytest.raises(SystemExit, match="there is no kubectl-memguard-linux-amd64"):
        plugin.filled(plugin.MANIFEST.read_text(), "https://example.org", {})
