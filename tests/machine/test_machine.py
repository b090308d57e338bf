"""The harness itself: what it promises without booting, and one boot that proves the rest."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import get_args

import pytest
from tests.machine import image
from tests.machine import machine as machine_module
from tests.machine.guest import plan as plans
from tests.machine.guest.cgroups import Names
from tests.machine.guest.daemons import Daemon, line_words
from tests.machine.guest.peers import PEERS, PeerKind
from tests.machine.guest.result import CellResult
from tests.machine.guest.spec import MIB, Action, Cell, Command, Domain, Guard, Job, Shape, job_from
from tests.machine.guest.tell import line_crossed
from tests.machine.guest.timeline import Samples, thin
from tests.machine.host import check_host
from tests.machine.image import NODE, ImageSpec, MachineError
from tests.machine.machine import Machine, RunError, encode_job
from tests.machine.qemu import TCG_CPU, TCG_KERNEL_LINE, RecordReader, Run, qemu_command

GIB = 1 << 30


@pytest.fixture(name="node")
def _node(tmp_path: Path) -> plans.Machine:
    return plans.Machine(total_bytes=GIB, free_bytes=GIB * 9 // 10, source=Path("/dev/nullb0"), run=tmp_path)


class TestJob:
    def test_survives_the_way_into_the_guest(self) -> None:
        guard = Guard(kind="memguard", config='mode = "Enforce"', environment=(("A", "b"),))
        cell = Cell(name="c", guard=guard, domain="pod", actions=(Action(at_seconds=1, script="true"),))
        job = Job(cells=(cell,), commands=(Command(name="x", script="uname"),))
        assert job_from(json.loads(encode_job(job))) == job

    def test_takes_a_dict_or_a_file(self, tmp_path: Path) -> None:
        data = {"cells": [{"name": "a", "guard": {"kind": "earlyoom"}}]}
        (tmp_path / "job.json").write_text(json.dumps(data))
        assert encode_job(data) == encode_job(tmp_path / "job.json")

    def test_refuses_what_no_cell_has(self) -> None:
        with pytest.raises(Exception, match="shape"):
            encode_job({"cells": [{"name": "a", "shape": "round"}]})


class TestImage:
    @pytest.mark.parametrize(
        "other", [ImageSpec(suite="bookworm"), ImageSpec(packages=("python3",)), ImageSpec(size_gib=5), image.BENIGN]
    )
    def test_every_input_changes_the_key(self, other: ImageSpec) -> None:
        assert other.key() != NODE.key()

    def test_the_order_of_packages_does_not(self) -> None:
        assert ImageSpec(packages=tuple(reversed(NODE.packages))).key() == NODE.key()

    def test_missing_programs_are_one_error_that_names_the_packages(self, tmp_path: Path) -> None:
        with pytest.raises(
            MachineError, match=r"apt-get install -y e2fsprogs gcc mmdebstrap qemu-system-x86 util-linux"
        ):
            image.check_prerequisites(str(tmp_path))

    def test_a_built_image_is_not_built_again(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / NODE.key()).mkdir()
        (tmp_path / NODE.key() / "disk.img").touch()
        monkeypatch.setenv("PATH", str(tmp_path))
        assert image.ensure(NODE, cache=tmp_path).disk.exists()


class TestCommandLine:
    def _line(self, **changes: object) -> str:
        options = {"clock": "real", "accelerator": "tcg", "memory_mb": 512, "cpus": 4, **changes}
        return " ".join(qemu_command(image.Image(Path("/i")), Path("/d"), **options))  # type: ignore[arg-type]

    def test_virtual_time_is_one_counted_cpu(self) -> None:
        assert f"-icount shift=0,sleep=off -cpu {TCG_CPU} -smp 1 " in self._line(clock="virtual")

    def test_only_an_emulated_cpu_is_told_what_costs_emulation_much(self) -> None:
        assert TCG_KERNEL_LINE in self._line()
        assert TCG_KERNEL_LINE in self._line(clock="virtual")
        assert TCG_KERNEL_LINE not in self._line(accelerator="kvm")

    def test_real_time_has_the_cpus_asked_for(self) -> None:
        assert f"tcg,thread=multi -cpu {TCG_CPU} -smp 4 " in self._line()
        assert "-accel kvm -cpu host -smp 4 " in self._line(accelerator="kvm")

    def test_the_machine_dies_with_us(self) -> None:
        assert self._line().startswith("setpriv --pdeathsig KILL ")

    def test_the_image_is_never_written(self) -> None:
        assert "file=/i/disk.img,id=root,snapshot=on" in self._line()


class TestRecords:
    def test_a_line_counts_when_it_is_complete(self, tmp_path: Path) -> None:
        disk = tmp_path / "disk"
        disk.write_bytes(b'{"kind": "boot"}\n{"kind": "ce' + bytes(4096))
        reader = RecordReader(disk)
        assert reader.read() == [{"kind": "boot"}]
        disk.write_bytes(b'{"kind": "boot"}\n{"kind": "cell"}\n' + bytes(4096))
        assert reader.read() == [{"kind": "cell"}]
        assert reader.read() == []

    def test_records_larger_than_a_block(self, tmp_path: Path) -> None:
        record = {"kind": "cell", "text": "x" * (3 * MIB)}
        (tmp_path / "disk").write_bytes(json.dumps(record).encode() + b"\n" + bytes(4096))
        assert RecordReader(tmp_path / "disk").read() == [record]


class TestHostBackend:
    def test_refuses_without_cgroup_v2(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("os.geteuid", lambda: 0)
        with pytest.raises(MachineError, match="needs cgroup v2"):
            check_host(tmp_path)

    def test_refuses_without_the_memory_controller(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("os.geteuid", lambda: 0)
        (tmp_path / "cgroup.controllers").write_text("cpu io pids\n")
        with pytest.raises(MachineError, match="needs the memory controller"):
            check_host(tmp_path)

    def test_refuses_without_root(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("os.geteuid", lambda: 1000)
        with pytest.raises(MachineError, match="needs root"):
            check_host(tmp_path)

    def test_the_environment_chooses_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MEMGUARD_BACKEND", "host")
        run = Run(records=({"kind": "boot"}, {"kind": "end"}), console="", wall_seconds=0.0, timed_out=False)
        monkeypatch.setattr(machine_module, "run_on_host", lambda *_: run)
        assert Machine().run(Job()).accelerator == "host"


class TestPlan:
    def test_paths_are_those_of_kubelet_with_systemd(self) -> None:
        path = Names("hog").container()
        slice_, qos, pod, scope = path.split("/")
        assert (slice_, qos) == ("kubepods.slice", "kubepods-burstable.slice")
        assert pod.startswith("kubepods-burstable-pod")
        assert pod.count("_") == 4
        assert scope.startswith("cri-containerd-")
        assert len(scope) == len("cri-containerd-.scope") + 64
        assert Names("hog", "guaranteed").pod.startswith("kubepods.slice/kubepods-pod")

    @pytest.mark.parametrize("shape", ["one", "swarm", "threads", "two_pods", "churn_beside", "churn_then_hog", "zram"])
    @pytest.mark.parametrize("domain", ["node", "kubepods", "pod", "container"])
    def test_innocents_are_always_there_and_the_cache_is_filled(
        self, node: plans.Machine, shape: Shape, domain: Domain
    ) -> None:
        plan = plans.make_plan(Cell(name="c", shape=shape, domain=domain), node)
        names = {container.name: container for container in plan.containers}
        assert {"hog", "service", "database", "lat"} <= set(names)
        assert {name for name, container in names.items() if container.culprit} <= {"hog", "hog2"}
        assert any(load.phase == "fill" for container in plan.containers for load in container.loads)

    def test_the_hog_inside_the_database_makes_it_the_culprit(self, node: plans.Machine) -> None:
        plan = plans.make_plan(Cell(name="c", shape="in_database", domain="container"), node)
        culprit = plan.containers[0]
        assert (culprit.name, culprit.culprit, culprit.limit_bytes) == ("database", True, 256 * MIB)
        assert [container.name for container in plan.containers].count("database") == 1
        assert plan.limit_path == culprit.path

    def test_a_pod_limit_is_on_the_pod_alone(self, node: plans.Machine) -> None:
        plan = plans.make_plan(Cell(name="c", domain="pod", limit_bytes=100 * MIB), node)
        assert (plan.containers[0].limit_bytes, plan.containers[0].pod_limit_bytes) == (None, 100 * MIB)
        assert plan.limit_path == plan.containers[0].pod

    def test_benign_shapes_have_no_culprit(self, node: plans.Machine) -> None:
        for shape in plans.BENIGN:
            plan = plans.make_plan(Cell(name="c", shape=shape), node)  # type: ignore[arg-type]
            assert not [container for container in plan.containers if container.culprit]
            assert not plan.ends_with_culprits

    def test_the_reserve_follows_the_domain(self, node: plans.Machine) -> None:
        def reserve(**cell: object) -> int:
            return plans.make_plan(Cell(name="c", **cell), node).reserve_bytes  # type: ignore[arg-type]

        assert reserve() == 100 * MIB
        assert reserve(domain="container") == 16 * MIB
        assert reserve(domain="container", limit_bytes=GIB) == GIB // 20
        assert reserve(reserve_bytes=7) == 7

    def test_repetitions_meet_a_poller_at_other_phases(self, node: plans.Machine) -> None:
        def delay(repeat: int) -> str:
            hog = plans.make_plan(Cell(name="c", repeat=repeat), node).containers[0].loads[-1]
            return next(argument for argument in hog.arguments if argument.startswith("delay_ms="))

        assert len({delay(repeat) for repeat in range(5)}) == 5


class TestPeers:
    WORDS = {"@CGROUP@": "/c", "@RUN@": "/r", **line_words(100 * MIB, 900 * MIB)}

    def _daemon(self, kind: PeerKind, run: Path) -> Daemon:
        words = {**self.WORDS, "@RUN@": str(run), "@CGROUP@": str(run / "cgroup")}
        return Daemon(Guard(kind=kind), run / "guard", run, words, run / "loads")

    @pytest.mark.parametrize("kind", get_args(PeerKind))
    def test_no_word_is_left_unfilled(self, kind: PeerKind) -> None:
        peer = PEERS[kind]
        words = re.findall("@[A-Z_]+@", " ".join((*peer.argv, peer.prepare, peer.restore)))
        assert set(words) <= set(self.WORDS)
        assert peer.source

    def test_the_kinds_are_the_peers(self) -> None:
        assert list(PEERS) == list(get_args(PeerKind))

    def test_all_have_the_same_line(self) -> None:
        assert line_words(100 * MIB, 900 * MIB) == {
            "@SHIELD@": str(96 * MIB), "@RESERVE@": str(100 * MIB), "@RESERVE_KIB@": "102400", "@RESERVE_MIB@": "100",
            "@HARD_KIB@": "92160", "@HARD_MIB@": "90", "@ANON_LINE_MIB@": "800",
        }  # fmt: skip

    def test_its_command_has_the_line(self, tmp_path: Path) -> None:
        assert self._daemon("earlyoom", tmp_path).arguments()[:3] == ("earlyoom", "-M", "102400,92160")

    def test_costs_are_counted_where_it_lives(self, tmp_path: Path) -> None:
        assert self._daemon("oomd", tmp_path).home == tmp_path / "guard"
        assert self._daemon("systemd-oomd", tmp_path).home == tmp_path / "systemd-oomd.service"

    def test_oomd_gets_good_json_with_the_line(self, tmp_path: Path) -> None:
        script = PEERS["oomd"].prepare.replace("mkdir -p /run/oomd", "mkdir -p")
        daemon = self._daemon("oomd", tmp_path)
        daemon.shell(script)
        rules = json.loads((tmp_path / "guard.conf").read_text())["rulesets"]
        assert rules[0]["detectors"][0][1]["args"]["threshold_anon"] == "800M"

    def test_a_peer_that_cannot_be_set_up_says_so(self, tmp_path: Path) -> None:
        with pytest.raises(RuntimeError, match=r"oomd could not be set up: .*nowhere"):
            self._daemon("oomd", tmp_path).shell("cat /nowhere")


class TestTimeline:
    ROWS = [(at * 10_000_000, max(0, at - 50) * MIB, 500 * MIB - max(0, at - 50) * MIB) for at in range(100)]

    def test_fill_rate_is_that_of_the_last_growth(self) -> None:
        rows = [*self.ROWS, *((row[0] + 10**9, *self.ROWS[-1][1:]) for row in self.ROWS)]
        rate = Samples(("available",), rows).fill_bytes_s()
        assert rate == pytest.approx(100 * MIB, rel=0.02)

    def test_no_growth_has_no_rate(self) -> None:
        assert Samples(("available",), [(0, 0, 5), (1, 0, 5)]).fill_bytes_s() is None

    def test_the_line_is_crossed_by_the_first_sample_below_it(self, node: plans.Machine) -> None:
        plan = plans.make_plan(Cell(name="c", reserve_bytes=480 * MIB), node)
        samples = Samples(("available",), self.ROWS)
        assert line_crossed(plan, samples, 0) == self.ROWS[71][0]
        assert line_crossed(plan, samples, self.ROWS[80][0]) == self.ROWS[80][0]
        assert line_crossed(plans.make_plan(Cell(name="c"), node), samples, 0) == 0

    def test_under_a_limit_the_line_is_what_anonymous_memory_leaves(self, node: plans.Machine) -> None:
        plan = plans.make_plan(Cell(name="c", domain="container", limit_bytes=64 * MIB, reserve_bytes=16 * MIB), node)
        rows = [(at, 0, 0, at * MIB, 8 * MIB) for at in range(64)]
        assert line_crossed(plan, Samples(("available", "domain.anon", "domain.shmem"), rows), 0) == 41

    def test_thinning_keeps_the_moments(self) -> None:
        moment = self.ROWS[61][0]
        timeline = thin(Samples(("available",), self.ROWS), 0, 20, (moment,))
        assert moment / 1e9 in [row[0] for row in timeline.rows]
        assert timeline.samples == 100
        assert len(timeline.rows) < 50


@pytest.mark.kernel
@pytest.mark.timeout(600)
class TestBoot:
    def test_no_guard_earlyoom_and_a_command_in_virtual_time(self) -> None:
        """The anchors of braking.md: the kernel kills without a guard, and earlyoom is late by 25-31 MB."""
        cells = (
            Cell(name="none"),
            Cell(name="earlyoom", guard=Guard(kind="earlyoom")),
            Cell(name="broken", guard=Guard(kind="command", argv=("/nowhere",)), rate_mib_s=1, time_limit_seconds=1),
        )
        commands = (
            Command(name="msgspec", script="python3 -c 'import msgspec, memguard; print(msgspec.__version__)'"),
        )
        result = Machine().run(Job(cells=cells, commands=commands), clock="virtual", memory_mb=768, timeout_s=500)
        assert result.errors() == ()
        assert (result.commands()[0].exit_code, result.commands()[0].stdout[0]) == (0, "0")
        none, earlyoom = result.cell("none"), result.cell("earlyoom")
        assert none.kernel_oom_kills > 0
        assert none.headroom_min_bytes < 5 * MIB
        assert earlyoom.kernel_oom_kills == 0
        assert 10 * MIB < earlyoom.overshoot_bytes < 60 * MIB
        for cell in (none, earlyoom):
            assert_the_hog_alone_died(cell)
        assert result.cell("broken").guard.died_early

    def test_a_panic_shows_the_console_and_keeps_what_was_done(self) -> None:
        first = Command(name="first", script="true")
        panic = Command(name="panic", script="echo c > /proc/sysrq-trigger")
        with pytest.raises(RunError, match=r"Done before: \['first'\].*(?s:.)*Kernel panic") as caught:
            Machine().run(Job(commands=(first, panic)), memory_mb=512, timeout_s=120)
        assert caught.value.result.commands()[0].exit_code == 0

    def test_a_machine_that_takes_too_long_is_ended(self) -> None:
        with pytest.raises(RunError, match="still running after 3 s"):
            Machine().run(Job(commands=(Command(name="hang", script="sleep 900"),)), timeout_s=3)


def assert_the_hog_alone_died(cell: CellResult) -> None:
    assert cell.culprits_died == ("hog",)
    assert cell.culprits_whole
    assert cell.innocents_touched == ()
    assert cell.idle_touched == 0
    assert cell.latency is not None
    assert cell.leftovers == {}
    # The cache-full node is the normal case: hardly anything was free when the hog started.
    free = cell.timeline.columns.index("free") + 1
    assert min(row[free] for row in cell.timeline.rows if row[0] < 0) < 100 * 1024
