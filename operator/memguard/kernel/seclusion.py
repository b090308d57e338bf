"""No network for a process that is root on its node: a filter of its own, that no file on the node has to be there for.

From then on this process and its children open no socket but AF_UNIX, are handed no descriptor of another, and get no
io_uring, which would open sockets past the filter (seccomp(2), Documentation/userspace-api/seccomp_filter.rst).
"""

from __future__ import annotations

import ctypes
import errno
import os
from typing import Final

from memguard.kernel.syscalls import set_seccomp_filter

#: By machine: AUDIT_ARCH (linux/audit.h), and the numbers of socket, socketpair, recvmsg and recvmmsg there.
_MACHINES: Final = {
    "x86_64": (0xC000003E, (41, 53), (47, 299)),
    "aarch64": (0xC00000B7, (198, 199), (212, 243)),
}
#: io_uring_setup and pidfd_getfd have one number on every machine.
_EVERYWHERE: Final = (425, 438)
_AF_UNIX: Final = 1
#: Calls from here on are those of another word size (x32).
_FOREIGN: Final = 0x40000000

# struct seccomp_data: the number, the machine, and the first argument's low half (little endian).
_NUMBER, _ARCH, _FIRST = 0, 4, 16
# linux/bpf_common.h: BPF_LD|BPF_W|BPF_ABS, BPF_JMP|BPF_JEQ|BPF_K, BPF_JMP|BPF_JGE|BPF_K, BPF_RET|BPF_K
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000 | errno.EPERM


def seclude() -> None:
    """Do it; there is no way back. Raises OSError where this kernel has no filters, or this machine none of ours."""
    machine = os.uname().machine
    if machine not in _MACHINES:
        raise OSError(errno.ENOSYS, f"no filter for {machine}")
    set_seccomp_filter(filter_for(machine))


def filter_for(machine: str) -> list[int]:
    """The program, an instruction (struct sock_filter) a number."""
    arch, opening, receiving = _MACHINES[machine]
    refused = (*receiving, *_EVERYWHERE)
    # Behind the tests: allow, then the family of a socket (load, test), then refuse.
    allow = 4 + len(opening) + len(refused)
    family, refuse = allow + 1, allow + 3
    program = [
        _instruction(_LOAD, _ARCH),
        _instruction(_EQUAL, arch, no=refuse - 2),
        _instruction(_LOAD, _NUMBER),
        _instruction(_AT_LEAST, _FOREIGN, yes=refuse - 4),
    ]
    program += [_instruction(_EQUAL, call, yes=family - at - 1) for at, call in enumerate(opening, len(program))]
    program += [_instruction(_EQUAL, call, yes=refuse - at - 1) for at, call in enumerate(refused, len(program))]
    return [
        *program,
        _instruction(_RETURN, _ALLOW),
        _instruction(_LOAD, _FIRST),
        _instruction(_EQUAL, _AF_UNIX, yes=1),
        _instruction(_RETURN, _REFUSE),
        _instruction(_RETURN, _ALLOW),
    ]


def _instruction(code: int, k: int, *, yes: int = 0, no: int = 0) -> int:
    """struct sock_filter: code, how many to skip when it holds, and when not, and the constant."""
    return ctypes.c_uint64(code | yes << 16 | no << 24 | k << 32).value
