"""`make generate`: write every generated file anew; `--check` only tells which ones are stale (exit code 1)."""

from __future__ import annotations

import sys

from tools.generate.files import ROOT, stale


def main(arguments: list[str]) -> int:
    """Write, or check."""
    check = "--check" in arguments
    found = 0
    for path, text in stale():
        found += 1
        sys.stdout.write(f"{path.relative_to(ROOT)}\n")
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    return 1 if check and found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
