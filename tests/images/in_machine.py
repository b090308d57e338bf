"""Containers of our manifests on a real kernel, without a kubelet: run inside the virtual machine by test_rights.py.

Reads cases.json (what the manifests say: user, capabilities, mounts, arguments), starts each case's programs from the
image's file system with exactly these rights, as the runtime would, and prints one JSON line per case: what the guard
tells an agent about itself.
"""

from __future__ import annotations

import ctypes
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

SHARE = Path.cwd()
IMAGE = Path("/image")
CGROUP = Path(os.environ.get("MG_CGROUP", "/sys/fs/cgroup"))
GROUP = CGROUP / "memguard"
#: What is in the run directory when each is there.
MARKS = {"supervisor": "supervisor", "guard": "outbox"}
#: What kubelet gives to pods of system-node-critical.
OOM_SCORE_ADJ = "-997"
AGENT = 64123
HELLO = b'{"type":"hello","protocol":1,"version":"0"}'
#: linux/capability.h
NUMBERS = {"KILL": 5, "IPC_LOCK": 14, "SYS_NICE": 23, "SYS_RESOURCE": 24}
LAST_CAPABILITY = 40
PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 24, 38

libc = ctypes.CDLL(None, use_errno=True)


def main() -> None:
    IMAGE.mkdir()
    subprocess.run(["tar", "-xf", str(SHARE / "image.tar"), "-C", str(IMAGE)], check=True)
    for case in json.loads((SHARE / "cases.json").read_text()):
        print(json.dumps({"case": case["name"], **told(case)}), flush=True)


def told(case: dict[str, Any]) -> dict[str, Any]:
    """What the guard of a case says of itself, and what the kernel says of it."""
    root = prepared(case)
    processes = []
    try:
        for container in case["containers"]:
            processes.append(process := started(case, container, root))
            there(root / "run/memguard" / MARKS[container["name"]], process)
        status = asked(f"{root}/run/memguard-link/guard.sock")
        [guard] = (GROUP / "guard" / "cgroup.procs").read_text().split()[-1:]
        lines = dict(line.split(":", 1) for line in Path(f"/proc/{guard}/status").read_text().splitlines())
        kernel = {name: lines[name].strip() for name in ("Uid", "CapEff", "NoNewPrivs", "Seccomp", "VmRSS", "VmLck")}
        memory = int((GROUP / "guard" / "memory.current").read_text())
        return {"status": status, "kernel": kernel, "memory": memory}
    finally:
        for container in reversed(case["containers"]):
            (GROUP / container["name"] / "cgroup.kill").write_text("1")
        for process in processes:
            process.wait()


def prepared(case: dict[str, Any]) -> Path:
    """The image's file system, read-only, with what the pod mounts into it."""
    root = Path("/pods", case["name"])
    root.mkdir(parents=True)
    run("mount", "-t", "tmpfs", "none", root)
    run("cp", "-a", f"{IMAGE}/.", root)
    for path in (*case["directories"], "/proc", "/sys", "/dev"):
        (root / path.lstrip("/")).mkdir(parents=True, exist_ok=True)
    for path, text in case["files"].items():
        (root / path.lstrip("/")).write_text(text)
    run("mount", "--rbind", "/sys", root / "sys")
    for path in case["volumes"]:  # emptyDir: anybody's
        run("mount", "-t", "tmpfs", "-o", "mode=0777", "none", root / path.lstrip("/"))
    for source, target, read_only in case["binds"]:
        place = root / target.lstrip("/")
        if Path(source).is_file():
            place.parent.mkdir(parents=True, exist_ok=True)
            place.touch()
        run("mount", "--bind", source, place)
        if read_only:
            run("mount", "-o", "remount,bind,ro", place)
    if case["hostPID"]:
        run("mount", "--bind", "/proc", root / "proc")
        run("mount", "-o", "bind,ro", "/proc/sys", root / "proc/sys")
    run("mount", "-o", "remount,ro", root)
    return root


def started(case: dict[str, Any], container: dict[str, Any], root: Path) -> subprocess.Popen[bytes]:
    group = GROUP / container["name"]
    group.mkdir(parents=True, exist_ok=True)
    (GROUP / "cgroup.subtree_control").write_text("+memory")
    (group / "memory.max").write_text(container["memory"])
    process = subprocess.Popen(
        [sys.executable, __file__, "be", json.dumps({"root": str(root), "hostPID": case["hostPID"], **container})],
        stdin=subprocess.PIPE,
        stdout=sys.stderr,  # its log is for whoever looks why this failed
    )
    (group / "cgroup.procs").write_text(str(process.pid))
    assert process.stdin is not None
    process.stdin.close()  # go
    return process


def become(wanted: dict[str, Any]) -> None:
    """The container's program, with the container's rights."""
    sys.stdin.read()
    if not wanted["hostPID"]:
        os.unshare(os.CLONE_NEWPID)
        if (child := os.fork()) > 0:
            sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        run("mount", "-t", "proc", "none", Path(wanted["root"], "proc"))
    from seccomp import prepared as filtered  # it lies beside this file

    # The profile without a file of its own is the runtime's, which no runtime is here to give.
    obey = filtered(json.loads((SHARE / wanted["seccomp"]).read_text())) if wanted["seccomp"] else lambda: None
    Path("/proc/self/oom_score_adj").write_text(OOM_SCORE_ADJ)
    os.chroot(wanted["root"])
    os.chdir("/")
    kept = {NUMBERS[name] for name in wanted["capabilities"]}
    for number in set(range(LAST_CAPABILITY + 1)) - kept:
        libc.prctl(PR_CAPBSET_DROP, number, 0, 0, 0)
    os.setgroups([])
    os.setresgid(*[wanted["user"]] * 3)
    os.setresuid(*[wanted["user"]] * 3)
    assert libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
    obey()
    program = "/opt/memguard/bin/memguard"
    os.execve(program, [program, *wanted["arguments"]], {"PATH": "/opt/memguard/bin", "MALLOC_ARENA_MAX": "1"})  # noqa: S606


def asked(path: str) -> dict[str, Any]:
    """The guard's first word on how things stand, to an agent."""
    command = [sys.executable, __file__, "ask", path]
    asking = subprocess.run(command, user=AGENT, group=AGENT, capture_output=True, text=True, check=False)
    assert asking.returncode == 0, asking.stderr
    return dict(json.loads(asking.stdout))


def conversation(path: str) -> dict[str, Any]:
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(60)
        until(lambda: link.connect_ex(path) == 0)
        link.sendall(len(HELLO).to_bytes(4, "big") + HELLO)
        stream = link.makefile("rb")
        while True:
            message = json.loads(stream.read(int.from_bytes(stream.read(4), "big")))
            if message["type"] == "status":
                return dict(message)


def there(mark: Path, process: subprocess.Popen[bytes]) -> None:
    """Wait until it has begun; one that a filter ended says so by its exit code (-31: SIGSYS)."""
    until(lambda: mark.exists() or process.poll() is not None)
    assert mark.exists(), f"{mark.name} never came: exit code {process.returncode}"


def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "never came true"
        time.sleep(0.02)


def run(*command: object) -> None:
    subprocess.run([str(word) for word in command], check=True)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["be", wanted]:
            become(json.loads(wanted))
        case ["ask", path]:
            print(json.dumps(conversation(path)))
        case _:
            main()
