"""The section of the report, and its table."""

import subprocess
import sys
from pathlib import Path

from bench.cluster import report
from bench.cluster.guards import LABELS
from bench.cluster.incidents import NAMES
from bench.kernel.docs import filled
from bench.kernel.runs import Run


def run(spot: str, guard: str, repeat: int = 0, *failures: str, **figures: float) -> Run:
    return Run(
        spot=spot, guard=guard, clock="real", repeat=repeat, code="c", failures=failures, figures={**figures}
    )  # fmt: skip


RUNS = [
    run("leak-200", "memguard", deadMs=0, leastLeftMib=110, kernelOomKills=0),
    run("leak-50", "kubelet-default", 1, "touched: service", deadMs=900, kernelOomKills=2),
    run("leak-50", "kubelet-default", 0, deadMs=700, kernelOomKills=0),
    run("leak-50", "none", 0, "the kernel's OOM killer struck", kernelOomKills=1),
]


def test_the_section_has_every_pair_once_and_names_what_is_missing() -> None:
    found = report.section(RUNS)
    cells = [(cell["cell"], cell["guard"], cell["good"], cell["runs"]) for cell in found["cells"]]
    assert cells == [("leak-50", "none", 0, 1), ("leak-50", "kubelet-default", 1, 2), ("leak-200", "memguard", 1, 1)]
    assert len(found["notRun"]) == len(NAMES) * len(LABELS) - 3
    assert report.section([])["cells"] == []


def test_the_table_tells_medians_and_what_went_wrong() -> None:
    lines = list(report.table(report.section(RUNS)))
    [row] = [line for line in lines if line.startswith("| leak-50 | kubelet-default")]
    cells = [cell.strip() for cell in row.split("|")][1:-1]
    assert len(cells) == lines[0].count("|") - 1
    assert cells[2:4] == ["1/2", "1/2"]
    assert "800 [700-900]" in row
    assert cells[-1] == "touched: service"


def test_the_page_gets_the_table() -> None:
    section = {"commit": "abc", "at": "2026-01-01T00:00Z", **report.section(RUNS)}
    page = filled("<!-- cluster -->\nold\n<!-- end -->", {"cluster": section})
    assert "old" not in page
    assert "Measured at commit abc" in page
    assert "| leak-200 | memguard | 1/1 |" in page


def test_kind_is_told_that_it_is_no_lab() -> None:
    root = Path(__file__).resolve().parents[2]
    command = (sys.executable, "-m", "bench", "cluster", "--resume")
    ran = subprocess.run(command, cwd=root, env={"MEMGUARD_CLUSTER": "kind", "PYTHONPATH": f"{root}/operator:{root}",
                         "PATH": "/usr/bin"}, capture_output=True, text=True, check=False)  # fmt: skip
    assert ran.returncode == 2
    assert "unset MEMGUARD_CLUSTER" in ran.stderr
