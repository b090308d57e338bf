"""The command: what it plays, what it says meanwhile, what it leaves behind, and its exit code."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import msgspec
import pytest
from demo.__main__ import main
from demo.progress import Progress
from demo.report import Report, load, save
from demo.stories import STORIES, job
from rich.console import Console
from tests.machine.image import NODE, ImageSpec, MachineError
from tests.machine.machine import Machine, Result
from tests.machine.qemu import Run

from demo import run
from memguard.guard.config import parse_config


@pytest.fixture(name="console")
def _console() -> Console:
    return Console(file=io.StringIO(), width=200, markup=False, highlight=False, color_system=None)


def said(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


class TestStories:
    @pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
    def test_have_configurations_that_memguard_takes(self, story: Any) -> None:
        config = parse_config(story.cell.guard.config.replace("@RESERVE@", "104857600").encode())
        assert config.mode == ("Observe" if story.ends == "kernel" else "Enforce")
        assert config.rules[0].grace_seconds == (0.3 if story.ends == "stopped" else 0)
        assert len(config.containers) == 4

    def test_leak_alike_with_and_without_the_right_to_act(self) -> None:
        first, _, third = (msgspec.to_builtins(story.cell) for story in STORIES)
        config = first["guard"].pop("config"), third["guard"].pop("config")
        assert first.pop("name") != third.pop("name")
        assert config[0] == config[1].replace("Observe", "Enforce")
        assert first == third

    def test_are_played_in_one_boot(self) -> None:
        assert [cell.name for cell in job().cells] == ["node", "limit", "observe"]


class TestRedrawing:
    def test_a_good_run(self, report: Report, tmp_path: Path, console: Console) -> None:
        save(report, tmp_path / "demo.json")
        assert main(["--redraw", str(tmp_path / "demo.json"), "--build", str(tmp_path / "new")], console) == 0
        ET.parse(tmp_path / "new/demo.svg")  # noqa: S314 - our own
        assert "Every story ended as it should." in said(console)

    def test_a_bad_run_is_exit_code_1(self, report: Report, tmp_path: Path, console: Console) -> None:
        wrong = msgspec.structs.replace(report.stories[2], complaints=("the kernel's OOM killer did not come",))
        save(msgspec.structs.replace(report, stories=(*report.stories[:2], wrong)), tmp_path / "demo.json")
        assert main(["--redraw", str(tmp_path / "demo.json"), "--build", str(tmp_path)], console) == 1
        assert "THE DEMO WENT WRONG. The same leak, only observed: the kernel's OOM" in said(console)

    def test_a_story_that_could_not_be_played_is_exit_code_1(
        self, report: Report, tmp_path: Path, console: Console
    ) -> None:
        failed = msgspec.structs.replace(report, stories=report.stories[:2], failures=("TimeoutError: observe",))
        save(failed, tmp_path / "demo.json")
        assert main(["--redraw", str(tmp_path / "demo.json"), "--build", str(tmp_path)], console) == 1
        assert "TimeoutError: observe" in said(console)

    def test_comes_back_as_it_was(self, report: Report, tmp_path: Path) -> None:
        save(report, tmp_path / "a/demo.json")
        assert load(tmp_path / "a/demo.json") == report

    @pytest.mark.parametrize("content", [None, "{", "[]"])
    def test_of_what_is_no_report(self, content: str | None, tmp_path: Path, console: Console) -> None:
        path = tmp_path / "demo.json"
        if content is not None:
            path.write_text(content)
        assert main(["--redraw", str(path), "--build", str(tmp_path)], console) == 1
        assert str(path) in said(console)


class TestPlaying:
    """With the records of a stored run in the machine's place: the machine itself is tests/machine's business."""

    @pytest.fixture(autouse=True)
    def _at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(run, "prepare", lambda progress: None)

    def _plays(self, monkeypatch: pytest.MonkeyPatch, records: list[dict[str, Any]]) -> None:
        def fake(_: Machine, job: Any, *, on_record: Any, **options: Any) -> Result:
            for record in records:
                on_record(record)
            return Result(Run(tuple(records), "", 88.0, timed_out=False), "tcg")

        monkeypatch.setattr(Machine, "run", fake)

    def test_tells_every_story_and_leaves_json_and_picture(
        self, records: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, console: Console
    ) -> None:
        self._plays(monkeypatch, [*records, {"kind": "end"}])
        assert main(["--build", str(tmp_path)], console) == 0
        assert load(tmp_path / "demo.json").good
        assert (tmp_path / "demo.svg").exists()
        told = said(console)
        assert "1. The node runs dry: memguard killed shop/cart-7d9/app, whole, " in told
        assert told.index("the machine boots ...") < told.index("is up, with 967 MiB") < told.index("shuts down")

    def test_a_story_that_fails_is_said_and_the_others_are_told(
        self, records: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, console: Console
    ) -> None:
        failed = {"kind": "error", "name": "node", "error": "Traceback ...\nTimeoutError: the page cache did not fill"}
        self._plays(monkeypatch, [records[0], failed, *records[2:], {"kind": "end"}])
        assert main(["--build", str(tmp_path)], console) == 1
        assert "TimeoutError: the page cache did not fill" in said(console)
        assert [ending.name for ending in load(tmp_path / "demo.json").stories] == ["limit", "observe"]

    def test_a_machine_that_dies_is_said(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, console: Console
    ) -> None:
        def dies(*_: Any, **__: Any) -> Result:
            raise MachineError("the machine was still running after 900 s")

        monkeypatch.setattr(Machine, "run", dies)
        assert main(["--build", str(tmp_path)], console) == 1
        assert "THE DEMO COULD NOT BE PLAYED. the machine was still running" in said(console)


class TestPreparing:
    def test_what_is_missing_ends_it(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, console: Console) -> None:
        """tools/setup.sh names the packages and the command itself; where it cannot install it exits with 1."""
        (tmp_path / "tools").mkdir()
        script = tmp_path / "tools/setup.sh"
        script.write_text("#!/bin/sh\nexit 1\n")
        script.chmod(0o755)
        monkeypatch.setattr(run, "REPOSITORY", tmp_path)
        with pytest.raises(MachineError, match="see above for what is missing"):
            run.prepare(Progress(console))

    def test_a_missing_image_is_built_and_that_is_said(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, console: Console
    ) -> None:
        built: list[ImageSpec] = []
        monkeypatch.setattr(run, "CACHE", tmp_path)
        monkeypatch.setattr(run, "ensure", built.append)
        monkeypatch.setattr(subprocess, "run", lambda *_, **__: subprocess.CompletedProcess((), 0))
        run.prepare(Progress(console))
        assert built == [NODE]
        assert "once (about a minute) ..." in said(console)
