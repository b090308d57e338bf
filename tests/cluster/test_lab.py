"""The parts of the lab that need no node: images, command lines, records and what the setup installs."""

from __future__ import annotations

import io
import json
import re
import tarfile
from pathlib import Path

import pytest
from e2e import images, report
from e2e.lab.archives import Archive
from e2e.lab.cache import built
from e2e.lab.errors import LabError
from e2e.lab.guest_agent import GuestAgent
from e2e.lab.kubelet import configuration
from e2e.lab.machine import Network, qemu_command
from e2e.lab.node_image import NodeImage
from e2e.lab.specs import NODE_A, NODE_B, NODES, NodeSpec
from tests.machine.image import PREREQUISITES, REPOSITORY

NETWORK = Network(host="10.0.2.2", guest="10.0.2.101", kubelet="127.1.2.1")


class TestArchive:
    @pytest.fixture(name="archive")
    def _archive(self, tmp_path: Path) -> Archive:
        (tmp_path / "program").write_bytes(b"#!")
        files, links = {"bin/program": tmp_path / "program"}, {"bin/alias": "program"}
        return Archive(name="localhost/it:1", files=files, links=links, command=("/bin/program",))

    def test_the_same_image_is_the_same_file(self, archive: Archive, tmp_path: Path) -> None:
        archive.write(tmp_path / "a")
        archive.write(tmp_path / "b")
        assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()

    def test_it_holds_what_it_was_given(self, archive: Archive, tmp_path: Path) -> None:
        archive.write(tmp_path / "a")
        with tarfile.open(tmp_path / "a") as tar:
            contents = {member.name: file.read() for member in tar if (file := tar.extractfile(member))}
        [told] = json.loads(contents["manifest.json"])
        assert told["RepoTags"] == ["localhost/it:1"]
        assert json.loads(contents[told["Config"]])["config"]["Cmd"] == ["/bin/program"]
        with tarfile.open(fileobj=io.BytesIO(contents[told["Layers"][0]])) as layer:
            assert {member.name: member.mode for member in layer if member.isreg()} == {"bin/program": 0o755}
            assert layer.getmember("bin/alias").linkname == "program"
            assert layer.getmember("tmp").mode == 0o1777


class TestMachine:
    def _line(self, spec: NodeSpec) -> str:
        return " ".join(qemu_command(spec, NodeImage(Path("/i")), Path("/d"), {"config": Path("/c")}, NETWORK))

    def test_no_disk_is_written(self) -> None:
        line = self._line(NODE_A)
        assert line.count("snapshot=on") == line.count("-drive ") == 2

    def test_memory_and_cpus_are_divided_between_the_numa_nodes(self) -> None:
        line = self._line(NODE_B)
        assert line.count("size=768M") == 2
        assert "memdev=memory0,cpus=0-0" in line
        assert "memdev=memory1,cpus=1-1" in line
        assert "-numa" not in self._line(NODE_A)

    def test_only_loopback_is_listened_on(self) -> None:
        assert re.findall(r"hostfwd=tcp:([^:]*):", self._line(NODE_A)) == ["127.1.2.1"]

    def test_the_nodes_differ_in_what_tests_need(self) -> None:
        assert len({spec.memory_mib for spec in NODES}) == 2
        assert {spec.numa_nodes for spec in NODES} == {1, 2}
        assert [spec.swap_mib > 0 for spec in NODES] == [False, True]


def test_a_spec_overrides_the_labs_kubelet() -> None:
    plain, changed = (configuration(NodeSpec(name="n", kubelet=more)) for more in ({}, {"maxPods": 7}))
    assert changed == {**plain, "maxPods": 7}


def test_an_agent_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(LabError, match=r"guest agent at .*agent\.sock does not answer"):
        GuestAgent(tmp_path / "agent.sock").run("true", 1)


def test_what_failed_to_build_is_not_there(tmp_path: Path) -> None:
    def fail(out: Path) -> None:
        (out / "half").touch()
        raise LabError("no")

    with pytest.raises(LabError):
        built(tmp_path / "thing", fail)
    assert not (tmp_path / "thing").exists()
    assert built(tmp_path / "thing", lambda out: (out / "whole").touch()) == tmp_path / "thing"
    assert (tmp_path / "thing" / "whole").exists()


def test_figures_of_several_tests_stand_beside_each_other(tmp_path: Path) -> None:
    file = tmp_path / "build" / "report.json"
    for about, figures in (("a", {"x": 1}), ("b", {"y": 2}), ("a", {"z": 3})):
        report.record(about, figures, file)
    assert json.loads(file.read_text()) == {"a": {"x": 1, "z": 3}, "b": {"y": 2}}


def test_the_setup_installs_what_cluster_and_images_need() -> None:
    script = (REPOSITORY / "tools" / "setup.sh").read_text()
    line = re.search(r"^CLUSTER_PROGRAMS=\((.*)\)$", script, re.MULTILINE)
    assert line
    pairs = dict(pair.split(":") for pair in line[1].split())
    assert pairs.keys() >= images.PREREQUISITES.keys() - PREREQUISITES.keys()
    assert "openssl" in pairs
