"""What the chart copies and tells: its templates of the CRDs, its schema, and the README's table of values."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

from tools import chart_schema
from tools.chart_values import CHART, Value, values
from tools.generate_crds import CRDS, HEAD
from tools.generate_crds import outputs as crds

README = CHART / "README.md"
#: The README's hand-written text, with the place of the table.
TEXT = CHART / "README.md.in"
TABLE = "<!-- values -->\n"


def outputs() -> Iterator[tuple[Path, str]]:
    """Every file with what it should hold."""
    for path, text in crds():
        yield CHART / "templates" / "crds" / path.name, crd_template(text)
    yield chart_schema.output()
    rows = "".join(row(value) for value in values((CHART / "values.yaml").read_text()))
    head = "| value | default | what it is for |\n|---|---|---|\n"
    yield README, TEXT.read_text().replace(TABLE, head + rows)


def crd_template(text: str) -> str:
    """A CRD as a template: the same, but for who made it and whether it stays."""
    if "{{" in text:
        raise SystemExit(f"{CRDS.name}/: a description has braces, which Helm would read. Say it without.")
    body = text.removeprefix(HEAD)
    labels = re.compile(r"^  labels:\n    app\.kubernetes\.io/name: memguard\n", re.MULTILINE)
    body, found = labels.subn('  {{- include "memguard.crdMetadata" . | nindent 2 }}\n', body, count=1)
    if not found:
        raise SystemExit(f"{CRDS.name}/: a definition has other labels than tools/generate_chart.py knows.")
    return f"{{{{- if .Values.crds.enabled }}}}\n{HEAD}{body}{{{{- end }}}}\n"


def row(value: Value) -> str:
    """Its line of the table."""
    default = json.dumps(value.default, ensure_ascii=False)
    words = value.words.replace("|", r"\|")
    return f"| `{'.'.join(value.path)}` | `{default}` | {words} |\n"
