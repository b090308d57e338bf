"""The rules of the house that a command can see."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path
from statistics import median

import msgspec
import pytest
from tools import rows
from tools.generate import files

from memguard.cli.checks.check import Check, DoctorReport
from memguard.cli.explanation import Change, Explanation, Other
from memguard.cli.incident.incident import Happening, Incident, PodNow
from memguard.cli.outlook import ContainerOutlook, NodeOutlook, Outlook

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "operator" / "memguard"
TARGETS = {"setup", "check", "test", "demo", "bench", "generate", "docs", "rows", "clean", "help"}
#: The only registry that the lock may name: what everybody has by default.
DEFAULT_REGISTRY = {"pypi.org", "files.pythonhosted.org"}


def tracked() -> list[Path]:
    """Files that git knows or would take."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [path for name in listed.splitlines() if (path := ROOT / name).is_file()]


def texts() -> list[tuple[Path, str]]:
    """Tracked files that are text."""
    found = []
    for path in tracked():
        content = path.read_bytes()
        if b"\0" not in content[:8192]:
            found.append((path, content.decode("utf-8", "replace")))
    return found


def test_the_source_root_is_no_package() -> None:
    """operator/__init__.py would shadow the standard library's operator."""
    assert PACKAGE.is_dir()
    assert not (ROOT / "operator" / "__init__.py").exists()


def test_make_has_its_targets() -> None:
    ran = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert {line.split()[0] for line in ran.stdout.splitlines()} >= TARGETS
    phony = next(line for line in (ROOT / "Makefile").read_text().splitlines() if line.startswith(".PHONY:"))
    assert set(phony.split()[1:]) >= TARGETS


@pytest.mark.parametrize("target", ["test", "demo", "bench"])
def test_what_boots_the_machine_installs_its_programs_first(target: str) -> None:
    command = ["make", "--no-print-directory", "--dry-run", target]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[:2] == ["tools/setup.sh python", "tools/setup.sh system"]


def test_the_demo_asks_for_nothing_of_clusters_and_pages() -> None:
    command = ["make", "--no-print-directory", "--dry-run", "demo"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "cluster" not in ran.stdout
    assert "browser" not in ran.stdout
    assert ran.stdout.splitlines()[-1].endswith("python -m demo")


def test_no_tracked_file_names_a_path_of_a_developers_machine() -> None:
    machine_path = re.compile(r"/(?:work|farm|home/[a-z]+|Users/[A-Za-z]+)/[a-z.]+")
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path, text in texts()
        if path.name != "uv.lock" and path != Path(__file__)
        for match in machine_path.finditer(text)
    ]
    assert not found


def test_the_lock_names_no_private_registry() -> None:
    hosts = set(re.findall(r"https?://([^/\"]+)", (ROOT / "uv.lock").read_text()))
    assert hosts <= DEFAULT_REGISTRY


def test_the_setup_installs_what_the_machine_needs() -> None:
    from tests.machine.image import PREREQUISITES

    script = (ROOT / "tools" / "setup.sh").read_text()
    pairs = dict(re.findall(r"^  ([\w.-]+):([\w.-]+)$", script, re.MULTILINE))
    assert pairs == PREREQUISITES


def test_the_setup_installs_the_browser() -> None:
    from tests.browser.chromium import PREREQUISITES

    script = (ROOT / "tools" / "setup.sh").read_text()
    (listed,) = re.findall(r"^BROWSER_PROGRAMS=\((.*)\)$", script, re.MULTILINE)
    assert dict(pair.split(":") for pair in listed.split()) == PREREQUISITES


def test_ci_runs_the_tests_and_names_no_host() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    assert "set -euo pipefail" in script
    assert script.rstrip().splitlines()[-1].endswith("make --no-print-directory test")
    assert "://" not in script + (ROOT / "tools" / "setup.sh").read_text()


def test_every_marked_row_is_one_of_the_missions() -> None:
    listed = {row.name for row in rows.rows(rows.TABLE.read_text())}
    assert rows.tests_of(ROOT / "tests").keys() <= listed


def test_marks_are_found_on_modules_classes_tests_and_cases() -> None:
    source = (
        "pytestmark = pytest.mark.row('A1')\n"
        "@pytest.mark.row('A2')\nclass TestX:\n    @pytest.mark.row('A3', 'A4')\n    def test_y(self): ...\n"
        "@pytest.mark.parametrize('x', [pytest.param(1, marks=pytest.mark.row('S1'))])\ndef test_z(x): ...\n"
    )
    assert sorted(rows.marked(source)) == [
        ("A1", ""),
        ("A2", "TestX"),
        ("A3", "TestX::test_y"),
        ("A4", "TestX::test_y"),
        ("S1", "test_z"),
    ]


def test_rows_without_a_test_are_flagged() -> None:
    listed = [rows.Row("A1", "wakes up", "core/x.py"), rows.Row("K1", "operator", rows.LATER)]
    report = "\n".join(rows.report(listed, {}))
    assert "core/x.py   <- NO TEST" in report
    assert "No test: A1. Later: K1." in report


def test_generated_files_are_current() -> None:
    assert not [path for path, _ in files.stale()], "make generate"


def _functions() -> list[ast.FunctionDef]:
    trees = (ast.parse(path.read_text()) for path in PACKAGE.rglob("*.py"))
    return [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]


def _lines(function: ast.FunctionDef) -> int:
    """Lines of its body, without the docstring."""
    docstring = function.body[0] if ast.get_docstring(function) is not None else None
    body = function.body[1:] if docstring else function.body
    return sum((node.end_lineno or node.lineno) - node.lineno + 1 for node in body)


def test_functions_are_small() -> None:
    assert median(map(_lines, _functions())) < 10


def test_no_error_is_swallowed() -> None:
    broad = re.compile(r"^\s*except(?: (?:Base)?Exception)?(?: as \w+)?:", re.MULTILINE)
    assert not [path.name for path in PACKAGE.rglob("*.py") if broad.search(path.read_text())]


@pytest.mark.parametrize("name", ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "LICENSE"])
def test_what_everybody_looks_for_is_there(name: str) -> None:
    assert (ROOT / name).read_text().strip()


def test_every_dependency_has_its_reason() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = [*project["project"]["dependencies"], *project["build-system"]["requires"]]
    for group in (*project["project"]["optional-dependencies"].values(), *project["dependency-groups"].values()):
        wanted += group
    names = {re.split(r"[\[<>=~! ]", line)[0] for line in wanted} - {"memguard"}
    reasons = (ROOT / "CONTRIBUTING.md").read_text()
    assert not [name for name in sorted(names) if f"| {name} |" not in reasons]


def test_the_documents_name_issues_by_what_they_are_about() -> None:
    """Titles have other numbers than the tracker."""
    found = {path.name: re.findall(r"issues? #?\d", path.read_text()) for path in (ROOT / "docs").glob("*.md")}
    assert not {name: lines for name, lines in found.items() if lines}


@pytest.mark.parametrize(
    ("title", "kinds"),
    [
        ("Explanation", (Explanation, Other, Change)),
        ("Outlook", (Outlook, NodeOutlook, ContainerOutlook)),
        ("Incident", (Incident, PodNow, Happening)),
        ("Diagnosis", (DoctorReport, Check)),
    ],
)
def test_every_field_of_a_stable_output_is_described(title: str, kinds: tuple[type[msgspec.Struct], ...]) -> None:
    formats = (ROOT / "docs" / "formats.md").read_text()
    section = formats.partition(f"\n## {title}: ")[2].partition("\n## ")[0]
    fields = {field.encode_name for kind in kinds for field in msgspec.structs.fields(kind)}
    assert fields <= set(re.findall(r"`([A-Za-z]+)(?:\[\])?`", section))
