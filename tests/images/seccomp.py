"""Runs a program under a seccomp profile as a container's runtime would: `python seccomp.py PROFILE COMMAND...`.

The profile's own words go to libseccomp, which runc uses as well, and the filter is in force before the program starts.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ALLOW = 0x7FFF0000
ERRNO = 0x00050000
KILL_PROCESS = 0x80000000
#: enum scmp_compare (seccomp.h)
COMPARISONS = {"SCMP_CMP_EQ": 4, "SCMP_CMP_MASKED_EQ": 7}


class Comparison(ctypes.Structure):
    """struct scmp_arg_cmp"""

    _fields_ = (
        ("arg", ctypes.c_uint),
        ("op", ctypes.c_int),
        ("datum_a", ctypes.c_uint64),
        ("datum_b", ctypes.c_uint64),
    )


def prepared(profile: dict[str, Any]) -> Callable[[], None]:
    """Call it, and this process and its children obey the profile from then on."""
    library = ctypes.CDLL("libseccomp.so.2")
    library.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(
        library.seccomp_init(ctypes.c_uint32(_action(profile["defaultAction"], profile["defaultErrnoRet"])))
    )
    for name in profile["architectures"]:
        token = library.seccomp_arch_resolve_name(name.removeprefix("SCMP_ARCH_").lower().encode())
        _checked(library.seccomp_arch_add(context, token), allowed=(errno.EEXIST,))
    for rule in profile["syscalls"]:
        for name in rule["names"]:
            number = library.seccomp_syscall_resolve_name(name.encode())
            if number != -1:  # newer than this libseccomp: runc leaves it out, too
                arguments = [_comparison(argument) for argument in rule.get("args", ())]
                array = (Comparison * len(arguments))(*arguments)
                action = ctypes.c_uint32(_action(rule["action"], rule.get("errnoRet", errno.EPERM)))
                _checked(library.seccomp_rule_add_array(context, action, number, len(arguments), array))
    return lambda: _checked(library.seccomp_load(context))


def to_the_letter(profile: dict[str, Any]) -> dict[str, Any]:
    """The same profile, but whoever makes a call that it does not allow ends by SIGSYS instead of being refused."""
    return {**profile, "defaultAction": "SCMP_ACT_KILL_PROCESS"}


def _action(name: str, code: int) -> int:
    return {"SCMP_ACT_ALLOW": ALLOW, "SCMP_ACT_ERRNO": ERRNO | code, "SCMP_ACT_KILL_PROCESS": KILL_PROCESS}[name]


def _comparison(argument: dict[str, Any]) -> Comparison:
    return Comparison(argument["index"], COMPARISONS[argument["op"]], argument["value"], argument.get("valueTwo", 0))


def _checked(result: int, allowed: tuple[int, ...] = ()) -> None:
    if result < 0 and -result not in allowed:
        raise OSError(-result, os.strerror(-result))


if __name__ == "__main__":
    prepared(json.loads(Path(sys.argv[1]).read_text()))()
    os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606
