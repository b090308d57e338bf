"""What a process that is root on its node gives up by itself, so that no file has to lie on the node for it.

The network, by a filter (seccomp(2), Documentation/userspace-api/seccomp_filter.rst): from then on this process and its
children open no socket but AF_UNIX, are handed no descriptor of another, and get no io_uring, which would open sockets
past the filter. They trace nobody either.

Other processes, by a domain (Documentation/userspace-api/landlock.rst): root with the node's process numbers may read
the memory, the environment, the files and the open descriptors of every root process that has no capability which it
lacks itself. Out of a domain nobody outside of it may be looked into, whatever else the domain forbids: here next to
nothing.
"""

from __future__ import annotations

import ctypes
import errno
import os
from typing import Final

from memguard.kernel.syscalls import enter_landlock_domain, set_seccomp_filter

#: By machine: AUDIT_ARCH (linux/audit.h), the numbers of socket and socketpair there, and what is refused: recvmsg,
#: recvmmsg, ptrace, process_vm_readv, process_vm_writev, kcmp.
_MACHINES: Final = {
    "x86_64": (0xC000003E, (41, 53), (47, 299, 101, 310, 311, 312)),
    "aarch64": (0xC00000B7, (198, 199), (212, 243, 117, 270, 271, 272)),
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


#: linux/landlock.h: a domain must forbid something; no guard ever makes a device.
_MAKE_DEVICES: Final = 1 << 6 | 1 << 11


def enclose() -> None:
    """Look into nobody else any more; after `seclude`. Raises OSError where this kernel has no Landlock."""
    enter_landlock_domain(_MAKE_DEVICES)


def seclude() -> None:
    """No network and no tracing; there is no way back.

    Raises OSError where this kernel has no filters, or this machine none of ours.
    """
    machine = os.uname().machine
    if machine not in _MACHINES:
        raise OSError(errno.ENOSYS, f"no filter for {machine}")
    set_seccomp_filter(filter_for(machine))


def filter_for(machine: str) -> list[int]:
    """The program, an instruction (struct sock_filter) a number."""
    arch, opening, closed = _MACHINES[machine]
    refused = (*closed, *_EVERYWHERE)
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
