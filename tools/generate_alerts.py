"""The table of alerts in docs/dashboards.md, from the rules that the chart has."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "dashboards.md"
RULES = ROOT / "charts" / "memguard" / "files" / "alerts.yaml"
MARK = "<!-- alerts -->\n"
HEAD = "| alert | severity | after | says |\n| --- | --- | --- | --- |\n"


def outputs() -> Iterator[tuple[Path, str]]:
    """The page; what stands above the mark stays."""
    rules = [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]
    above, mark, _ = PAGE.read_text().partition(MARK)
    yield PAGE, f"{above}{mark}{HEAD}{''.join(map(_row, rules))}"


def _row(rule: dict[str, Any]) -> str:
    notes = rule["annotations"]
    runbook = notes["runbook_url"].replace("RUNBOOKS/", "runbooks/")
    says = re.sub(r"{{ \$(?:labels\.)?(\w+)[^}]*}}", lambda found: found[1].upper(), notes["summary"])
    after = rule.get("for", "at once")
    return f"| [{rule['alert']}]({runbook}) | {rule['labels']['severity']} | {after} | {says} |\n"
