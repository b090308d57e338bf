"""`memguard agent`: the command line, and the process's life."""

from __future__ import annotations

from typing import NamedTuple

from memguard.service.command import answer, options, serve, wrong

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
    return answer("agent", USAGE, argv, _live)


def arguments(argv: list[str]) -> Arguments:
    """Read and check the command line. Raises ConfigError."""
    needed = ("node", "socket", "state", "listen")
    found = options("agent", argv, Arguments._fields, needed, flags=("vpa_events",))
    uid, vpa_events = found.pop("guard_uid", "0"), bool(found.pop("vpa_events", ""))
    if not uid.isdecimal():
        raise wrong("agent", f"--guard-uid takes a user's number, not {uid!r}")
    return Arguments(**found, guard_uid=int(uid), vpa_events=vpa_events)


def _live(argv: list[str]) -> int:
    from memguard.agent.agent import Agent

    wanted = arguments(argv)
    return serve(lambda journal: Agent(wanted, journal))
