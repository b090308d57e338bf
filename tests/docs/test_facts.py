"""What the documents say in figures and names is what benchmarks, code and chart say."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest
import yaml
from bench.kernel import docs as race
from bench.victims.recording.judged import COMMITTED as RECORDED
from bench.victims.report import COMMITTED, ITSELF, RANKING, US, pick, share
from tests.docs.documents import ROOT, blocks, documents, lines_of_prose

from memguard import __version__
from memguard.cli.checks.privileges import CAPABILITIES
from memguard.core.catalogue import CATALOGUE, OPERATOR
from memguard.core.domain import reserve
from memguard.core.policy import GIB, Settings
from memguard.errors import InputError
from memguard.guard.config import parse_config

DOCS = ROOT / "docs"
WIDTH = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]["line-length"]
VALUES = yaml.safe_load((ROOT / "charts" / "memguard" / "values.yaml").read_text())
#: Of the chart's values, those under which others stand: `guard.resources` in a text is one of them.
_VALUE = re.compile(
    rf"`((?:{'|'.join(key for key, value in VALUES.items() if isinstance(value, dict))})\.[A-Za-z.]+)[`=:]"
)
_SET = re.compile(r"--set ([A-Za-z.]+)=")
#: What a settings table of a document may be called like; they are the standalone guard's, or a policy's.
NOT_VALUES = {
    "guard.py",
    "guard.md",
    "guard.toml",
    "node.json",
    "node.memory",
    "node.pressure",
    "node.numa",
    "agent.py",
    "operator.py",
}


def text(name: str) -> str:
    return (DOCS / name).read_text()


def table(page: str, heading: str) -> dict[str, list[str]]:
    """The rows of the first table after a heading, by their first cell."""
    lines = page.partition(f"{heading}\n")[2].partition("\n|")[2].splitlines()[2:]
    rows = {}
    for line in lines:
        if not line.startswith("|"):
            break
        first, *rest = (cell.strip(" *") for cell in line.strip("|").split("|"))
        rows[first] = rest
    return rows


def test_the_race_is_told_as_it_was_run() -> None:
    report = json.loads(race.COMMITTED.read_text())
    for page in race.PAGES:
        assert race.filled(page.read_text(), report) == page.read_text()
    [ours] = [guard for guard in report["kernel"]["guards"] if guard["guard"] == "memguard"]
    assert f"{ours['good']} of {ours['runs']} runs" in text("index.md")


def test_where_a_peer_is_better_is_what_was_measured() -> None:
    rows = json.loads(COMMITTED.read_text())["rows"]
    swap = pick(rows, corpus="test", part=RANKING, kind="swap-hog")
    theirs, ours = (100 * share(pick(swap, guard=name)[0], "right") for name in ("systemd-oomd-swap", US))
    vain = [100 * share(row, "needless") for kind in ("all", "spike-recovers", "jvm-plateau")
            for row in pick(rows, corpus="test", part=ITSELF, guard=US, kind=kind)]  # fmt: skip
    assert f"({theirs:.0f} % against {ours:.0f} of memguard's" in text("comparison.md")
    assert f"kills in vain in {vain[0]:.0f} %" in text("comparison.md")
    assert [round(percent, -1) for percent in vain[1:]] == [20, 10]  # one spike in five, one warm-up in ten


def test_the_recorded_incidents_are_told_as_they_were_judged() -> None:
    report = json.loads(RECORDED.read_text())
    by_itself = {row["guard"]: row for row in pick(report["rows"], part=ITSELF, kind="all")}
    right = {guard: 100 * share(row, "right") for guard, row in by_itself.items()}
    theirs, best = max((percent, guard) for guard, percent in right.items() if guard != US)
    page = text("comparison.md").replace("\n", " ")
    assert f"On {sum(report['where'].values())} incidents [recorded" in page
    assert f"right in {right[US]:.0f} % (the next best, {best}, in {theirs:.0f} %)" in page
    assert f"killed in vain in {100 * share(by_itself[US], 'needless'):.0f} % of those" in page


def test_the_reserves_are_those_of_the_code() -> None:
    for node, (told, *_) in table(text("sizing.md"), "## The reserve").items():
        found = reserve(int(node.removesuffix(" GiB")) * GIB, Settings())
        value, unit = told.split(" ")
        assert float(value) == pytest.approx(found / (GIB if unit == "GiB" else 1 << 20), rel=0.01), node


@pytest.mark.parametrize("figure", ["58 MiB", "115 MiB"])
def test_the_operators_figures_are_those_of_sizing(figure: str) -> None:
    assert figure in {cells[0] for cells in table(text("sizing.md"), "## The operator").values()}
    assert figure in text("operator.md")
    assert figure in (ROOT / "charts" / "memguard" / "values.yaml").read_text()


def test_sizing_and_index_quote_the_benchmarks() -> None:
    costs = text("benchmarks.md").partition("<!-- tests -->")[2]
    idle = re.search(r"CPU ms in 60 s of idleness: .* \| ([\d.]+); ([\d.]+);", costs)
    memory = re.search(r"guard's cgroup, 250 containers.*? \| ([\d.]+); ([\d.]+) \|", costs)
    lifted = re.search(r"seconds until all was lifted after kill -9 \| ([\d.]+) ", costs)
    assert idle
    assert memory
    assert lifted
    assert f"{float(idle[1]):.0f} ms a minute with 10 containers, {float(idle[2]):.0f} with 250" in text("sizing.md")
    assert f"{float(memory[1]):.1f} MiB, {float(memory[2]):.1f} of them" in text("sizing.md")
    assert f"{float(memory[2]):.1f} MiB" in text("index.md")
    assert f"{1000 * float(lifted[1]):.0f} ms" in text("index.md")
    assert f"{1000 * float(lifted[1]):.0f} ms" in text("concepts.md")


@pytest.mark.parametrize("page", ["images.md", "quickstart.md"])
def test_the_images_are_built_with_the_tag_that_the_chart_asks_for(page: str) -> None:
    tags = set(re.findall(r"memguard-(?:\$target|node|operator):([\d.]+\d)", text(page)))
    assert tags == {__version__}


def test_the_capabilities_are_those_that_the_doctor_asks_for() -> None:
    assert set(table(text("security.md"), "## What each capability is for")) == set(CAPABILITIES)


@pytest.mark.parametrize("path", documents(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_prose_is_wrapped_as_code_is(path: Path) -> None:
    assert [line for line in lines_of_prose(path) if len(line) > WIDTH] == []


def test_every_metric_that_is_named_exists() -> None:
    known = {metric.name for metric in (*CATALOGUE, *OPERATOR)}
    derived = {f"{name}{suffix}" for name in known for suffix in ("_bucket", "_sum", "_count")}
    named = {
        (path.name, name)
        for path in documents()
        for name in re.findall(r"\bmemguard_[a-z_]+[a-z]\b(?!\*)", path.read_text())
    }
    assert {(page, name) for page, name in named if name not in known | derived} <= {
        ("known-issues.md", "memguard_operator")
    }


def test_every_value_of_the_chart_that_is_named_exists() -> None:
    named = {
        (path.name, key)
        for path in documents()
        for key in (*_VALUE.findall(path.read_text()), *_SET.findall(path.read_text()))
        if key not in NOT_VALUES
    }
    assert len(named) > 20
    assert {(page, key) for page, key in named if not _is_value(key)} == set()


def _is_value(key: str) -> bool:
    found: object = VALUES
    for word in key.split("."):
        if not isinstance(found, dict) or (found and word not in found):
            return False
        found = found.get(word)
    return True


@pytest.mark.parametrize("path", documents(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_configuration_and_every_manifest_can_be_read(path: object) -> None:
    assert isinstance(path, type(ROOT))
    for block in blocks(path, "toml"):
        parse_config(block.encode())
    for block in blocks(path, "yaml"):
        assert list(yaml.safe_load_all(block)), block


def test_a_configuration_that_is_none_would_be_seen() -> None:
    with pytest.raises(InputError):
        parse_config(b"mode = 'Enfoce'")


def test_every_case_of_the_threat_model_has_its_test() -> None:
    """The column has `file::test`, and further tests of the same file by their names alone."""
    text = (ROOT / "docs" / "security.md").read_text()
    rows = [line.split("|") for line in text.splitlines() if line.startswith("| ") and "::" in line]
    assert len(rows) > 40
    for row in rows:
        path = ""
        for named in row[-2].split(", "):
            path, _, name = named.strip().rpartition("::") if "::" in named else (path, "", named.strip())
            written = (ROOT / "tests" / path).read_text()
            assert f"def {name}(" in written, f"{path}::{name}"
