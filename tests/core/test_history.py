import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.make import GIB, HOUR, MIB, at, container, snapshot, with_anon
from tests.core.strategies import plans, populations, snapshots

from memguard.core.domain import domains
from memguard.core.footprint import footprint
from memguard.core.forecast import WINDOW
from memguard.core.history import (
    EPISODE_GAP_SECONDS,
    FORGET_SECONDS,
    MOST_TRACKS,
    History,
    after_victim,
    age_seconds,
    forget_gauge,
    observe,
    recent,
    stall_ratio,
)
from memguard.core.model import Container, Snapshot, Stall, Vmstat
from memguard.core.policy import Plan


def follow(*looks: Snapshot, history: History | None = None) -> History:
    history = history or History()
    for look in looks:
        history = observe(history, look, tuple(domains(look, Plan())))
    return history


@pytest.mark.row("G2")
@given(snapshots, plans)
def test_observing_changes_nothing_but_what_it_returns(look: Snapshot, plan: Plan) -> None:
    before = follow(look)
    written = msgspec.json.encode(list(before.tracks.items()))
    found = tuple(domains(look, plan))
    assert observe(before, look, found) == observe(before, look, found)
    assert msgspec.json.encode(list(before.tracks.items())) == written


@pytest.mark.row("G2")
@given(populations, st.randoms(use_true_random=False))
def test_the_order_of_the_containers_does_not_matter(found: tuple[Container, ...], random: object) -> None:
    shuffled = list(found)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert follow(snapshot(shuffled)) == follow(snapshot(found))


def test_a_track_holds_the_last_readings_and_the_peak() -> None:
    looks = [snapshot([container(anon=(100 - index) * MIB)], seconds=index) for index in range(WINDOW + 5)]
    track = follow(*looks).tracks["a"]
    assert [sample[0] for sample in track.samples] == [look.seconds for look in looks[-WINDOW:]]
    assert track.samples[-1][1] == footprint(looks[-1].containers[0].memory)
    assert track.peak_bytes == 100 * MIB


@pytest.mark.row("S10")
def test_a_restarted_container_is_known_by_its_pod_and_name() -> None:
    first = container("one", pod="crashy", anon=5 * GIB)
    second = container("two", pod="crashy", anon=MIB)
    third = container("three", pod="crashy", anon=MIB)
    tracks = follow(snapshot([first]), snapshot([second], seconds=60), snapshot([third], seconds=120)).tracks
    assert tracks["one"].previous_bytes == 0
    assert tracks["two"].previous_bytes == 5 * GIB
    assert tracks["three"].previous_bytes == 5 * GIB, "a loop does not wash off what it once held"


def test_another_pod_of_the_same_name_is_another_workload() -> None:
    looks = [
        snapshot([container("one", pod="db", pod_uid="old", anon=5 * GIB)]),
        snapshot([container("two", pod="db", pod_uid="new", anon=MIB)], seconds=60),
    ]
    assert follow(*looks).tracks["two"].previous_bytes == 0


def test_what_is_not_seen_for_long_is_forgotten_altogether() -> None:
    """The guard runs for months on a node whose pods come and go: nothing may pile up."""
    history = follow(snapshot([container("gone", anon=GIB)]))
    for minute in range(1, 90):
        history = follow(snapshot([container("stays")], seconds=60.0 * minute), history=history)
    assert set(history.tracks) == {"stays"}
    assert set(history.workloads.values()) == {"stays"}
    assert FORGET_SECONDS < 89 * 60


def test_of_very_many_only_the_latest_are_remembered() -> None:
    """Thousands of short-lived containers in an hour."""
    history = History()
    for index in range(3 * MOST_TRACKS):
        history = follow(snapshot([container(f"c{index}")], seconds=0.1 * index), history=history)
        assert len(history.tracks) <= MOST_TRACKS + 3
    assert f"c{3 * MOST_TRACKS - 1}" in history.tracks
    assert set(history.workloads.values()) <= set(history.tracks)


def test_of_a_snapshot_of_very_many_nobody_is_forgotten() -> None:
    many = [container(f"c{index}") for index in range(2 * MOST_TRACKS)]
    looks = [snapshot(many, seconds=float(second)) for second in range(4)]
    assert {len(track.samples) for track in follow(*looks).tracks.values()} == {4}


def test_domains_that_are_gone_leave_nothing_behind() -> None:
    from memguard.core.policy import Rule

    plan = Plan(rules=(Rule(guard_limit=True),))
    history = History()
    for index in range(40):
        look = snapshot([container(f"c{index}", limit_bytes=GIB)], seconds=61.0 * index)
        history = observe(history, look, tuple(domains(look, plan)))
    assert len(history.gauges) <= 2 + EPISODE_GAP_SECONDS / 61 + 1


def test_a_gap_starts_a_new_episode() -> None:
    history = follow(snapshot([]), snapshot([], seconds=1), snapshot([], seconds=2 + EPISODE_GAP_SECONDS))
    assert len(history.gauges["node"].available) == 1


def test_episodes_end_when_told() -> None:
    history = follow(snapshot([container()]), snapshot([container()], seconds=1))
    assert after_victim(history, 1.0, foreign=False).gauges == {}
    assert forget_gauge(history, "node").gauges == {}
    assert forget_gauge(history, "pod:other").gauges == history.gauges
    assert after_victim(history, 1.0, foreign=False).tracks == history.tracks


RECENT = [
    # samples (seconds, bytes), since, now, expected
    ([(1.0, 10), (2.0, 20)], 0.0, 2.0, [(1.0, 10), (2.0, 20)]),
    ([(1.0, 10), (2.0, 20)], 0.0, 5.0, [(1.0, 10), (2.0, 20), (5.0, 20)]),
    ([(1.0, 10), (4.0, 40)], 3.0, 4.0, [(3.0, 10), (4.0, 40)]),
    ([(1.0, 10)], 3.0, 4.0, [(3.0, 10), (4.0, 10)]),
    ([(1.0, 10), (3.0, 30)], 3.0, 3.0, [(3.0, 30)]),
]


@pytest.mark.parametrize(("samples", "since", "now", "expected"), RECENT)
def test_what_was_not_sampled_again_did_not_change(
    samples: list[tuple[float, int]], since: float, now: float, expected: list[tuple[float, int]]
) -> None:
    assert recent(tuple(samples), since, now) == expected


def stalling(full: float, *, scanned: int | None = None, seconds: float) -> Snapshot:
    return snapshot(
        [container()],
        seconds=seconds,
        pressure=Stall(some_total_seconds=2 * full, full_total_seconds=full),
        vmstat=None if scanned is None else Vmstat(pgscan_direct=scanned),
    )


STALLS = [
    ("standing still half of the time while reclaim scans", (0, 100), (0.5, 9000), 0.5),
    ("all of the time", (0, 100), (1.0, 9000), 1.0),
    ("healthy churn: the kernel scans, nobody waits", (0, 100), (0.0, 900_000), 0.0),
    ("waiting without reclaim: a throttled container, our own brake", (0, 100), (1.0, 100), 0.0),
    ("waiting, and what reclaim does is not known", (0, None), (0.7, None), 0.7),
]


@pytest.mark.row("A3")
@pytest.mark.parametrize(("words", "first", "second", "expected"), STALLS, ids=[row[0] for row in STALLS])
def test_a_stall_is_failing_reclaim(
    words: str, first: tuple[float, int | None], second: tuple[float, int | None], expected: float
) -> None:
    looks = [stalling(full, scanned=scanned, seconds=at_) for at_, (full, scanned) in enumerate((first, second))]
    assert stall_ratio(follow(*looks)) == pytest.approx(expected)


@pytest.mark.row("A3")
def test_missing_counters_are_not_taken_for_reclaim_that_rests() -> None:
    looks = [
        msgspec.structs.replace(stalling(full, seconds=seconds), vmstat=Vmstat(oom_kill=0))
        for seconds, full in ((0, 0.0), (1, 1.0))
    ]
    assert stall_ratio(follow(*looks)) == 1.0


@pytest.mark.row("A3")
@pytest.mark.parametrize("tick", [0.002, 0.005, 0.01, 0.1])
def test_a_stall_is_measured_over_half_a_second_at_every_tick(tick: float) -> None:
    """Near the danger the guard looks every few milliseconds: one of them spent waiting is no stall."""
    count = int(1 / tick)
    looks = [stalling(tick * (index == count), seconds=index * tick) for index in range(count + 1)]
    assert stall_ratio(follow(*looks)) <= 1.1 * tick / 0.5


@pytest.mark.parametrize("looks", [[], [stalling(1.0, seconds=0)], [snapshot([]), snapshot([], seconds=1)]])
def test_without_two_readings_there_is_no_stall(looks: list[Snapshot]) -> None:
    assert stall_ratio(follow(*looks)) == 0


@pytest.mark.row("S4")
def test_age() -> None:
    assert age_seconds(container(age=HOUR), at(0)) == HOUR
    assert age_seconds(container(age=-5), at(0)) == 0, "clocks differ a little"
    assert age_seconds(container(age=None), at(0)) is None


def test_clocks_may_step_back() -> None:
    history = follow(snapshot([container()], seconds=100), snapshot([with_anon(container(), GIB)], seconds=0))
    assert len(history.tracks["a"].samples) == 2
