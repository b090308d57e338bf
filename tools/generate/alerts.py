"""docs/alerts.md, from the rules that the chart installs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from tools.markdown import code, table

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "charts" / "memguard" / "files" / "alerts.yaml"
PAGE = ROOT / "docs" / "alerts.md"
#: What an alert's runbook_url begins with in the rules; the chart puts the site's address there.
PLACEHOLDER = "RUNBOOKS/"
_WITH = re.compile(r" ?{{-? with \$labels\.(\w+) }}(.*?){{ end }}")
HEAD = """# Alerts

Generated from charts/memguard/files/alerts.yaml by `make generate`.

The chart installs them as a PrometheusRule (`prometheusRule.enabled`); without the Prometheus operator the file itself
is a rule file of Prometheus, in which `RUNBOOKS/` stands for where the site's runbooks are served. They need the
metrics of agents and operator, by their names and own labels, and the label `node` that the chart's monitors set. Each
is tested to fire and not to fire (`promtool test rules`).

Each links to its runbook, which is the alert's name in kebab-case: that of MemguardNodeCritical is
[runbooks/node-critical.md](runbooks/node-critical.md). For its commands `export NODE=` the alert's label `node`.

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
    listed = table(("alert", "severity", "after", "says"), map(_row, alerts))
    names = dict.fromkeys(rule["alert"] for rule in alerts)
    return f"## {title}\n\n{listed}\n" + "\n".join(_details(name, alerts) for name in names)


def _row(rule: dict[str, Any]) -> tuple[str, ...]:
    runbook = rule["annotations"]["runbook_url"].replace(PLACEHOLDER, "runbooks/").replace(".html", ".md")
    said = _filled(rule["annotations"]["summary"])
    return (f"[{rule['alert']}]({runbook})", rule["labels"]["severity"], rule.get("for", "at once"), said)


def _details(name: str, alerts: list[dict[str, Any]]) -> str:
    """An alert may have several rules, one for each severity or subject."""
    rules = (
        f"{_filled(rule['annotations']['description'])}\n\n{code(rule['expr'].strip(), 'promql')}"
        for rule in alerts
        if rule["alert"] == name
    )
    return f"### {name}\n\n" + "\n".join(rules)


def _filled(words: str) -> str:
    """An annotation on one line, with names where templates are: NODE, NAMESPACE, VALUE."""
    plain = _WITH.sub(lambda found: found[2].replace("{{ . }}", found[1].upper()), " ".join(words.split()))
    return re.sub(r"{{ \$(?:labels\.)?(\w+)[^}]*}}", lambda found: found[1].upper(), plain)
