"""The peers of the race, each as it comes and at its best: whole configurations as text, with their sources.

"-default" is what Debian's package runs. The other is the best that the peer's own documentation offers for the race:
the cell's line where it can be told one, else its quickest settings. Shared by host and guest, stdlib only.

Words that are replaced, beside those of Guard: @SHIELD@ (every guard's memory.min), @RESERVE_MIB@, @HARD_KIB@ and
@HARD_MIB@ (90 % of the reserve), and @ANON_LINE_MIB@ (anonymous memory of all pods at which only the reserve is left).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

PeerKind = Literal[
    "earlyoom-default", "earlyoom", "nohang-default", "nohang", "oomd-default", "oomd",
    "systemd-oomd-default", "systemd-oomd",
]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Peer:
    """One daemon in one configuration."""

    source: str  # where this configuration is documented
    argv: tuple[str, ...]
    ready: str  # regular expression in its output
    unit: str = ""  # what PID 1 runs in its own cgroup, directly below the root; `argv` is no part of it then
    prepare: str = ""  # shell, before the cell's cgroups are made
    restore: str = ""  # shell, once the peer is gone


_NOHANG_READY = "Monitoring has started"
# SIGTERM at the reserve, SIGKILL 10 % below. Its own thresholds (5 % and 2 % of MemTotal, and swap must be short too)
# would make another race.
_NOHANG_CONFIG = r"""
sed -E -e 's/^(soft_threshold_min_mem) *=.*/\1 = @RESERVE_MIB@ M/' \
       -e 's/^(hard_threshold_min_mem) *=.*/\1 = @HARD_MIB@ M/' \
       -e 's/^((soft|hard)_threshold_min_swap) *=.*/\1 = 99 %/' /etc/nohang/nohang.conf > @RUN@/guard.conf
"""

_OOMD_READY = "Running oomd"
# It refuses to start without the directory of its statistics, and its first rule names system.slice.
_OOMD_PLACES = "mkdir -p /run/oomd @CGROUP@/system.slice\n"
_OOMD_CONFIG = """
cat > @RUN@/guard.conf <<'END'
{"rulesets": [
  {"name": "the line",
   "post_action_delay": "1",
   "detectors": [["anonymous memory leaves less than the reserve",
     {"name": "memory_above",
      "args": {"cgroup": "kubepods.slice", "threshold_anon": "@ANON_LINE_MIB@M", "duration": "0"}}]],
   "actions": [
     {"name": "kill_by_memory_size_or_growth", "args": {"cgroup": "kubepods.slice/*/*", "recursive": "true"}}]},
  {"name": "pressure",
   "post_action_delay": "1",
   "detectors": [["all pods stall, and are reclaimed from",
     {"name": "pressure_above",
      "args": {"cgroup": "kubepods.slice", "resource": "memory", "threshold": "10", "duration": "1"}},
     {"name": "memory_reclaim", "args": {"cgroup": "kubepods.slice", "duration": "10"}}]],
   "actions": [
     {"name": "kill_by_memory_size_or_growth", "args": {"cgroup": "kubepods.slice/*/*", "recursive": "true"}}]},
  {"name": "protection against low swap",
   "detectors": [["free swap goes below 10 percent", {"name": "swap_free", "args": {"threshold_pct": "10"}}]],
   "actions": [{"name": "kill_by_swap_usage", "args": {"cgroup": "kubepods.slice/*/*", "recursive": "true"}}]}
]}
END
"""

# PID 1 tells of its units to nobody but its own systemd-oomd.service: PID 1 starts it then, with the shield of the
# others, and the guard's process only waits for it.
_SYSTEMD_OOMD = (
    "sh", "-ec", "systemctl start systemd-oomd.service; echo started; "
    "exec tail --follow --pid=$(systemctl show --property=MainPID --value systemd-oomd.service) /dev/null",
)  # fmt: skip
_SYSTEMD_OOMD_UNIT = """
mkdir -p /run/systemd/system/systemd-oomd.service.d
cat > /run/systemd/system/systemd-oomd.service.d/60-race.conf <<'END'
[Service]
Slice=-.slice
MemoryMin=@SHIELD@
OOMScoreAdjust=-999
Environment=SYSTEMD_LOG_TARGET=console
StandardOutput=append:@RUN@/guard.log
StandardError=inherit
END
"""
_SYSTEMD_OOMD_WATCHES = """
mkdir -p /run/systemd/system/-.slice.d /run/systemd/system/kubepods.slice.d /run/systemd/oomd.conf.d
cat > /run/systemd/system/-.slice.d/60-race.conf <<'END'
[Slice]
ManagedOOMSwap=kill
END
cat > /run/systemd/system/kubepods.slice.d/60-race.conf <<'END'
[Slice]
ManagedOOMMemoryPressure=kill
ManagedOOMMemoryPressureLimit=10%
END
cat > /run/systemd/oomd.conf.d/60-race.conf <<'END'
[OOM]
DefaultMemoryPressureDurationSec=1s
END
"""
# kubelet has systemd make kubepods.slice, too: PID 1 watches only over what it knows.
_SYSTEMD_OOMD_RELOAD = "systemctl daemon-reload && systemctl start kubepods.slice\n"
_SYSTEMD_OOMD_RESTORE = """
systemctl stop systemd-oomd.service systemd-oomd.socket kubepods.slice
cd /run/systemd && rm -rf system/systemd-oomd.service.d system/-.slice.d system/kubepods.slice.d oomd.conf.d
systemctl daemon-reload
"""

#: In the order of the table.
PEERS: Mapping[str, Peer] = {
    "earlyoom-default": Peer(
        source="Debian's /etc/default/earlyoom: SIGTERM at 10 % of memory and of swap, SIGKILL at 5 %",
        argv=("earlyoom", "-r", "3600"),
        ready="mem avail",
    ),
    "earlyoom": Peer(
        source="earlyoom(1): -M for the line (SIGKILL 10 % below it), -s 100: however much swap is left",
        argv=("earlyoom", "-M", "@RESERVE_KIB@,@HARD_KIB@", "-s", "100", "-r", "0"),
        ready="mem avail",
    ),
    "nohang-default": Peer(
        source="Debian's nohang.service and /etc/nohang/nohang.conf: 5 % of memory and 10 % of swap, then 2 % and 4 %",
        argv=("nohang", "--monitor", "--config", "/etc/nohang/nohang.conf"),
        ready=_NOHANG_READY,
    ),
    "nohang": Peer(
        source="nohang(8): the packaged configuration with the line, however much swap is left",
        argv=("nohang", "--monitor", "--config", "@RUN@/guard.conf"),
        ready=_NOHANG_READY,
        prepare=_NOHANG_CONFIG,
    ),
    "oomd-default": Peer(
        source="Debian's /etc/default/oomd without --cgroup-fs, as it says for cgroup v2, and /etc/oomd/oomd.json: "
        "watches user.slice, system.slice and swap",
        argv=("oomd", "--interval", "1", "--config", "/etc/oomd/oomd.json"),
        ready=_OOMD_READY,
        prepare=_OOMD_PLACES,
    ),
    "oomd": Peer(
        source="oomd's documents on its core plugins and on configuration: memory_above for the line, pressure_above, "
        "and the packaged swap rule, on pods; looks once a second, its shortest interval",
        argv=("oomd", "--interval", "1", "--config", "@RUN@/guard.conf"),
        ready=_OOMD_READY,
        prepare=_OOMD_PLACES + _OOMD_CONFIG,
    ),
    "systemd-oomd-default": Peer(
        source="Debian's package: of all units only user@.service is watched",
        argv=_SYSTEMD_OOMD,
        ready="started",
        unit="systemd-oomd.service",
        prepare=_SYSTEMD_OOMD_UNIT + _SYSTEMD_OOMD_RELOAD,
        restore=_SYSTEMD_OOMD_RESTORE,
    ),
    "systemd-oomd": Peer(
        source="systemd-oomd.service(8): ManagedOOMSwap on the root slice, ManagedOOMMemoryPressure below it, with "
        "another limit where there is no swap; oomd.conf(5): the shortest duration, 1 s",
        argv=_SYSTEMD_OOMD,
        ready="started",
        unit="systemd-oomd.service",
        prepare=_SYSTEMD_OOMD_UNIT + _SYSTEMD_OOMD_WATCHES + _SYSTEMD_OOMD_RELOAD,
        restore=_SYSTEMD_OOMD_RESTORE,
    ),
}
