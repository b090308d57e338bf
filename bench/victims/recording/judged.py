"""Everybody on the recorded incidents: the same rules and the same judge as on simulated ones, in seconds."""

import json
from collections.abc import Iterator, Sequence
from multiprocessing import Pool
from pathlib import Path
from typing import Any

from bench.kernel.runs import commit, minute
from bench.victims.ours import Ours
from bench.victims.peers import PEERS
from bench.victims.play import at_own_trigger, at_shared_trigger, peer_next, verdict
from bench.victims.recording.archive import FOLDER, Recording, read
from bench.victims.report import ITSELF, MEASURED, RANKING, US, Row, Verdicts, dumped, rows_of
from bench.victims.trace import Beside, Trace
from bench.victims.triggers import DAEMONS

COMMITTED = FOLDER.parent / "recorded.json"
#: A pod's or a container's own limit: peers do not look there, so their rankings are asked nothing.
OWN_LIMITS = ("pod/", "container/")
#: The kernel's real choice beside the rule that stands for it.
KERNEL = "kernel"


def trace_of(recording: Recording) -> Trace:
    """The incident with what peers read beside it."""
    return Trace(recording.snapshots, recording.truth, [*_rows(recording)])


def _rows(recording: Recording) -> Iterator[Beside]:
    for row, line in zip(recording.beside, recording.snapshots, strict=True):
        ids = [c["id"] for c in json.loads(line)["snapshot"]["containers"]]
        # who has nothing any more is on his way out, and nobody's biggest process
        worst = {who: process[1] for who, process in zip(ids, row["worst"], strict=True) if process and process[1]}
        scanned = dict(zip(ids, row["scanned"], strict=True))
        pods, system = (row["stalls"][name] for name in ("pods", "system"))
        yield Beside(row["anonBytes"], worst, scanned, _full(pods), _full(system))


def _full(stalls: Sequence[float]) -> float:
    """0 where the kernel knows no pressure."""
    return stalls[1] if len(stalls) > 1 else 0.0


def judged(recording: Recording) -> Verdicts:
    """Everybody's verdict on one recording."""
    trace = trace_of(recording)
    ours = Ours(recording.lines, trace)
    found = {(ITSELF, US): verdict(trace, ours.by_itself(), ours.next())}
    for name, habits in DAEMONS.items():
        found[ITSELF, name] = verdict(trace, at_own_trigger(name, trace), peer_next(habits[0].ranking))
    if recording.truth.domain.startswith(OWN_LIMITS):
        return found
    found[RANKING, US] = verdict(trace, ours.at_shared_trigger(), ours.next())
    return found | {(RANKING, name): verdict(trace, at_shared_trigger(name, trace), peer_next(name)) for name in PEERS}


def measure(jobs: int, out: Path = COMMITTED, folder: Path = FOLDER) -> dict[str, Any]:
    """Judge everybody on all recordings, and write the report."""
    recordings = list(read(folder))
    with Pool(jobs) as pool:
        verdicts = pool.map(judged, recordings)
    report = {
        "commit": commit(measured=MEASURED),
        "at": minute(),
        "recordedBy": sorted({recording.commit for recording in recordings}),
        "where": {where: sum(r.where == where for r in recordings) for where in ("machine", "cluster")},
        "kernel": kernels_word(recordings),
        "rows": list(figures(recordings, verdicts)),
    }
    out.write_text(dumped(report), encoding="utf-8")
    return report


def figures(recordings: Sequence[Recording], verdicts: Sequence[Verdicts]) -> Iterator[Row]:
    """Rows by part, guard and kind (`all`: every kind)."""
    for key in dict.fromkeys(key for found in verdicts for key in found):
        mine = [(r.truth.kind, found[key]) for r, found in zip(recordings, verdicts, strict=True) if key in found]
        yield from rows_of("recorded", key, mine)


def kernels_word(recordings: Sequence[Recording]) -> dict[str, int]:
    """When nobody acts: in how many incidents did the kernel kill, was it a right one, and does the rule name him?"""
    killed = [r for r in recordings if r.killed and r.truth.needs_victim]
    return {
        "killed": len(killed),
        "right": sum(bool(set(r.killed) & set(r.truth.culprits)) for r in killed),
        "foretold": sum(foretold(r) in r.killed for r in killed),
    }


def foretold(recording: Recording) -> str | None:
    """Whom the kernel's rule names at the last snapshot."""
    trace = trace_of(recording)
    return PEERS[KERNEL].rule(trace.view(len(trace.snapshots) - 1, {}))
