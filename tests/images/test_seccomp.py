"""The guard's seccomp profile, in force on this kernel: what the guard needs is there, and the network is not."""

from __future__ import annotations

import json
import platform
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.images import seccomp

PROFILE = Path(__file__).resolve().parents[2] / "deploy" / "seccomp" / "memguard-guard.json"

CALL = """
import ctypes, errno
libc = ctypes.CDLL(None, use_errno=True)
done = libc.syscall({number}, *{arguments})
print("done" if done >= 0 else errno.errorcode[ctypes.get_errno()])
"""
SOCKET = """
import errno, socket
try:
    socket.{call}(socket.{family}, socket.{type})
    print("done")
except OSError as error:
    print(errno.errorcode[error.errno])
"""
#: What guard and supervisor do, with the calls that they do it by; files are below the first argument.
GUARD = """
import ctypes, fcntl, os, resource, select, signal, socket, sys, threading
libc = ctypes.CDLL(None, use_errno=True)
assert libc.mlockall(1) == 0
os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(1))
os.setpriority(os.PRIO_PROCESS, 0, -20)
resource.setrlimit(resource.RLIMIT_NOFILE, resource.getrlimit(resource.RLIMIT_NOFILE))
open("/proc/self/oom_score_adj", "w").write("0")

directory = sys.argv[1]
fd = os.open(directory + "/holds", os.O_RDWR | os.O_CREAT)
os.posix_fallocate(fd, 0, 512)
fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
os.pwrite(fd, b"x", 0)
assert os.pread(fd, 1, 0) == b"x"
os.setxattr(fd, "user.memguard.line", b"1")
os.removexattr(fd, "user.memguard.line")
assert libc.inotify_init1(0) >= 0

listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
listener.bind(directory + "/guard.sock")
os.chmod(directory + "/guard.sock", 0o666)
listener.listen()
client = socket.socket(socket.AF_UNIX)
client.connect(directory + "/guard.sock")
peer, _ = listener.accept()
assert len(peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)) == 12
client.send(b"x")
poller = select.poll()
poller.register(peer, select.POLLIN)
assert poller.poll(5000) and peer.recv(1) == b"x"

child = os.fork()
if child == 0:
    signal.pause()
pidfd = os.pidfd_open(child)
signal.pidfd_send_signal(pidfd, signal.SIGKILL)
libc.syscall(448, pidfd, 0)
assert ctypes.get_errno() != 1
os.waitpid(child, 0)
thread = threading.Thread(target=print, args=("all of it",))
thread.start()
thread.join()
"""

# Numbers of x86-64 and, behind it, of every newer machine (asm-generic/unistd.h).
FORBIDDEN = {
    "ptrace": ((101, 117), (0,)),
    "mount": ((165, 40), (0, 0, 0, 0, 0)),
    "umount2": ((166, 39), (0, 0)),
    "fsopen": ((430, 430), (0, 0)),
    "pivot_root": ((155, 41), (0, 0)),
    "chroot": ((161, 51), (0,)),
    "unshare": ((272, 97), (0x10000000,)),
    "setns": ((308, 268), (0, 0)),
    "bpf": ((321, 280), (0, 0, 0)),
    "perf_event_open": ((298, 241), (0, 0, 0, 0, 0)),
    "process_vm_readv": ((310, 270), (1, 0, 0, 0, 0, 0)),
    "process_vm_writev": ((311, 271), (1, 0, 0, 0, 0, 0)),
    "pidfd_getfd": ((438, 438), (0, 0, 0)),
    "kcmp": ((312, 272), (1, 1, 0, 0, 0)),
    "keyctl": ((250, 219), (0, 0, 0)),
    "io_uring_setup": ((425, 425), (1, 0)),
    "userfaultfd": ((323, 282), (0,)),
    "memfd_create": ((319, 279), (0, 0)),
    "open_by_handle_at": ((304, 265), (0, 0, 0)),
    "init_module": ((175, 105), (0, 0, 0)),
    "kexec_load": ((246, 104), (0, 0, 0, 0)),
    "reboot": ((169, 142), (0, 0, 0, 0)),
    "swapon": ((167, 224), (0, 0)),
    "setuid": ((105, 146), (0,)),
    "sendmsg": ((46, 211), (-1, 0, 0)),
    "recvmsg": ((47, 212), (-1, 0, 0)),
    "clone into a namespace": ((56, 220), (0x20000000 | 17, 0, 0, 0, 0)),
}  # fmt: skip
OTHER_FAMILIES = ["AF_INET", "AF_INET6", "AF_NETLINK", "AF_PACKET", "AF_VSOCK", "AF_ALG"]


def under(profile: Path, code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A program that ran under a profile, as root."""
    command = [sys.executable, seccomp.__file__, str(profile), sys.executable, "-IS", "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def confined(code: str, *arguments: str) -> str:
    """What a program prints that runs under the guard's profile."""
    done = under(PROFILE, code, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def free(code: str) -> str:
    """The same without the profile."""
    done = subprocess.run([sys.executable, "-IS", "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.parametrize("call", ["socket", "socketpair"])
@pytest.mark.parametrize("type_", ["SOCK_STREAM", "SOCK_DGRAM"])
def test_the_agents_socket_is_allowed(call: str, type_: str) -> None:
    assert confined(SOCKET.format(call=call, family="AF_UNIX", type=type_)) == "done"


@pytest.mark.parametrize("family", OTHER_FAMILIES)
def test_no_other_socket_is(family: str) -> None:
    assert confined(SOCKET.format(call="socket", family=family, type="SOCK_DGRAM")) == "EPERM"


def test_it_is_the_profile_that_forbids_them() -> None:
    assert free(SOCKET.format(call="socket", family="AF_INET", type="SOCK_DGRAM")) == "done"


@pytest.mark.parametrize("name", FORBIDDEN)
def test_what_a_guard_never_does_is_forbidden(name: str) -> None:
    numbers, arguments = FORBIDDEN[name]
    number = numbers[platform.machine() != "x86_64"]
    assert confined(CALL.format(number=number, arguments=arguments)) == "EPERM"


def test_glibc_is_told_to_do_without_clone3() -> None:
    assert confined(CALL.format(number=435, arguments=(0, 0))) == "ENOSYS"


def test_the_guards_own_calls_are_allowed(tmp_path: Path) -> None:
    assert confined(GUARD, str(tmp_path)) == "all of it"


def test_to_the_letter_a_forbidden_call_is_the_end(tmp_path: Path) -> None:
    """And the guard's own calls are not: tests/kernel runs the guard itself so."""
    strict = tmp_path / "strict.json"
    strict.write_text(json.dumps(seccomp.to_the_letter(json.loads(PROFILE.read_text()))))
    done = under(strict, GUARD, str(tmp_path))
    assert (done.returncode, done.stdout) == (0, "all of it\n"), done.stderr
    forbidden = SOCKET.format(call="socket", family="AF_INET", type="SOCK_DGRAM")
    assert under(strict, forbidden).returncode == -signal.SIGSYS


def test_each_call_stands_once_and_in_order() -> None:
    rules = json.loads(PROFILE.read_text())["syscalls"]
    names = [name for rule in rules for name in rule["names"]]
    assert len(names) == len(set(names))
    assert all(rule["names"] == sorted(rule["names"]) and rule["comment"] for rule in rules)
