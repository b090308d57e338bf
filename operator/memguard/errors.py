"""Every error that memguard raises on purpose.

    MemguardError             exit code 1
    ├── InputError            a file that a person gave us is wrong (exit code 2)
    │   └── ConfigError       ... and it is the configuration
    ├── LinkError             guard and agent do not understand each other
    ├── UnfitError            this machine cannot be guarded (cgroup v1, no controller, ...)
    ├── KernelFileError       a kernel file holds what we do not understand (exit code 2)
    └── KubeError             the Kubernetes API server says no, or says nothing
        ├── UnreachableError      no answer: refused, timed out, cut, or not the server that we trust
        ├── UnauthorizedError     401: it does not know us
        ├── ForbiddenError        403: it knows us, and we may not
        ├── NotFoundError         404
        ├── ConflictError         409: somebody else changed it, or owns the field
        │   └── AlreadyExistsError
        ├── GoneError             410: that resource version is too old to go on from
        ├── InvalidError          422: the object breaks the rules of its kind
        ├── TooLargeError         we have no room for the answer
        ├── TooManyRequestsError  429: later; or a PodDisruptionBudget allows no eviction
        └── ServerError           5xx

A cgroup that vanished is not an error: readers return None for it.

msgspec's own errors become one of these; `problem_and_field` takes their words apart.
"""

from __future__ import annotations


def problem_and_field(error: Exception) -> tuple[str, str]:
    """What msgspec says is wrong, and in which field: a JSON path (`$.spec.mode`), empty where it is about no field.

    Of a key it says "at `key` in `$.spec.weights`".
    """
    problem, _, path = str(error).partition(" - at `")
    if path.startswith("key` in `"):
        problem, path = f"{problem} as a key", path.removeprefix("key` in `")
    return problem, path.rstrip("`")


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


class LinkError(MemguardError):
    """What came over the socket between guard and agent is no message of ours."""


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


class KubeError(MemguardError):
    """The API server refused a request; kinds of it below.

    `passing`: the very same request may succeed later. `retry_after_seconds`: what the server asked to wait, if it did.
    """

    passing = False

    def __init__(
        self,
        verb: str,
        path: str,
        problem: str,
        *,
        remedy: str,
        status: int | None = None,
        causes: tuple[str, ...] = (),
        retry_after_seconds: float | None = None,
    ) -> None:
        self.verb = verb
        self.path = path
        self.problem = problem
        self.remedy = remedy
        self.status = status
        self.causes = causes
        self.retry_after_seconds = retry_after_seconds
        super().__init__(f"{verb} {path}: {problem}. {remedy}")


class UnreachableError(KubeError):
    """No whole answer came: it is not known whether a change was carried out."""

    passing = True


class UnauthorizedError(KubeError):
    """The token or certificate is not accepted, even after it was read again."""


class ForbiddenError(KubeError):
    """RBAC, or an admission policy: the message has its words."""


class NotFoundError(KubeError):
    """No such object, or no such kind."""


class ConflictError(KubeError):
    """The object is not what it was when it was read, or another manager owns a field of it."""


class AlreadyExistsError(ConflictError):
    """There is an object of that name."""


class GoneError(KubeError):
    """The resource version or the continuation is too old: list again."""


class InvalidError(KubeError):
    """`causes` has a line for each field that is wrong: "spec.mode: Unsupported value"."""


class TooLargeError(KubeError):
    """The answer is larger than we read; of fewer objects it may not be."""


class TooManyRequestsError(KubeError):
    """The server wants to be asked later."""

    passing = True

    @property
    def budget(self) -> bool:
        """Is it not the server's load, but a PodDisruptionBudget that allows no eviction now?"""
        return any(cause.startswith("DisruptionBudget:") for cause in self.causes)


class ServerError(KubeError):
    """The server failed, not the request."""

    passing = True
