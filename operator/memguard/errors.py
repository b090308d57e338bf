"""Every error that memguard raises on purpose.

    MemguardError             exit code 1
    ├── InputError            a file that a person gave us is wrong (exit code 2)
    │   └── ConfigError       ... and it is the configuration
    ├── UnfitError            this machine cannot be guarded (cgroup v1, no controller, ...)
    └── KernelFileError       a kernel file holds what we do not understand (exit code 2)

A cgroup that vanished is not an error: readers return None for it.
"""

from __future__ import annotations


class MemguardError(Exception):
    """Root of the tree; the message says what happened and what to do."""

    exit_code = 1


class InputError(MemguardError):
    """A snapshot, trace or other file cannot be used.

    Says the file, the line (1-based, None where lines mean nothing), the field and the remedy.
    """

    exit_code = 2

    def __init__(
        self, source: str, problem: str, *, remedy: str, line: int | None = None, field: str | None = None
    ) -> None:
        self.source = source
        self.line = line
        self.field = field
        self.remedy = remedy
        where = source if line is None else f"{source}:{line}"
        at = f" at {field}" if field else ""
        super().__init__(f"{where}: {problem}{at}. {remedy}")


class ConfigError(InputError):
    """The configuration is wrong; the last good one stays in force where there is one."""


class UnfitError(MemguardError):
    """The machine lacks what guarding needs; the message names the remedy."""


class KernelFileError(MemguardError):
    """A kernel file cannot be parsed: names file and line, so that it can be reported."""

    exit_code = 2

    def __init__(self, path: str, problem: str, *, line: int | None = None) -> None:
        where = path if line is None else f"{path}:{line}"
        super().__init__(f"{where}: {problem}. Please report this file's content with your kernel version.")
        self.path = path
        self.line = line
