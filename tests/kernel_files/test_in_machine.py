"""Readers and levers on a real kernel: boots the virtual machine once, every case of in_machine.py is a test."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.kernel_files import in_machine
from tests.machine.guest.spec import Command, Job
from tests.machine.machine import Machine

SCRIPT = Path(in_machine.__file__)


@pytest.fixture(scope="module")
def errors() -> dict[str, str | None]:
    machine = Machine(extra_files=((SCRIPT.name, SCRIPT),))
    result = machine.run(Job(commands=(Command(name="levers", script=f"python3 {SCRIPT.name}", timeout_seconds=300),)))
    [command] = result.commands()
    found = [json.loads(line) for line in command.stdout.splitlines()]
    assert command.exit_code == 0, command.stderr
    return {record["case"]: record["error"] for record in found}


@pytest.mark.kernel
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", in_machine.cases())
def test_in_machine(errors: dict[str, str | None], name: str) -> None:
    assert errors[name] is None, errors[name]
