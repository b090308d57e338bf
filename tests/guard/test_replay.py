"""What a guard decided, decided again from the trace that it wrote."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.guard.conftest import Serve
from tests.guard.world import Duty, World, identity
from tests.kernel_files.trees import MIB

from memguard.core.replay import Report, replay
from memguard.core.trace import Header, Outcome, Reading, decode_line, decode_lines

Story = Callable[[World], str]


def leak(world: World) -> str:
    world.container(1, anon=500 * MIB, cache=100 * MIB)
    world.container(2, anon=500 * MIB, rate=200 * MIB)
    return ""


def two_hogs(world: World) -> str:
    world.container(1, anon=300 * MIB)
    world.container(2, anon=200 * MIB, rate=200 * MIB)
    world.container(3, anon=200 * MIB, rate=120 * MIB)
    return ""


def own_limit(world: World) -> str:
    world.container(1, anon=500 * MIB)
    world.container(2, anon=150 * MIB, rate=60 * MIB, limit=256 * MIB)
    return ""


def limit_then_node(world: World) -> str:
    world.container(1, anon=150 * MIB, rate=100 * MIB, limit=300 * MIB)
    world.container(2, anon=400 * MIB, rate=200 * MIB)
    world.container(3, anon=300 * MIB)
    return ""


def first_come_first_spared(world: World) -> str:
    """A rule that tells them apart, and weights of its own."""
    world.container(1, anon=500 * MIB, rate=20 * MIB)
    world.container(2, anon=400 * MIB, rate=200 * MIB)
    return (
        '[settings.weights]\ngrowth = 3\n[[rules]]\nmatch = { pod = "pod-2" }\nguardLimit = true\nadjustment = -100\n'
    )


def traced(world: World, serve: Serve, story: Story) -> tuple[Duty, Path]:
    trace = world.run.parent / "trace.jsonl"
    settings = story(world)
    text = f'mode = "Enforce"\ntrace = "{trace}"\n[tuning]\npsi = false\n' + (
        settings or "[[rules]]\nguardLimit = true\n"
    )
    sizes = {1: 600, 2: 64, 3: 64}
    for number, load in enumerate(world.loads, 1):
        text += identity(load, "shop", f"pod-{number}", requestBytes=sizes[number] * MIB)
    duty = serve(text)
    growing = [load for load in world.loads if load.rate]
    duty.run(30, until=lambda: not any(load.alive for load in growing))
    duty.run(1)
    duty.end()
    return duty, trace


def replayed(trace: Path) -> Report:
    return replay(decode_lines(trace.read_bytes().splitlines(keepends=True), str(trace)))


@pytest.mark.row("G2")
@pytest.mark.parametrize("story", [leak, two_hogs, own_limit, limit_then_node, first_come_first_spared])
def test_the_trace_gives_the_same_decisions(world: World, serve: Serve, story: Story) -> None:
    duty, trace = traced(world, serve, story)
    again = replayed(trace)
    made = duty.decisions()
    assert made
    assert [
        (d.victim, d.domain, d.action, d.score, d.badness, d.freed_bytes, d.need_bytes, choice(d.reason))
        for d in again.decisions
    ] == [
        (
            line["victim"]["id"], line["domain"], line["wanted"], line["score"], line["badness"],
            line["expectedBytes"], line["needBytes"], choice(line["reason"]),
        )
        for line in made
    ]  # fmt: skip


def choice(sentence: str) -> str:
    """Without the runner-up: the guard ranks those beyond its shortlist for the record, after the deed."""
    return sentence.partition("; next is")[0].partition("; nobody else")[0]


@pytest.mark.row("G2")
def test_twice_is_the_same(world: World, serve: Serve) -> None:
    _, trace = traced(world, serve, two_hogs)
    assert replayed(trace) == replayed(trace)


def test_a_trace_begins_with_its_plan_and_tells_the_outcome(world: World, serve: Serve) -> None:
    duty, trace = traced(world, serve, leak)
    lines = [decode_line(line) for line in trace.read_bytes().splitlines()]
    assert isinstance(lines[0], Header)
    assert lines[0].plan == duty.config.plan
    [outcome] = [line for line in lines if isinstance(line, Outcome)]
    assert (outcome.action, outcome.complete) == ("kill", True)
    assert outcome.freed_bytes == pytest.approx(duty.decisions()[0]["expectedBytes"], rel=0.05)
    times = [line.snapshot.taken_at for line in lines if isinstance(line, Reading)]
    assert times == sorted(times)


@pytest.mark.row("G2")
def test_after_a_new_plan_the_trace_goes_on_with_it(world: World, serve: Serve, tmp_path: Path) -> None:
    trace = tmp_path / "trace.jsonl"
    leak(world)
    head = f'cgroupRoot = "{world.cgroup_root}"\nprocRoot = "{world.proc_root}"\nrunDirectory = "{world.run}"\n'
    text = f'trace = "{trace}"\n[tuning]\npsi = false\n' + "".join(
        identity(load, "shop", f"pod-{number}") for number, load in enumerate(world.loads)
    )
    duty = serve('mode = "Observe"\n' + text)
    new = tmp_path / "guard.toml"
    new.write_text(head + 'mode = "Enforce"\n' + text)
    duty.run(0.5)
    duty.hangup(new)
    duty.run(30, until=lambda: not all(load.alive for load in world.loads))
    duty.end()
    assert [found.victim for found in replayed(trace).decisions] == [duty.decisions()[0]["victim"]["id"]]
