"""One guard's life: fit or refused, hardened, running, and gone without leaving anything behind."""

from __future__ import annotations

import gc
import os
import signal
import sys

from memguard.errors import ConfigError, UnfitError
from memguard.guard.clock import Clock
from memguard.guard.config import Config, load_config
from memguard.guard.dialogue import Address
from memguard.guard.janitor import Janitor
from memguard.guard.journal import Journal
from memguard.guard.loop import Guard
from memguard.guard.main import Arguments
from memguard.guard.metrics import Metrics
from memguard.guard.report import Report
from memguard.kernel.host import cgroup_version, controllers, require_proc
from memguard.kernel.record import Records
from memguard.kernel.selfguard import protect, raise_open_files
from memguard.kernel.sweep import sweep


def live(wanted: Arguments, janitor: Janitor | None) -> int:
    """Guard this machine until a signal says stop; the exit code. Raises ConfigError and UnfitError."""
    config = load_config(wanted.config) if wanted.config else Config()
    address = Address(wanted.socket, wanted.peer_uid) if wanted.socket and wanted.peer_uid is not None else None
    if address is not None:
        require_no_plan(config, wanted.config or "")
    require_fit(config)
    records = Records(config.run_directory)
    if not records.claim():
        raise UnfitError(f"{records.path}: another guard is running. Stop it first.")
    if janitor is not None:
        janitor.brief(config.cgroup_root, config.run_directory)
    swept = sweep(config.cgroup_root, records)
    raise_open_files()
    clock = Clock()
    report = Report(Journal(sys.stdout.fileno(), clock.now), Metrics(), config.trace, clock.now, clock.monotonic)
    guard = Guard(config, records, report, clock, wakeup_fd=_wakeup_pipe(), address=address)
    if janitor is not None:
        guard.heir.employ(janitor)
    signal.signal(signal.SIGTERM, lambda *_: guard.stop())
    signal.signal(signal.SIGINT, lambda *_: guard.stop())
    if wanted.config is not None:
        signal.signal(signal.SIGHUP, lambda *_: guard.reload(wanted.config or ""))
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    guard.measures = protect(real_time=config.tuning.realtime, enclosed=address is not None)
    guard.keep_in_place()
    gc.collect()
    gc.freeze()
    gc.disable()
    report.say(
        "start",
        version=report.version,
        mode=guard.plan.mode,
        containers=len(guard.watch),
        reserveBytes=guard.scene.node_reserve_bytes,
        swept=swept._asdict(),
        unfit=guard.watch.terms.unfit,
        missing=[measure for measure in (*guard.measures, *guard.kept_in_place) if not measure.ok],
    )
    guard.run()
    report.say("stop")
    guard.heir.dismiss()
    return 0


def require_no_plan(config: Config, path: str) -> None:
    """Beside an agent the plan is the agent's; one in the file would silently not count. Raises ConfigError."""
    if config.plan != Config().plan or config.containers:
        problem = "the plan and the containers come from the agent"
        remedy = "Leave out mode, settings, rules, budget and containers, or use --standalone."
        raise ConfigError(path, problem, remedy=remedy)


def require_fit(config: Config) -> None:
    """Refuse what cannot be guarded. Raises UnfitError, or InputError for a procRoot that is none, with the remedy."""
    version = cgroup_version(config.cgroup_root)
    if version != "v2":
        raise UnfitError(
            f"{config.cgroup_root} is no cgroup v2 tree ({version}). Boot with systemd.unified_cgroup_hierarchy=1, "
            "or name the right place with cgroupRoot."
        )
    if "memory" not in controllers(config.cgroup_root):
        raise UnfitError(f"{config.cgroup_root} has no memory controller. Boot without cgroup_disable=memory.")
    require_proc(config.proc_root)


def _wakeup_pipe() -> int:
    """Signals end a poll: Python writes a byte into this pipe for each."""
    reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    return reader
