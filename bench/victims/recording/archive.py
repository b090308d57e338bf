"""The recorded incidents as they are kept: `NAME.jsonl.gz`, as `memguard record` writes it, `NAME.peers.jsonl.gz`, what
peers read beside it, and `NAME.truth.json`."""

import gzip
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.victims.corpus import Truth

FOLDER = Path(__file__).parents[1] / "recorded"
TRACE, BESIDE, TRUTH = ".jsonl.gz", ".peers.jsonl.gz", ".truth.json"


@dataclass(frozen=True, slots=True)
class Recording:
    """One incident: the trace's lines, what peers read beside each snapshot, and the truth.

    `where`: "machine" or "cluster"; `commit`: what recorded it; `killed`: from whom the kernel took a process when
    nobody had acted, container ids in no order.
    """

    name: str
    lines: list[bytes]
    beside: list[dict[str, Any]]
    truth: Truth
    where: str
    commit: str
    killed: list[str]

    @property
    def snapshots(self) -> list[bytes]:
        """The lines that are readings, without the header."""
        return [line for line in self.lines if b'"type":"header"' not in line]


def keep(recording: Recording, folder: Path = FOLDER) -> int:
    """Files it; returns the bytes that it takes."""
    folder.mkdir(parents=True, exist_ok=True)
    told = {"where": recording.where, "commit": recording.commit, "killed": recording.killed}
    rows = (json.dumps(row, separators=(",", ":")).encode() for row in recording.beside)
    files = {
        TRACE: _packed(recording.lines),
        BESIDE: _packed(rows),
        TRUTH: (json.dumps(told | {"truth": asdict(recording.truth)}, indent=1) + "\n").encode(),
    }
    for ending, data in files.items():
        (folder / f"{recording.name}{ending}").write_bytes(data)
    return sum(map(len, files.values()))


def read(folder: Path = FOLDER) -> Iterator[Recording]:
    """All of them, by name."""
    for path in sorted(folder.glob(f"*{TRUTH}")):
        name = path.name.removesuffix(TRUTH)
        told = json.loads(path.read_text(encoding="utf-8"))
        yield Recording(
            name=name,
            lines=_lines(folder / f"{name}{TRACE}"),
            beside=[json.loads(line) for line in _lines(folder / f"{name}{BESIDE}")],
            truth=Truth(**told["truth"]),
            where=told["where"],
            commit=told["commit"],
            killed=told["killed"],
        )


def _packed(lines: Iterable[bytes]) -> bytes:
    """The same lines are the same bytes."""
    return gzip.compress(b"".join(line.rstrip(b"\n") + b"\n" for line in lines), compresslevel=9, mtime=0)


def _lines(path: Path) -> list[bytes]:
    with gzip.open(path, "rb") as stream:
        return stream.read().splitlines()
