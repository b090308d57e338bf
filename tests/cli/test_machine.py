"""The commands that read this machine: snapshot, top and doctor, on a machine made of files."""

from __future__ import annotations

import io
import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console
from tests.cli.conftest import Run
from tests.cli.trees import MIB, POD, UID, FakeMachine

from memguard.cli.checks import check, hierarchy, neighbours, privileges
from memguard.cli.checks.check import Check, DoctorReport, Place
from memguard.cli.view.checks import checks_view
from memguard.kernel.compaction import KNOB
from memguard.kernel.host import cgroup_version

# --- snapshot


def test_a_snapshot_is_json_that_every_other_command_reads(run: Run, machine: FakeMachine, tmp_path: Path) -> None:
    ran = run("snapshot", *machine.options)
    found = json.loads(ran.out)
    assert found["apiVersion"] == "memguard.io/snapshot/v1"
    assert found["node"]["memory"]["availableBytes"] == 700 * MIB
    assert [c["memory"]["anonBytes"] for c in found["containers"]] == [500 * MIB, 50 * MIB]
    assert {c["qos"] for c in found["containers"]} == {"Burstable"}
    assert [c["kind"] for c in found["cgroups"]] == ["kubepods", "pod"]
    (tmp_path / "node.json").write_text(ran.out)
    for command in ("rank", "replay", "explain"):
        assert run(command, tmp_path / "node.json").code == 0


def test_a_configuration_says_who_a_cgroup_is(run: Run, machine: FakeMachine, tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text('[[containers]]\ncgroup = "kubepods.slice/*"\nnamespace = "shop"\npod = "cart"\nname = "app"\n')
    containers = json.loads(run("snapshot", *machine.options, "--plan", plan).out)["containers"]
    assert {(c["namespace"], c["pod"], c["name"]) for c in containers} == {("shop", "cart", "app")}


@pytest.mark.parametrize("command", ["snapshot", "record", "top"])
def test_without_a_cgroup_v2_tree_they_refuse(run: Run, tmp_path: Path, command: str) -> None:
    ran = run(command, "--cgroup-root", tmp_path)
    assert (ran.code, ran.out) == (1, "")
    assert "no cgroup v2 tree" in ran.err
    assert "--cgroup-root" in ran.err


COMMANDS = (("snapshot",), ("record", "--count", "1"), ("top", "--once", "--interval", "0.01"))


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize(("option", "at"), [("--cgroup-root", 1), ("--proc-root", 3)])
def test_a_root_that_is_not_there_is_bad_input(
    run: Run, machine: FakeMachine, command: tuple[str, ...], option: str, at: int
) -> None:
    options = machine.options
    options[at] = "/no/such"
    ran = run(*command, *options)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("memguard: /no/such: no ")
    assert option in ran.err


def test_a_proc_root_without_proc_is_bad_input(run: Run, machine: FakeMachine, tmp_path: Path) -> None:
    ran = run("snapshot", "--cgroup-root", machine.cgroup_root, "--proc-root", tmp_path)
    assert (ran.code, ran.out) == (2, "")
    assert f"{tmp_path}: no proc file system" in ran.err
    assert "--proc-root" in ran.err


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_malformed_kernel_file_is_bad_input(run: Run, machine: FakeMachine, command: tuple[str, ...]) -> None:
    file = machine.container(3, anon_mib=10) / "memory.stat"
    file.write_text("file 1\nanon abc\n")
    ran = run(*command, *machine.options)
    assert ran.code == 2
    assert f"{file}:2: " in ran.err
    assert "Please report" in ran.err
    assert len(ran.err.splitlines()) == 1


def test_this_machine_is_read_or_refused(run: Run) -> None:
    """The developer's machine may have any kind of tree: only cgroup v2 is read, anything else is named."""
    ran, version = run("snapshot"), cgroup_version()
    assert ran.code == (0 if version == "v2" else 1)
    assert ran.err == "" if version == "v2" else "cgroup" in ran.err and len(ran.err.splitlines()) == 1


# --- top


def test_top_knows_headroom_growth_and_level(machine: FakeMachine) -> None:
    """Between two readings the second container grows by 100 MiB and comes within its margin."""
    command = [sys.executable, "-m", "memguard", "top", *machine.options, "--interval", "0.01", "-o", "json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as top:
        assert top.stdout is not None
        before = json.loads(top.stdout.readline())
        machine.container(2, anon_mib=245, limit_mib=256)
        # A reading may fall between two writes: the first one of the new state counts.
        after = next(found for line in top.stdout if _second(found := json.loads(line))["headroomBytes"] == 11 * MIB)
        top.send_signal(signal.SIGINT)
        top.stdout.read()
        assert top.wait(timeout=30) == 0
    quiet, full = _second(before), _second(after)
    assert (quiet["level"], quiet["limitSeconds"], quiet["headroomBytes"]) == ("ok", None, (256 - 50) * MIB)
    assert full["level"] == "danger"
    assert full["limitSeconds"] is not None


def _second(outlook: dict[str, Any]) -> dict[str, Any]:
    """The second container of it."""
    found: dict[str, Any] = next(c for c in outlook["containers"] if c["id"] == f"{2:064x}")
    return found


LONGEST_STREAM = 1_000_000


def test_a_stream_of_yaml_is_one_document_each(machine: FakeMachine) -> None:
    command = [sys.executable, "-m", "memguard", "top", *machine.options, "--interval", "0.01", "-o", "yaml"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as top:
        assert top.stdout is not None
        text, begun = "", 0
        for line in top.stdout:
            begun += line == "---\n"
            text += line
            if begun == 3 or len(text) > LONGEST_STREAM:
                break
        top.send_signal(signal.SIGINT)
        text += top.stdout.read()
        assert top.wait(timeout=30) == 0
    documents = list(yaml.safe_load_all(text))
    assert len(documents) >= 3
    assert all(len(document["containers"]) == 2 for document in documents)


def test_top_on_a_terminal_takes_the_screen_and_gives_it_back(machine: FakeMachine) -> None:
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "memguard", "top", *machine.options, "--interval", "0.05"]
    environment = os.environ | {"TERM": "xterm-256color", "COLUMNS": "120", "LINES": "40"}
    with subprocess.Popen(command, stdout=slave, stdin=slave, env=environment) as top:
        os.close(slave)
        written = b""
        while b"headroom" not in written:
            written += os.read(master, 65536)
        top.send_signal(signal.SIGINT)
        while b"\x1b[?1049l" not in written:
            written += os.read(master, 65536)
        assert top.wait(timeout=30) == 0
    os.close(master)
    assert b"\x1b[?1049h" in written


def test_top_once_in_yaml_is_a_document_without_a_mark(run: Run, machine: FakeMachine) -> None:
    out = run("top", "--once", "--interval", "0.01", "-o", "yaml", *machine.options).out
    assert not out.startswith("---")
    assert len(yaml.safe_load(out)["containers"]) == 2


def test_top_once_prints_a_table(run: Run, machine: FakeMachine) -> None:
    ran = run("top", "--once", "--interval", "0.01", *machine.options)
    lines = ran.out.splitlines()
    assert ran.code == 0
    assert "700 MiB of 2.0 GiB available" in lines[0]
    heading = next(line for line in lines if "headroom" in line)
    assert " ".join(heading.split()) == "container usage limit headroom time to limit score level"
    assert sum("cri-containerd-" in line for line in lines) == 2


# --- doctor


def test_doctor_on_this_machine_has_a_remedy_for_everything(run: Run) -> None:
    """The developer's machine may be fit or not: the exit code, the verdict and the remedies must agree."""
    ran = run("doctor", "-o", "json")
    report = json.loads(ran.out)
    assert report["fit"] == all(check["status"] != "fail" for check in report["checks"])
    assert ran.code == (0 if report["fit"] else 1)
    assert all(check["remedy"] for check in report["checks"] if check["status"] != "ok")
    assert (report["checks"][0]["status"] == "ok") == (cgroup_version() == "v2")
    assert ("This machine is fit." in run("doctor").out) == report["fit"]


@pytest.mark.parametrize("version", ["v1", "hybrid", "none"])
def test_anything_but_cgroup_v2_is_refused_with_the_way_out(version: str) -> None:
    check = hierarchy.judge_version(version, "/sys/fs/cgroup")  # type: ignore[arg-type]
    assert check.status == "fail"
    assert check.remedy is not None
    assert "unified_cgroup_hierarchy" in check.remedy or "--cgroup-root" in check.remedy
    assert hierarchy.judge_version("v2", "/sys/fs/cgroup").status == "ok"


def verdict(*checks: Check) -> str:
    text = Console(width=200, file=io.StringIO())
    text.print(checks_view(DoctorReport(fit=all(check.status != "fail" for check in checks), checks=checks)))
    assert isinstance(text.file, io.StringIO)
    return text.file.getvalue().splitlines()[-1]


@pytest.mark.parametrize("version", ["v1", "hybrid", "none"])
def test_without_cgroup_v2_doctor_promises_nothing(version: str) -> None:
    """The guard, top, snapshot and record refuse there: it cannot even observe."""
    tree = hierarchy.judge_version(version, "/sys/fs/cgroup")  # type: ignore[arg-type]
    assert verdict(tree) == (
        "This machine is not fit: without cgroup v2 nothing of memguard works here, not even observing."
    )
    read_only = check.fail("writable", "mounted read-only", "Mount it read-write.")
    good = hierarchy.judge_version("v2", "/sys/fs/cgroup")
    assert verdict(good, read_only) == "This machine is not fit: observe only."
    assert verdict(good) == "This machine is fit."


@pytest.fixture
def place(machine: FakeMachine) -> Place:
    return Place(cgroup_root=str(machine.cgroup_root), proc_root=str(machine.proc_root))


def test_a_tree_with_all_files_is_fit(place: Place) -> None:
    checks = (hierarchy.memory_controller, hierarchy.files, hierarchy.writable, hierarchy.mapping)
    assert [check(place).status for check in checks] == ["ok"] * 4
    assert "2 containers" in hierarchy.mapping(place).finding


def _kubepods(machine: FakeMachine) -> Path:
    return machine.cgroup_root / "kubepods.slice"


def _no_controller(machine: FakeMachine) -> Check:
    (machine.cgroup_root / "cgroup.controllers").write_text("cpu pids\n")
    return hierarchy.memory_controller(_place(machine))


def _controller_off(machine: FakeMachine) -> Check:
    (machine.cgroup_root / "cgroup.subtree_control").write_text("cpu\n")
    return hierarchy.memory_controller(_place(machine))


def _old_kernel(machine: FakeMachine) -> Check:
    (_kubepods(machine) / "cgroup.kill").unlink()
    return hierarchy.files(_place(machine))


def _rather_old_kernel(machine: FakeMachine) -> Check:
    (_kubepods(machine) / "memory.reclaim").unlink()
    return hierarchy.files(_place(machine))


def _no_lever(machine: FakeMachine) -> Check:
    (_kubepods(machine) / "cgroup.freeze").unlink()  # what does not exist may not be written either, root or not
    return hierarchy.writable(_place(machine))


def _unknown_child(machine: FakeMachine) -> Check:
    (machine.cgroup_root / POD.format(uid=UID) / "sandbox-of-a-new-runtime").mkdir()
    return hierarchy.mapping(_place(machine))


def _no_psi(machine: FakeMachine) -> Check:
    (machine.proc_root / "pressure" / "memory").unlink()
    return neighbours.pressure(_place(machine))


def _rival(machine: FakeMachine) -> Check:
    (machine.proc_root / "77").mkdir()
    (machine.proc_root / "77" / "comm").write_text("systemd-oomd\n")
    return neighbours.rivals(_place(machine))


def _no_runtime(machine: FakeMachine) -> Check:
    return neighbours.runtime(_place(machine))


def _zfs(machine: FakeMachine) -> Check:
    stats = machine.proc_root / "spl" / "kstat" / "zfs" / "arcstats"
    stats.parent.mkdir(parents=True)
    stats.write_text("13 1 0x01 96 26112\nname type data\nhits 4 100\nsize 4 8589934592\n")
    return neighbours.zfs(_place(machine))


def _no_capabilities(machine: FakeMachine) -> Check:
    _status(machine, 0)
    return privileges.capabilities(_place(machine))


def _all_but_one(machine: FakeMachine) -> Check:
    _status(machine, (1 << 5) | (1 << 14) | (1 << 23))
    return privileges.capabilities(_place(machine))


def _apparmor(machine: FakeMachine) -> Check:
    _status(machine, 0)
    (machine.proc_root / "self" / "attr").mkdir()
    (machine.proc_root / "self" / "attr" / "current").write_text("cri-containerd.apparmor.d (enforce)\n")
    return privileges.apparmor(_place(machine))


def _status(machine: FakeMachine, capabilities: int) -> None:
    (machine.proc_root / "self").mkdir()
    (machine.proc_root / "self" / "status").write_text(f"Name:\tmemguard\nCapEff:\t{capabilities:016x}\n")


def _place(machine: FakeMachine) -> Place:
    return Place(cgroup_root=str(machine.cgroup_root), proc_root=str(machine.proc_root))


@pytest.mark.parametrize(
    ("spoil", "status", "finding", "remedy"),
    [
        (_no_controller, "fail", "cgroup.controllers", "cgroup_disable"),
        (_controller_off, "fail", "not switched on", "subtree_control"),
        (_old_kernel, "fail", "cgroup.kill", "5.14"),
        (_rather_old_kernel, "warn", "memory.reclaim", "5.19"),
        (_no_lever, "fail", "cgroup.freeze", "root"),
        (_unknown_child, "fail", "sandbox-of-a-new-runtime", "Report"),
        (_no_psi, "warn", "not in this kernel", "psi=1"),
        (_rival, "warn", "systemd-oomd", "systemctl disable"),
        (_no_runtime, "warn", "neither kubelet", "hostPID"),
        (_zfs, "warn", "8.0 GiB", "zfs_arc_max"),
        (_no_capabilities, "fail", "KILL", "KILL, IPC_LOCK, SYS_NICE, SYS_RESOURCE"),
        (_all_but_one, "warn", "SYS_RESOURCE", "SYS_RESOURCE"),
        (_apparmor, "warn", "cri-containerd.apparmor.d", "profile"),
    ],
)
def test_each_lack_is_found_with_its_remedy(
    machine: FakeMachine, spoil: object, status: str, finding: str, remedy: str
) -> None:
    assert callable(spoil)
    check = spoil(machine)
    assert check.status == status
    assert finding in check.finding
    assert remedy in check.remedy


@pytest.mark.parametrize(
    ("value", "writable", "status"), [("1", False, "warn"), ("1", True, "ok"), ("0", False, "ok"), (None, False, "ok")]
)
def test_whether_compaction_may_make_the_guard_wait(
    machine: FakeMachine, monkeypatch: pytest.MonkeyPatch, value: str | None, writable: bool, status: str
) -> None:
    knob = machine.proc_root / "sys" / KNOB
    if value is not None:
        knob.parent.mkdir(parents=True)
        knob.write_text(f"{value}\n")
    monkeypatch.setattr(os, "access", lambda *_: writable)
    check = privileges.pages_in_place(_place(machine))
    assert check.status == status
    assert ("vm.compact_unevictable_allowed=0" in (check.remedy or "")) == (status == "warn")


def test_the_real_process_has_its_capabilities_read() -> None:
    assert "does not tell" not in privileges.capabilities(Place()).finding
    assert privileges.real_time(Place()).status in ("ok", "warn")
    assert privileges.open_files(Place()).status in ("ok", "warn")
