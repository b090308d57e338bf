"""The operator's command line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from memguard.controller.main import Arguments, arguments, main
from memguard.errors import ConfigError

NUMBERS = "--keep-days and --keep-decisions take numbers, not "
ROOT = Path(__file__).resolve().parents[2]


def test_what_is_needed_and_what_can_be_said() -> None:
    assert arguments(["--listen=:9466"]) == Arguments(listen=":9466", identity=os.uname().nodename)
    more = ["--namespace", "ours", "--identity=me", "--kubeconfig=k", "--keep-days=0.5", "--keep-decisions", "9"]
    assert arguments(["--listen", ":1", *more]) == Arguments(
        listen=":1", namespace="ours", identity="me", kubeconfig="k", keep_days=0.5, keep_decisions=9
    )


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ([], "--listen needs a value"),
        (["--listen"], "--listen needs a value"),
        (["--listen="], "--listen needs a value"),
        (["--listen=:1", "--kubeconfig"], "--kubeconfig needs a value"),
        (["--listen=:1", "--keep-days="], "--keep-days needs a value"),
        (["--listen=:1", "--keep-days=week"], f"{NUMBERS}'week' and '5000'"),
        (["--listen=:1", "--keep-days=-1"], f"{NUMBERS}'-1' and '5000'"),
        (["--listen=:1", "--keep-days=1.2.3"], f"{NUMBERS}'1.2.3' and '5000'"),
        (["--listen=:1", "--keep-decisions=1.5"], f"{NUMBERS}'7' and '1.5'"),
        (["--listen=:1", "--enforce"], "unknown argument '--enforce'"),
        (["listen=:1"], "unknown argument 'listen=:1'"),
        (["-x"], "unknown argument '-x'"),
    ],
)
def test_what_is_wrong_is_named(words: list[str], problem: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ConfigError) as error:
        arguments(words)
    assert problem in str(error.value)
    assert main(words) == 2
    assert capsys.readouterr().err == f"memguard operator: command line: {problem}. See memguard operator --help.\n"


def test_help_names_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--listen=:1", "-h"]) == 0
    text = capsys.readouterr().out
    assert all(f"--{name.replace('_', '-')}" in text for name in Arguments._fields)
    assert max(map(len, text.splitlines())) <= 120


def run(*words: str) -> subprocess.CompletedProcess[str]:
    environment = {"PYTHONPATH": str(ROOT / "operator"), "PATH": os.environ["PATH"]}
    command = [sys.executable, "-m", "memguard", "operator", *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)


def test_outside_of_a_cluster_it_says_what_it_lacks() -> None:
    ran = run("--listen=127.0.0.1:0")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "KUBERNETES_SERVICE_HOST is not set. Run in a pod, or give a kubeconfig." in ran.stderr


def test_a_kubeconfig_that_is_not_there_is_named(tmp_path: Path) -> None:
    ran = run("--listen=127.0.0.1:0", f"--kubeconfig={tmp_path}/none")
    assert ran.returncode == 2
    assert f"{tmp_path}/none" in ran.stderr
    assert "Traceback" not in ran.stderr
