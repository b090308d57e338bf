"""One boot for many cells: each module says what it wants booted; two machines run at a time, ahead of the tests."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest
from bench.kernel import report
from bench.kernel.journal import Journal, read_journal
from bench.kernel.runs import FOLDER, commit
from tests.kernel.boots import Boot
from tests.machine.guest.result import CellResult
from tests.machine.machine import Result

MACHINES = 2
RECORDS = FOLDER / "tests"


#: Every boot of the session.
FUTURES = pytest.StashKey[dict[Boot, Future[Result]]]()


@dataclass(frozen=True)
class Booted:
    """What the boots of one module brought back."""

    results: tuple[Result, ...]

    def cell(self, name: str) -> CellResult:
        """The result of one cell; raises MachineError with the guest's traceback when it could not be run."""
        found = next((result for result in self.results for cell in result.cells() if cell.name == name), None)
        return (found or self.results[0]).cell(name)

    def journal(self, name: str) -> Journal:
        """What the guard of that cell said."""
        return read_journal(self.cell(name).guard.log)

    def scenario(self, name: str) -> Any:
        """What one scenario told."""
        told = next(command for result in self.results for command in result.commands() if command.name == name)
        assert told.exit_code == 0, told.stderr
        return json.loads(told.stdout)


@dataclass
class Figures:
    """What the tests measured, for build/bench-report.json."""

    found: dict[str, Any] = field(default_factory=dict)

    def note(self, name: str, value: Any) -> None:
        """Keep one figure."""
        self.found[name] = value


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those that wait for a machine come last: meanwhile everything else is done."""
    items.sort(key=lambda item: "booted" in getattr(item, "fixturenames", ()))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Every boot that the chosen tests need is under way before the first test runs, whatever directory that is in."""
    if session.config.option.collectonly or session.testsfailed:
        return
    modules = dict.fromkeys(item.module for item in session.items if item.get_closest_marker("kernel"))
    boots = dict.fromkeys(boot for module in modules for boot in getattr(module, "BOOTS", ()))
    pool = ThreadPoolExecutor(MACHINES)
    longest_first = sorted(boots, key=lambda boot: -len(boot.cells + boot.scenarios))
    session.stash[FUTURES] = {boot: pool.submit(boot.run) for boot in longest_first}
    session.config.add_cleanup(lambda: pool.shutdown(cancel_futures=True))


@pytest.fixture(scope="module")
def booted(request: pytest.FixtureRequest) -> Booted:
    """The module's boots, when they are done."""
    futures = request.session.stash[FUTURES]
    results = tuple(futures[boot].result() for boot in request.module.BOOTS)
    keep(request.module.__name__.rpartition(".")[2], results)
    assert [error for result in results for error in result.errors()] == []
    return Booted(results)


def keep(name: str, results: tuple[Result, ...]) -> None:
    """Everything that was brought back, for whoever wants to know why a test failed."""
    RECORDS.mkdir(parents=True, exist_ok=True)
    lines = (json.dumps(record) + "\n" for result in results for record in result.records)
    (RECORDS / f"{name}.jsonl").write_text("".join(lines))


@pytest.fixture(scope="session")
def figures() -> Iterator[Figures]:
    """Collects figures, and writes them when all is over."""
    found = Figures()
    yield found
    if found.found:
        report.update("tests", {"commit": commit(), "figures": found.found})
