"""`memguard agent`: the command line, and the process's life."""

from __future__ import annotations

import signal
import sys
from typing import NamedTuple

from memguard.errors import ConfigError, MemguardError

USAGE = """usage: memguard agent --node NODE --socket PATH --state DIR --listen ADDRESS:PORT [options]

The guard's voice in the cluster: hands it the policies as its plan and tells it who is who; writes its decisions,
Events and the node's report to the API server; serves /metrics, /healthz and /readyz.

  --node NODE         the Node that this runs on
  --socket PATH       where the guard listens (memguard guard --socket PATH)
  --state DIR         a directory on a disk, for what must not be lost
  --listen ADDR:PORT  where /metrics is served; without an address at all of them
  --kubeconfig FILE   how to reach the API server; without it as every pod does
  --namespace NAME    where facts about the node are recorded that concern no namespace (memguard-system)
  --guard-uid UID     the user that the guard runs as (0); nobody else is believed
  --vpa-events        tell the Vertical Pod Autoscaler of containers that were ended, as kubelet's evictions do

SIGTERM stops; the guard goes on with the plan that it has.
exit codes: 0 stopped as asked, 1 something failed, 2 the command line or a configuration is wrong.
"""
SEE_HELP = "See memguard agent --help."
STOPS = (signal.SIGTERM, signal.SIGINT)


class Arguments(NamedTuple):
    """The command line."""

    node: str
    socket: str
    state: str
    listen: str
    kubeconfig: str | None = None
    namespace: str = "memguard-system"
    guard_uid: int = 0
    vpa_events: bool = False


def main(argv: list[str]) -> int:
    """The command; its exit code."""
    if not {"-h", "--help"}.isdisjoint(argv):
        print(USAGE, end="")  # noqa: T201 - this is the command's answer
        return 0
    try:
        return _live(arguments(argv))
    except MemguardError as error:
        print(f"memguard agent: {error}", file=sys.stderr)  # noqa: T201
        return error.exit_code


def arguments(argv: list[str]) -> Arguments:
    """Read and check the command line. Raises ConfigError."""
    found: dict[str, str] = {}
    words = iter(argv)
    for word in words:
        option, equals, value = word.partition("=")
        name = option.removeprefix("--").replace("-", "_")
        if not option.startswith("--") or name not in Arguments._fields or (name == "vpa_events" and equals):
            raise _wrong(f"unknown argument {word!r}")
        found[name] = "yes" if name == "vpa_events" else value if equals else next(words, "")
    for name in ("node", "socket", "state", "listen", *found):
        if not found.get(name):
            raise _wrong(f"--{name.replace('_', '-')} needs a value")
    uid = found.get("guard_uid", "0")
    if not uid.isdecimal():
        raise _wrong(f"--guard-uid takes a user's number, not {uid!r}")
    texts = {name: value for name, value in found.items() if name not in ("guard_uid", "vpa_events")}
    return Arguments(**texts, guard_uid=int(uid), vpa_events="vpa_events" in found)


def _wrong(problem: str) -> ConfigError:
    return ConfigError("command line", problem, remedy=SEE_HELP)


def _live(wanted: Arguments) -> int:
    """Until a signal says stop, or a thread that is needed has ended."""
    from memguard.agent.agent import Agent
    from memguard.service.journal import Journal

    # Taken by sigtimedwait alone: no handler runs in the middle of anything. Threads inherit it.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
    agent = Agent(wanted, Journal(sys.stdout.fileno()))
    agent.start()
    while agent.lost is None and signal.sigtimedwait(STOPS, 0.5) is None:
        pass
    agent.stop()
    return 0 if agent.lost is None else 1
