"""What is kept of runs under faults, and what is told of them."""

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import chaos.__main__ as program
import msgspec
import pytest
from chaos.report import summary, told, write
from chaos.runs import Run, keep, kept, waiting


def run(seed: int, **more: Any) -> Run:
    return Run(**({"part": "machine", "seed": seed, "commit": "c"} | more))


def test_what_was_run_is_not_run_again_and_the_last_word_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chaos.runs.commit", lambda: "c")
    keep(run(0, broken=("a line was left",)), tmp_path)
    keep(run(0), tmp_path)
    keep(run(1, commit="b"), tmp_path)
    with (tmp_path / "machine.jsonl").open("ab") as file:
        file.write(b'{"part":"mach')
    assert kept(tmp_path) == [run(0), run(1, commit="b")]
    assert waiting("machine", range(3), tmp_path) == [1, 2]
    assert waiting("cluster", range(2), tmp_path) == [0, 1]


def test_a_run_that_cannot_be_counted_is_no_silence(tmp_path: Path) -> None:
    """A figure that is none was written, and the run was gone."""
    (tmp_path / "kernels.jsonl").write_text('{"part":"kernels","seed":0,"commit":"c","figures":{"ms":null}}\n')
    with pytest.raises(msgspec.ValidationError):
        kept(tmp_path)


def test_a_broken_run_is_told_with_its_seed(tmp_path: Path) -> None:
    runs = [
        run(0, faults=("guard killed",), figures={"left s": 0.2}),
        run(7, faults=("guard killed", "clock +2 h"), broken=("a line was left",), figures={"left s": 0.4}),
    ]
    found = summary(runs)["machine"]
    assert found["faults"] == {"clock +2 h": 1, "guard killed": 2}
    assert found["figures"] == {"left s": [0.2, pytest.approx(0.3), 0.4]}
    assert found["broken"] == [{"seed": 7, "faults": ("guard killed", "clock +2 h"), "what": ("a line was left",)}]
    assert "seed 7: a line was left" in told({"machine": found})
    write(runs, tmp_path / "report.json")
    assert json.loads((tmp_path / "report.json").read_text())["machine"]["runs"] == 2


def test_the_exit_code_says_whether_all_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def play(seeds: list[int], _say: object) -> Iterator[Run]:
        yield from (run(seed, broken=("wrong victim",) if seed == 3 else ()) for seed in seeds)

    monkeypatch.setattr(program, "PARTS", {"machine": ("there", 2)})
    monkeypatch.setattr(program, "import_module", lambda _: SimpleNamespace(play=play))
    monkeypatch.setattr(program, "commit", lambda: "c")
    monkeypatch.setattr("chaos.runs.commit", lambda: "c")
    for function in ("keep", "kept", "waiting"):
        here = {"keep": keep, "kept": kept, "waiting": waiting}[function]
        monkeypatch.setattr(program, function, lambda *words, here=here: here(*words, folder=tmp_path))
    monkeypatch.setattr(program.report, "REPORT", tmp_path / "report.json")
    monkeypatch.setattr(program.report, "write", lambda runs: write(runs, tmp_path / "report.json"))
    assert program.main([]) == 0
    assert "0 of 2 seeds to play" not in capsys.readouterr().out
    assert program.main([]) == 0
    assert "0 of 2 seeds to play" in capsys.readouterr().out
    assert program.main(["machine", "--seeds", "3"]) == 1
    with pytest.raises(SystemExit):
        program.main(["nothing"])
