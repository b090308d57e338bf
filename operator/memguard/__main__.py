"""The door: `guard`, `agent` and `operator` go straight to what runs in clusters, the rest to people's command lines.

Called as kubectl-memguard, as kubectl calls its plugins, or as `memguard kubectl`, it is the cluster's command line.

The guard's container has the standard library and msgspec and nothing else, and every module that is imported there
is locked memory: so typer, rich and yaml are imported on the other path only.
"""

from __future__ import annotations

import os
import sys

from memguard import __version__
from memguard.errors import MemguardError

#: What each extra brings; anything else that is missing is a broken installation and may say so loudly.
EXTRAS = {
    "typer": "cli",
    "rich": "cli",
    "yaml": "cli",
    "prometheus_client": "agent",
    "kopf": "operator",
    "kubernetes": "kubectl",
    "urllib3": "kubectl",
    "jinja2": "kubectl",
}
PLUGIN = "kubectl-memguard"


def main(argv: list[str] | None = None) -> int:
    """Run one command. Returns its exit code: 0 ok, 1 unfit or failed, 2 bad input."""
    arguments = sys.argv[1:] if argv is None else argv
    if argv is None and os.path.basename(sys.argv[0]).startswith(PLUGIN):
        arguments = ["kubectl", *arguments]
    try:
        return _dispatch(arguments)
    except MemguardError as error:
        # It may quote what a file holds: one line, whatever that is. The guard says its own errors itself.
        from memguard.cli.output import plain

        sys.stderr.write(f"memguard: {plain(str(error))}\n")
        return error.exit_code


def _dispatch(arguments: list[str]) -> int:
    if arguments[:1] == ["guard"]:
        from memguard.guard.main import main as guard

        return guard(arguments[1:])
    if arguments == ["--version"]:
        sys.stdout.write(f"memguard {__version__}\n")
        return 0
    try:
        return _with_extras(arguments)
    except ModuleNotFoundError as error:
        extra = EXTRAS.get(error.name or "")
        if extra is None:
            raise
        sys.stderr.write(f"memguard: {error.name} is missing. In memguard's source: pip install '.[{extra}]'\n")
        return 2


def _with_extras(arguments: list[str]) -> int:
    if arguments[:1] == ["agent"]:
        from memguard.agent.main import main as agent

        return agent(arguments[1:])
    if arguments[:1] == ["operator"]:
        from memguard.controller.main import main as operator

        return operator(arguments[1:])
    if arguments[:1] == ["clean-up"]:
        from memguard.controller.clean_up import main as clean_up

        return clean_up(arguments[1:])
    if arguments[:1] == ["kubectl"]:
        from memguard.cli.cluster.app import run as run_plugin

        return run_plugin(arguments[1:])
    from memguard.cli.app import run

    return run(arguments)


if __name__ == "__main__":
    sys.exit(main())
