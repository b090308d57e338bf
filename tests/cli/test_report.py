"""`memguard report`: a decision from a file, as kubectl prints it, for people and for programs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.cli import records
from tests.cli.conftest import Run
from tests.cli.test_bad_input import JSON_VALUES, assert_refused, places

from memguard.__main__ import main
from memguard.cli.incident.page import raw


def as_kubectl_prints(**changed: Any) -> dict[str, Any]:
    """With what the API server adds."""
    found: dict[str, Any] = msgspec.to_builtins(records.decision())
    found["metadata"] |= {"uid": "u", "resourceVersion": "7", "generation": 1, "managedFields": [{"manager": "agent"}]}
    return json.loads(msgspec.json.encode(found)) | changed


@pytest.fixture
def decision(tmp_path: Path) -> Path:
    path = tmp_path / "decision.yaml"
    path.write_text(yaml.safe_dump(as_kubectl_prints()))
    return path


def without_its_time(output: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(output)
    assert found.pop("madeAt")
    return found


@pytest.mark.row("G3")
def test_a_decision_is_told(run: Run, decision: Path) -> None:
    out = run("report", decision).out
    assert out.startswith("shop/cart-7d9/app was killed\nDone.")
    assert "Nobody was asked how the pod is now." in out


@pytest.mark.parametrize("write", [json.dumps, lambda it: json.dumps(it, indent=2), yaml.safe_dump])
@pytest.mark.parametrize("wrap", [lambda it: it, lambda it: {"apiVersion": "v1", "kind": "List", "items": [it]}])
def test_yaml_and_json_and_a_list_of_one_say_the_same(
    run: Run, decision: Path, tmp_path: Path, write: Callable[[Any], str], wrap: Callable[[Any], Any]
) -> None:
    path = tmp_path / "other"
    path.write_text(write(wrap(as_kubectl_prints())))
    told = without_its_time(run("report", path, "-o", "json").out)
    assert told == without_its_time(run("report", decision, "-o", "json").out)
    assert told["decision"]["spec"] == as_kubectl_prints()["spec"]


def test_a_reports_own_data_makes_the_same_report_again(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "memguard.json"
    path.write_text(raw(records.told()))
    out = run("report", path, "-o", "html").out
    assert "ready" in out
    assert "MemoryGuardKilled" in out
    assert json.loads(run("report", path, "-o", "json").out) == json.loads(raw(records.told()))


def test_times_that_yaml_knows_as_times_are_times(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "decision.yaml"
    path.write_text(re.sub("(takenAt|finishedAt): '(.*)'", r"\1: \2", yaml.safe_dump(as_kubectl_prints())))
    assert run("report", path).out.startswith("shop/cart-7d9/app was killed\n")


def test_the_page_is_whole_and_is_written_as_it_is(run: Run, decision: Path) -> None:
    out = run("report", decision, "-o", "html").out
    assert out.startswith("<!doctype html>")
    assert out.rstrip().endswith("</html>")


def test_standard_input_is_read(decision: Path) -> None:
    command = [sys.executable, "-m", "memguard", "report", "-", "-o", "json"]
    with decision.open("rb") as stdin:
        ran = subprocess.run(command, stdin=stdin, capture_output=True, check=True)
    assert json.loads(ran.stdout)["decision"]["metadata"]["name"] == records.NAME


def test_without_jinja_a_page_says_how_to_get_it(decision: Path, tmp_path: Path) -> None:
    import os

    (tmp_path / "jinja2.py").write_text("raise ModuleNotFoundError('gone', name='jinja2')\n")
    ran = subprocess.run(
        [sys.executable, "-m", "memguard", "report", str(decision), "-o", "html"],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr == "memguard: jinja2 is missing. In memguard's source: pip install '.[kubectl]'\n"


BOMB = "a: &a [1,1]\nb: &b [*a,*a]\nkind: MemoryGuardDecision\n"
BAD = {
    "empty": ("", ("empty",)),
    "blank": ("\n \n", ("empty",)),
    "no YAML": ("a: [1\n", (":2:",)),
    "a scalar": ("hello\n", ("no MemoryGuardDecision",)),
    "another kind": (json.dumps(as_kubectl_prints(kind="Pod")), ("no MemoryGuardDecision",)),
    "two of them": (json.dumps({"kind": "List", "items": [as_kubectl_prints()] * 2}), ("2 objects",)),
    "none of them": (json.dumps({"kind": "List", "items": []}), ("0 objects",)),
    "no spec": (json.dumps(as_kubectl_prints(spec={})), ("spec",)),
    "a wrong type": (json.dumps(as_kubectl_prints(status={"seconds": "soon"})), ("$.status.seconds",)),
    "a phase that is none": (json.dumps(as_kubectl_prints(status={"phase": "Gone"})), ("Gone", "$.status.phase")),
    "a number beyond all": (json.dumps(as_kubectl_prints(status={"freedBytes": 1 << 70})), ("number",)),
    "an endless number": ("kind: MemoryGuardDecision\nspec: {pressure: .inf}\n", ("pressure",)),
    "aliases": (BOMB, (":2:", "aliases")),
    "a tag": ("!!python/object/apply:os.system [true]\n", (":1:", "tag")),
    "a binary key": ("? !!binary aGk=\n: 1\n", ("MemoryGuardDecision",)),
    "deep nesting": ("[" * 20_000, ("recursion",)),
    "control characters": ("kind: \x00\n", ("special characters",)),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_a_bad_file_is_refused_in_one_line(run: Run, tmp_path: Path, what: str) -> None:
    content, words = BAD[what]
    path = tmp_path / "input"
    path.write_text(content)
    ran = run("report", path)
    assert_refused(ran.code, ran.out, ran.err, str(path), *words)


def test_what_is_not_there_is_refused(run: Run, tmp_path: Path) -> None:
    ran = run("report", tmp_path / "missing")
    assert_refused(ran.code, ran.out, ran.err, "No such file")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=400))
def test_arbitrary_bytes_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes) -> None:
    path = tmp_path / "input"
    path.write_bytes(content)
    code = main(["report", str(path)])
    out, err = capsys.readouterr()
    assert_refused(code, out, err)


PLACES = places(as_kubectl_prints())[1:]


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.sampled_from(PLACES), value=JSON_VALUES, form=st.sampled_from(["table", "html"]))
def test_any_value_in_any_place_is_told_or_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], place: tuple[str | int, ...], value: Any, form: str
) -> None:
    whole = as_kubectl_prints()
    inner: Any = whole
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = value
    path = tmp_path / "input"
    path.write_text(json.dumps(whole))
    code = main(["report", str(path), "-o", form])
    out, err = capsys.readouterr()
    if code:
        assert_refused(code, out, err)


@pytest.mark.row("G3")
def test_the_example_of_the_docs_is_a_report_that_can_be_told(run: Run) -> None:
    example = Path(__file__).parents[2] / "docs" / "examples" / "report.json"
    assert run("report", example).out.splitlines()[0].endswith("was killed")
    assert "<svg" in run("report", example, "-o", "html").out


@pytest.mark.row("G3")
def test_what_a_real_cluster_recorded_is_told(run: Run) -> None:
    """observed.json is `kubectl memguard report` of a leak that the test cluster only observed."""
    record = Path(__file__).parent / "observed.json"
    assert run("report", record).out.startswith("shop/cart-7d9/app would have been killed\nOnly observed.")
    out = run("report", record, "-o", "html").out
    assert "it was not, because its mode is Observe" in out
    assert out.count("<circle") > 20, "its readings are drawn"
