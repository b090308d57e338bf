"""Programs of an image, run on its own file system alone: no variable of ours, no user's rights."""

from __future__ import annotations

import subprocess
from pathlib import Path

USER = "64123"
PYTHON = ("/opt/memguard/bin/python3", "-IS", "-c")
#: What the image's program does before it imports anything of ours.
PATH_OF_OURS = "import sys; sys.path.append('/opt/memguard/lib')\n"


def command(root: Path, *arguments: str) -> list[str]:
    return ["/usr/sbin/chroot", f"--userspec={USER}:{USER}", str(root), *arguments]


def ran(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(root, *arguments), env={}, capture_output=True, text=True, check=False)


def printed(root: Path, code: str) -> str:
    done = ran(root, *PYTHON, PATH_OF_OURS + code)
    assert done.returncode == 0, done.stderr
    return done.stdout


def resident_mib(root: Path, code: str) -> float:
    """Of an interpreter of the image after it ran `code`; as /proc tells it."""
    waiting = code + "\nprint('there', flush=True); sys.stdin.read()"
    process = subprocess.Popen(
        command(root, *PYTHON, PATH_OF_OURS + waiting), env={"MALLOC_ARENA_MAX": "1"},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "there\n"
        status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024
