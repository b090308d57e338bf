"""The CRDs in crds/, from the types in memguard.api."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import yaml

from memguard.api.crd import crd
from memguard.api.definitions import DEFINITIONS

CRDS = Path(__file__).resolve().parents[2] / "crds"
HEAD = "# Generated from operator/memguard/api by `make generate`.\n"


def outputs() -> Iterator[tuple[Path, str]]:
    """Every file with what it should hold."""
    for definition in DEFINITIONS:
        text = yaml.safe_dump(crd(definition), sort_keys=False, width=118, allow_unicode=True)
        yield CRDS / f"{definition.plural}.yaml", HEAD + text
