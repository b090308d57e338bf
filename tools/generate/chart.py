"""What the chart copies and tells: its templates of the CRDs, its schema, and the README's table of values."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

from e2e.helm import CHART
from tools.generate import chart_schema, crds
from tools.generate.chart_values import Value, values
from tools.markdown import table

README = CHART / "README.md"
#: The README's hand-written text, with the place of the table.
TEXT = CHART / "README.md.in"
TABLE = "<!-- values -->\n"


def outputs() -> Iterator[tuple[Path, str]]:
    """Every file with what it should hold."""
    for path, text in crds.outputs():
        yield CHART / "templates" / "crds" / path.name, crd_template(text)
    yield chart_schema.output()
    listed = table(("value", "default", "what it is for"), map(_row, values((CHART / "values.yaml").read_text())))
    yield README, TEXT.read_text().replace(TABLE, listed)


def crd_template(text: str) -> str:
    """A CRD as a template: the same, but for who made it and whether it stays."""
    if "{{" in text:
        raise SystemExit(f"{crds.CRDS.name}/: a description has braces, which Helm would read. Say it without.")
    body = text.removeprefix(crds.HEAD)
    labels = re.compile(r"^  labels:\n    app\.kubernetes\.io/name: memguard\n", re.MULTILINE)
    body, found = labels.subn('  {{- include "memguard.crdMetadata" . | nindent 2 }}\n', body, count=1)
    if not found:
        raise SystemExit(f"{crds.CRDS.name}/: a definition has other labels than tools/generate/chart.py knows.")
    return f"{{{{- if .Values.crds.enabled }}}}\n{crds.HEAD}{body}{{{{- end }}}}\n"


def _row(value: Value) -> tuple[str, str, str]:
    return f"`{'.'.join(value.path)}`", f"`{json.dumps(value.default, ensure_ascii=False)}`", value.words
