"""`memguard guard --standalone --config FILE`: from the command line to the loop, and out of it again."""

from __future__ import annotations

import gc
import os
import signal
import sys

from memguard.errors import ConfigError, MemguardError, UnfitError
from memguard.guard.clock import Clock
from memguard.guard.config import Config, load_config
from memguard.guard.janitor import spawn_janitor
from memguard.guard.journal import Journal
from memguard.kernel.host import cgroup_version, controllers
from memguard.kernel.record import Records
from memguard.kernel.sweep import sweep

USAGE = """usage: memguard guard --standalone --config FILE [--check]

Guards this machine: ranks containers, and brakes, stops or kills the culprit before the kernel's OOM killer fires.
Without a rule that says Enforce it only observes.

  --standalone    take the plan from a file, not from an agent
  --config FILE   the plan and everything else, in TOML (docs/guard.md)
  --check         read the configuration, say whether it is good, and stop

signals: SIGHUP reads the configuration again (a broken one leaves the last good one in force), SIGTERM stops.
exit codes: 0 stopped as asked, 1 this machine cannot be guarded, 2 the configuration or the command line is wrong.
"""


def main(argv: list[str]) -> int:
    """The command; its exit code."""
    try:
        path, check = _arguments(argv)
        if path is None:
            print(USAGE, end="")  # noqa: T201 - this is the command's answer
            return 0
        config = load_config(path)
        if check:
            print(f"{path}: good")  # noqa: T201
            return 0
        return guard(path, config)
    except MemguardError as error:
        print(f"memguard guard: {error}", file=sys.stderr)  # noqa: T201
        return error.exit_code


def guard(path: str, config: Config) -> int:
    """Guard this machine until a signal says stop."""
    require_fit(config)
    janitor = spawn_janitor(config.cgroup_root, config.run_directory)
    records = Records(config.run_directory)
    if not records.claim():
        raise UnfitError(f"{records.path}: another guard is running. Stop it first.")
    swept = sweep(config.cgroup_root, records)
    from memguard.guard.loop import Guard
    from memguard.guard.metrics import Metrics
    from memguard.guard.report import Report
    from memguard.kernel.selfguard import protect, raise_open_files

    raise_open_files()
    clock = Clock()
    report = Report(Journal(sys.stdout.fileno(), clock.now), Metrics(), config.trace, clock.now, clock.monotonic)
    wakeup = _wakeup_pipe()
    running = Guard(config, records, report, clock, wakeup_fd=wakeup)
    running.employ(janitor)
    signal.signal(signal.SIGTERM, lambda *_: running.stop())
    signal.signal(signal.SIGINT, lambda *_: running.stop())
    signal.signal(signal.SIGHUP, lambda *_: running.reload(path))
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    measures = protect(real_time=config.tuning.realtime)
    gc.collect()
    gc.freeze()
    gc.disable()
    report.say(
        "start",
        version=report.version,
        mode=config.mode,
        containers=len(running.watch),
        reserveBytes=running.scene.reserve_bytes,
        swept=swept,
        measures=[measure for measure in measures if not measure.ok],
    )
    running.run()
    report.say("stop")
    if running.janitor is not None:
        running.janitor.dismiss()
    return 0


def require_fit(config: Config) -> None:
    """Refuse what cannot be guarded. Raises UnfitError with the remedy."""
    version = cgroup_version(config.cgroup_root)
    if version != "v2":
        raise UnfitError(
            f"{config.cgroup_root} is no cgroup v2 tree ({version}). Boot with systemd.unified_cgroup_hierarchy=1, "
            "or name the right place with cgroupRoot."
        )
    if "memory" not in controllers(config.cgroup_root):
        raise UnfitError(f"{config.cgroup_root} has no memory controller. Boot without cgroup_disable=memory.")


def _wakeup_pipe() -> int:
    """Signals end a poll: Python writes a byte into this pipe for each."""
    reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    return reader


def _arguments(argv: list[str]) -> tuple[str | None, bool]:
    path, check, standalone = None, False, False
    words = iter(argv)
    for word in words:
        match word:
            case "-h" | "--help":
                return None, False
            case "--standalone":
                standalone = True
            case "--check":
                check = True
            case "--config":
                path = next(words, None)
            case _ if word.startswith("--config="):
                path = word.partition("=")[2]
            case _:
                raise ConfigError("command line", f"unknown argument {word!r}", remedy="See memguard guard --help.")
    if not standalone or not path:
        raise ConfigError(
            "command line", "--standalone and --config FILE are both needed", remedy="See memguard guard --help."
        )
    return path, check
