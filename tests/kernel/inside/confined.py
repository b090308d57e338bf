"""memguard under the seccomp profile beside this package: `-m inside.confined`; as it stands, no call is forgiven."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from seccomp import prepared, to_the_letter

if __name__ == "__main__":
    profile = json.loads(Path("memguard-guard.json").read_text())
    prepared(to_the_letter(profile))()
    os.execv(sys.executable, (sys.executable, "-m", "memguard", *sys.argv[1:]))  # noqa: S606
