"""Known vulnerabilities in what is locked, by pip-audit; and silence is never taken for a clean bill.

pip-audit passes over packages that its service does not know, and ends well all the same: behind a mirror that has
files but no advisories it would call everything clean. Here each locked package needs an answer of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from packaging.utils import canonicalize_name
from tools.plugin import uv

#: All that is locked, tools for development among it; each with its hash, so pip-audit asks no index for more.
EVERYTHING = (
    "--frozen",
    "--quiet",
    "--no-emit-project",
    "--all-extras",
    "--all-groups",
    "--no-annotate",
    "--no-header",
)


class Verdict(NamedTuple):
    """By package: its vulnerabilities with what would mend them; and the packages about which nothing was said."""

    vulnerable: Mapping[str, tuple[str, ...]]
    unanswered: tuple[str, ...]

    @property
    def clean(self) -> bool:
        """Every package was asked about, and nothing is known."""
        return not self.vulnerable and not self.unanswered


def audit(options: Sequence[str] = ()) -> Verdict:
    """What is known of everything in the lock; `options` go to pip-audit (`-s osv`). Raises LookupError."""
    locked = uv("export", *EVERYTHING)
    with tempfile.TemporaryDirectory() as directory:
        requirements = Path(directory, "locked.txt")
        requirements.write_text(locked)
        return verdict(_asked(requirements, options), names(locked))


def names(requirements: str) -> set[str]:
    """The packages that a requirements file pins."""
    return {canonicalize_name(line.partition("==")[0]) for line in requirements.splitlines() if "==" in line}


def verdict(answer: str, wanted: Collection[str]) -> Verdict:
    """What pip-audit's JSON says of these packages."""
    said = {canonicalize_name(one["name"]): one for one in json.loads(answer)["dependencies"]}
    found = {name: one["vulns"] for name, one in said.items() if "vulns" in one}
    vulnerable = {name: tuple(map(_words, vulns)) for name, vulns in sorted(found.items()) if vulns}
    return Verdict(vulnerable, tuple(sorted(set(wanted) - found.keys())))


def _words(vulnerability: Mapping[str, object]) -> str:
    versions = ", ".join(vulnerability["fix_versions"] or ("no version",))  # type: ignore[arg-type]
    return f"{vulnerability['id']}, mended by {versions}"


def _asked(requirements: Path, options: Sequence[str]) -> str:
    command = (sys.executable, "-m", "pip_audit", "--disable-pip", "--require-hashes", "--progress-spinner", "off")
    asked = (*command, "--format", "json", "--requirement", str(requirements), *options)
    ran = subprocess.run(asked, capture_output=True, text=True, check=False)
    if not ran.stdout.startswith("{"):
        raise LookupError(f"pip-audit has no answer: {ran.stderr.strip()[-600:]}")
    return ran.stdout


def main(options: Sequence[str]) -> int:
    """Tell it: 0 where nothing is known of anything, 1 where something is, 2 where not all could be asked about."""
    try:
        found = audit(options)
    except LookupError as error:
        sys.stderr.write(f"NOT AUDITED: {error}\n")
        return 2
    for name, vulnerabilities in found.vulnerable.items():
        sys.stderr.write(f"{name}: {'; '.join(vulnerabilities)}\n")
    if found.unanswered:
        count, some = len(found.unanswered), ", ".join(found.unanswered[:5])
        sys.stderr.write(f"NOT AUDITED: {count} packages of which the service knows nothing ({some}, ...)\n")
    if found.clean:
        sys.stdout.write("no known vulnerability in any locked package\n")
    return 1 if found.vulnerable else 2 if found.unanswered else 0
