"""What the documents say is what the code does: every number of docs/score.md, every shape of docs/formats.md."""

import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tools.generate import score

import memguard
from memguard.cli.reports import RankReport
from memguard.core.catalogue import CATALOGUE, OPERATOR
from memguard.core.explain import sentence, size
from memguard.core.history import History
from memguard.core.model import Snapshot
from memguard.core.policy import Plan, Settings
from memguard.core.replay import Report
from memguard.core.score import FACTORS, factor_points
from memguard.core.select import Ranking, judge
from memguard.core.trace import Event, Header, Outcome, Reading, decode_line, decode_snapshot

DOCS = Path(__file__).resolve().parents[2] / "docs"
PACKAGE = Path(memguard.__file__).parent
SCORE, FORMATS, PROCESS = ((DOCS / name).read_text() for name in ("score.md", "formats.md", "decision-process.md"))


def blocks(text: str) -> list[str]:
    return re.findall(r"```json\n(.*?)```", text, re.DOTALL)


def section(text: str, title: str) -> str:
    return text.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def rows(text: str, first: str) -> list[list[str]]:
    """The rows of the table that begins with this heading cell, without its head."""
    lines = text.partition(f"\n| {first} |")[2].splitlines()[2:]
    table = []
    for line in lines:
        if not line.startswith("|"):
            break
        table.append([cell.strip() for cell in line.strip("|").split(" | ")])
    return table


def ranking() -> Ranking:
    """The worked example, straight through the chain."""
    found = decode_snapshot(blocks(SCORE)[0].encode())
    return judge(History(), found, Plan())[1]


# --- docs/score.md -----------------------------------------------------------------------------------------------


def test_stale_parts_are_found_and_written_anew() -> None:
    stale = SCORE.replace("| memory | 1.8 |", "| memory | 9.9 |")
    assert stale != SCORE
    assert score.render(stale) == SCORE


def test_the_table_of_weights_is_that_of_the_code() -> None:
    table = rows(SCORE, "factor")[: len(FACTORS)]
    span = sum(factor.weight * (factor.high - factor.low) for factor in FACTORS)
    for (name, weight, bounds, most, words), factor in zip(table, FACTORS, strict=True):
        assert (name, float(weight), words) == (factor.name, factor.weight, factor.words)
        assert [float(bound) for bound in bounds.split(" to ")] == [factor.low, factor.high]
        assert int(most) == round(1000 * factor.weight * (factor.high - factor.low) / span)


@pytest.mark.row("S10")
def test_the_reason_for_every_factor_is_told() -> None:
    factors = SCORE.split("## The factors")[1].split("\n## ")[0]
    told = re.findall(r"^- \*\*(\w+)\*\*", factors, re.MULTILINE)
    assert told == [factor.name for factor in FACTORS]


def test_every_setting_is_explained() -> None:
    table = rows(SCORE, "setting")
    assert [row[0] for row in table] == [field.encode_name for field in msgspec.structs.fields(Settings)]
    assert all(len(row) == 3 and row[2] for row in table)


@pytest.mark.row("C1")
def test_the_table_of_thresholds_falls_with_what_is_left_and_with_speed() -> None:
    table = [[1001.0 if cell == "nobody" else float(cell) for cell in row[1:]] for row in rows(SCORE, "available")]
    assert len(table) > 5
    for row, below in pairwise(table):
        assert all(one >= other for one, other in zip(row, below, strict=True))
    assert all(one >= other for row in table for one, other in pairwise(row))


@pytest.mark.row("G3", "S9")
def test_every_number_of_the_worked_example() -> None:
    example, found = section(SCORE, "Worked example"), ranking()
    situation = dict(rows(example, "figure"))
    assert situation == {
        "D, the domain's RAM and swap": size(found.domain.size_bytes + found.domain.swap_total_bytes),
        "available": size(found.domain.available_bytes),
        "reserve": size(found.domain.reserve_bytes),
        "level": f"{found.pressure.level:.3f}",
        "pressure": f"{found.pressure.pressure:.3f}",
        "threshold": f"{found.pressure.threshold_score:.1f}",
        "need": size(found.pressure.need_bytes),
    }
    pods = [candidate.container.pod for candidate in found.candidates]
    assert f"| factor | {' | '.join(str(pod) for pod in pods)} |" in example
    *factors, total = rows(example, "factor")
    tables = [factor_points(candidate.scored) for candidate in found.candidates]
    for name, *cells in factors:
        for cell, table in zip(cells, tables, strict=True):
            value, _, points = cell.partition(" → ")
            assert float(value) == pytest.approx(table[name].value, abs=0.00051)
            assert int(points) == table[name].points
    for column, candidate in enumerate(found.candidates, 1):
        assert sum(int(row[column].partition(" → ")[2]) for row in factors) == candidate.scored.score
        assert total[column] == f"**{candidate.scored.score}**"
    for row, candidate in zip(rows(example, "pod"), found.candidates, strict=True):
        pod, score, freed, badness, excluded = (*row, "")[:5]
        assert (pod, int(score)) == (candidate.container.pod, candidate.scored.score)
        assert freed == size(candidate.freed_bytes)
        assert float(badness) == pytest.approx(candidate.badness, abs=0.00051)
        assert excluded == (candidate.excluded or "")
    assert f"> {sentence(found)}\n" in example
    assert found.victim is not None
    assert found.victim.container.pod == "cart-7d9"


def test_the_prose_of_the_worked_example_names_no_other_numbers() -> None:
    """What is written by hand there is in the snapshot, so that nobody has to keep it in step."""
    prose = re.sub(
        r"<!-- generated.*?<!-- end -->|```json.*?```", "", section(SCORE, "Worked example"), flags=re.DOTALL
    )
    memory = ranking().domain
    assert re.findall(r"\d+[\d.]*", prose) == ["16", "200"]
    assert size(memory.size_bytes) == "16.0 GiB"
    assert size(memory.available_bytes) == "200 MiB"


# --- docs/formats.md ---------------------------------------------------------------------------------------------

SNAPSHOT, TRACE, PLAN, RANKING, REPORT = blocks(FORMATS)


def same(written: Any, read: Any) -> None:
    """Everything that is written is read; nothing else is there."""
    if isinstance(written, dict):
        assert set(written) == set(read)
        for key in written:
            same(written[key], read[key])
    elif isinstance(written, list):
        assert len(written) == len(read)
        for one, other in zip(written, read, strict=True):
            same(one, other)
    else:
        assert written == read or str(written).startswith("2026-"), "a moment may be written in more than one way"


@pytest.mark.row("G2")
def test_the_documented_snapshot_is_read_whole_and_shows_every_field() -> None:
    same(json.loads(SNAPSHOT), json.loads(msgspec.json.encode(decode_snapshot(SNAPSHOT.encode()))))


def test_no_documented_size_is_zero_or_missing() -> None:
    """A zero would not tell that the field is read, and an example is copied."""
    assert "null" not in SNAPSHOT
    assert '": 0,' not in section(SNAPSHOT, "memory")


@pytest.mark.row("G2")
def test_the_documented_trace_is_read() -> None:
    kinds = [type(decode_line(line.encode())) for line in TRACE.splitlines()]
    assert kinds == [Header, Event, Reading, Outcome]


def test_the_documented_plan_is_read_whole() -> None:
    plan = json.loads(msgspec.json.encode(msgspec.json.decode(PLAN, type=Plan)))
    written = json.loads(PLAN)
    plan["settings"] = {key: plan["settings"][key] for key in written["settings"]}
    same(written, plan)


@pytest.mark.parametrize(("text", "kind"), [(RANKING, RankReport), (REPORT, Report)], ids=["rank", "replay"])
def test_the_documented_outputs_are_those_of_the_commands(text: str, kind: type[msgspec.Struct]) -> None:
    same(json.loads(text), json.loads(msgspec.json.encode(msgspec.json.decode(text, type=kind))))


def test_the_required_fields_are_named() -> None:
    required = FORMATS.partition("Required: ")[2].partition("\n\n")[0]

    def walk(kind: Any) -> list[str]:
        kinds = [kind, *getattr(kind, "__args__", ())]
        structs = [one for one in kinds if isinstance(one, type) and issubclass(one, msgspec.Struct)]
        return [
            name
            for struct in structs
            for field in msgspec.structs.fields(struct)
            for name in ([field.encode_name] if field.required else []) + walk(field.type)
        ]

    for name in walk(Snapshot):
        word = {"someTotalSeconds": "totals", "fullTotalSeconds": "totals"}.get(name, name)
        assert word in required, name


# --- docs/decision-process.md ------------------------------------------------------------------------------------

PROMISED = {"A": 4, "S": 10, "C": 5, "T": 4, "P": 3, "F": 3, "E": 7, "G": 4, "K": 9}
TABLE = [
    [cell.strip() for cell in line.strip("|").split(" | ")]
    for line in PROCESS.splitlines()
    if re.match(r"\| [A-Z]\d+ \|", line)
]


def test_every_row_of_the_mission_is_there_once() -> None:
    assert [row[0] for row in TABLE] == [
        f"{letter}{n}" for letter, most in PROMISED.items() for n in range(1, most + 1)
    ]
    assert all(len(row) == 4 and all(row) for row in TABLE)


@pytest.mark.parametrize("row", TABLE, ids=[row[0] for row in TABLE])
def test_what_a_row_points_at_exists(row: list[str]) -> None:
    _, _, seen, code = row
    if code == "later":
        assert "issue" in seen
        return
    for path in code.split(", "):
        assert (PACKAGE / path).is_file(), path
    for metric in re.findall(r"memguard_\w+", seen):
        assert metric in {one.name for one in (*CATALOGUE, *OPERATOR)}
    for factor in re.findall(r"`factors\.(\w+)`", seen):
        assert factor in {known.name for known in FACTORS} | {"adjustment"}
