"""The guard's own filter, in force on this kernel: no socket but AF_UNIX, however one is come by."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

from memguard.kernel import seclusion

SECLUDED = "from memguard.kernel.seclusion import seclude; seclude()\n"
ENCLOSED = SECLUDED + "from memguard.kernel.seclusion import enclose; enclose()\n"
SOCKET = """
import errno, socket
try:
    socket.{call}(socket.{family}, socket.SOCK_DGRAM)
    print("done")
except OSError as error:
    print(errno.errorcode[error.errno])
"""
CALL = """
import ctypes, errno
libc = ctypes.CDLL(None, use_errno=True)
done = libc.syscall({number}, *{arguments})
print("done" if done >= 0 else errno.errorcode[ctypes.get_errno()])
"""
#: A program that a secluded one starts.
CHILD = """
import subprocess, sys
print(subprocess.run([sys.executable, "-c", {code!r}], capture_output=True).stdout.decode())
"""
FAMILIES = ("AF_INET", "AF_INET6", "AF_NETLINK", "AF_PACKET", "AF_VSOCK")
# By number on x86-64, and on every newer machine.
CLOSED = {
    "recvmsg": ((47, 212), (-1, 0, 0)),
    "recvmmsg": ((299, 243), (-1, 0, 0, 0, 0)),
    "pidfd_getfd": ((438, 438), (-1, 0, 0)),
    "io_uring_setup": ((425, 425), (1, 0)),
    "ptrace": ((101, 117), (99, 0, 0, 0)),
    "process_vm_readv": ((310, 270), (0, 0, 0, 0, 0, 0)),
    "process_vm_writev": ((311, 271), (0, 0, 0, 0, 0, 0)),
    "kcmp": ((312, 272), (0, 0, 99, 0, 0)),
}


def output(code: str, *before: str) -> str:
    """What a program prints; `before`: another that starts it."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [*before, sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return done.stdout.strip()


@pytest.mark.parametrize("call", ["socket", "socketpair"])
def test_the_agents_socket_is_left(call: str) -> None:
    assert output(SECLUDED + SOCKET.format(call=call, family="AF_UNIX")) == "done"


@pytest.mark.parametrize("family", FAMILIES)
def test_no_other_is(family: str) -> None:
    assert output(SECLUDED + SOCKET.format(call="socket", family=family)) == "EPERM"


def test_it_is_the_filter_that_refuses() -> None:
    assert output(SOCKET.format(call="socket", family="AF_INET")) == "done"


@pytest.mark.parametrize("name", CLOSED)
def test_what_leads_past_it_is_closed(name: str) -> None:
    """Without the filter these fail for other reasons, or not at all."""
    numbers, arguments = CLOSED[name]
    number = numbers[platform.machine() != "x86_64"]
    code = CALL.format(number=number, arguments=arguments)
    assert output(SECLUDED + code) == "EPERM"
    assert output(code) != "EPERM"


def test_children_are_bound_too() -> None:
    assert output(SECLUDED + CHILD.format(code=SOCKET.format(call="socket", family="AF_INET"))) == "EPERM"


def test_nor_by_the_other_word_size() -> None:
    """x32's socket: the same call under another number."""
    assert output(SECLUDED + CALL.format(number=0x40000000 + 41, arguments=(2, 2, 0))) == "EPERM"


#: What root may have of another root process.
PRY = """
import errno, os
def read(path):
    with open(path, "rb") as file:
        file.read(0 if path.endswith("mem") else 1)
for name, deed in {{"environ": read, "maps": read, "mem": read, "root/etc": os.listdir, "fd/0": os.stat}}.items():
    try:
        deed("/proc/{pid}/" + name)
        print(name, "done")
    except OSError as error:
        print(name, errno.errorcode[error.errno])
"""
#: The guard's rights in a cluster: whoever has no more than these is the guard's to look into, but for the domain.
GUARDS_RIGHTS = ("setpriv", "--bounding-set=-all,+kill,+ipc_lock,+sys_resource,+sys_nice", "--inh-caps=-all")
NO_RIGHTS = ("setpriv", "--bounding-set=-all", "--inh-caps=-all")


def test_nobody_else_is_looked_into() -> None:
    """A process of root's without any capability, as most containers have one."""
    sleeper = subprocess.Popen([*NO_RIGHTS, "sleep", "60"])
    try:
        pry = PRY.format(pid=sleeper.pid)
        free = dict(line.split() for line in output(pry, *GUARDS_RIGHTS).splitlines())
        closed = dict(line.split() for line in output(ENCLOSED + pry, *GUARDS_RIGHTS).splitlines())
        facts = output(ENCLOSED + f"print(open('/proc/{sleeper.pid}/stat').read().split()[0])", *GUARDS_RIGHTS)
    finally:
        sleeper.kill()
        sleeper.wait()
    assert set(free.values()) == {"done"}
    assert set(closed.values()) <= {"EACCES", "EPERM"}, closed
    assert facts == str(sleeper.pid), "what the score needs is read all the same"


def test_a_machine_that_is_not_known_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    known = os.uname()
    monkeypatch.setattr(os, "uname", lambda: os.uname_result((*known[:4], "pdp11")))
    with pytest.raises(OSError, match="no filter for pdp11"):
        seclusion.seclude()


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_every_jump_stays_within_the_program(machine: str) -> None:
    program = seclusion.filter_for(machine)
    for at, word in enumerate(program):
        code, yes, no = word & 0xFFFF, word >> 16 & 0xFF, word >> 24 & 0xFF
        if code & 0x07 == 0x05:  # BPF_JMP
            assert at + 1 + max(yes, no) < len(program)
    assert program[-1] & 0x07 == 0x06, "it ends with an answer"
