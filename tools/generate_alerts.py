"""docs/alerts.md, from the rules that the chart installs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from tools.generate_docs import table

ROOT = Path(__file__).resolve().parents[1]
RULES = ROOT / "charts" / "memguard" / "files" / "alerts.yaml"
PAGE = ROOT / "docs" / "alerts.md"
#: What an alert's runbook_url begins with in the rules; the chart puts the site's address there.
PLACEHOLDER = "RUNBOOKS/"
HEAD = """# Alerts

Generated from charts/memguard/files/alerts.yaml by `make generate`.

The chart installs them as a PrometheusRule (`prometheusRule.enabled`); without the Prometheus operator the file itself
is a rule file of Prometheus, in which `RUNBOOKS/` stands for where the runbooks are served. They need the metrics of
agents and operator, by their names and own labels, and the label `node` that the chart's PodMonitors set. Each is
tested to fire and not to fire (`promtool test rules`).

*critical*: somebody should look now. *warning*: today. *info*: when there is time.
"""


def outputs() -> Iterator[tuple[Path, str]]:
    """The page."""
    yield PAGE, page(RULES.read_text())


def page(rules: str) -> str:
    """The page of a rule file."""
    groups = yaml.safe_load(rules)["groups"]
    return "\n".join((HEAD, *(_section(group) for group in groups)))


def _section(group: dict[str, Any]) -> str:
    alerts = [rule for rule in group["rules"] if "alert" in rule]
    title = str(group["name"]).rpartition(".")[2].replace("-", " ").capitalize()
    listed = table(("alert", "severity", "after", "what it says", "runbook"), map(_row, alerts))
    return f"## {title}\n\n{listed}\n" + "\n".join(map(_expression, alerts))


def _row(rule: dict[str, Any]) -> tuple[str, ...]:
    notes = rule["annotations"]
    stem = notes["runbook_url"].removeprefix(PLACEHOLDER).removesuffix(".md")
    said = " ".join(notes["summary"].split())
    return (
        rule["alert"],
        rule["labels"]["severity"],
        rule.get("for", "at once"),
        said,
        f"[{stem}](runbooks/{stem}.md)",
    )


def _expression(rule: dict[str, Any]) -> str:
    described = " ".join(rule["annotations"]["description"].split())
    return f"### {rule['alert']}\n\n{described}\n\n```promql\n{rule['expr'].strip()}\n```\n"
