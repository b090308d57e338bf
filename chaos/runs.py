"""One run under faults as it is kept: a JSON line in build/chaos/, appended when it is known, for a run to resume."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "build" / "chaos"


class Run(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One run: its faults follow from the part and the seed alone, so it can be played again.

    `broken` are the invariants that did not hold, one sentence each; `excused` what a fault made impossible to hold and
    why. `figures` are what was measured (their names end in their unit).
    """

    part: str
    seed: int
    commit: str
    faults: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()
    excused: tuple[str, ...] = ()
    figures: dict[str, float] = {}


def keep(run: Run, folder: Path = FOLDER) -> None:
    """Append it to its part's file."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{run.part}.jsonl").open("ab") as file:
        file.write(msgspec.json.encode(run) + b"\n")


def keep_seen(part: str, seed: int, seen: bytes, folder: Path = FOLDER) -> None:
    """All that was seen of a run, as JSON, for whoever wants to know why it is judged so."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{part}-{seed}.json").write_bytes(seen)


def kept(folder: Path = FOLDER) -> list[Run]:
    """All runs, each once (the last one counts), in the order of part and seed."""
    runs = {(run.part, run.seed): run for path in sorted(folder.glob("*.jsonl")) for run in _read(path)}
    return sorted(runs.values(), key=lambda run: (run.part, run.seed))


def waiting(part: str, seeds: Iterable[int], folder: Path = FOLDER) -> list[int]:
    """The seeds of a part that this commit has not run yet."""
    code = commit()
    done = {run.seed for run in kept(folder) if run.part == part and run.commit == code}
    return [seed for seed in seeds if seed not in done]


def commit() -> str:
    """The tree that is tested; "+" where it has changes that are not committed."""
    words = ("git", "-C", str(ROOT), "describe", "--always", "--exclude=*", "--abbrev=12", "--dirty=+")
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()


def _read(path: Path) -> Iterator[Run]:
    for line in path.read_bytes().splitlines():
        try:
            yield msgspec.json.decode(line, type=Run)
        except msgspec.ValidationError:
            raise  # a run that we wrote, and cannot count
        except msgspec.DecodeError:  # the last one, cut off
            continue
