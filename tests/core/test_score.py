from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tests.core.make import GIB, HOUR, KIB, MIB, by_id, changed, container, judged, ranked, snapshot, with_anon
from tests.core.strategies import containers, nodes, plans, populations

from memguard.core.domain import Domain
from memguard.core.footprint import footprint
from memguard.core.model import Container, Cpu, Node, Snapshot
from memguard.core.policy import Plan, Rule
from memguard.core.score import FACTORS, WEIGHTS, Case, factor_points, growth_ratio, log_share, measure, scale_of, score

NODE = Domain("node", "", 16 * GIB, GIB, GIB)
NAMES = [factor.name for factor in FACTORS]
BOUNDS = {factor.name: (factor.low, factor.high) for factor in FACTORS}


def case(one: Container | None = None, **facts: Any) -> Case:
    one = one or container()
    used = footprint(one.memory)
    usual: dict[str, Any] = {
        "container": one,
        "domain": NODE,
        "footprint_bytes": used,
        "pod_footprint_bytes": used,
        "growth_ratio": 0.0,
        "age_seconds": 6 * HOUR,
        "uptime_seconds": 24 * HOUR,
        "cpus": 8,
        "previous_bytes": 0,
        "rule": Rule(),
        "adjustment": 0,
    }
    return Case(**(usual | facts))


def adjusted(one: Case, adjustment: int) -> Case:
    return msgspec.structs.replace(one, adjustment=adjustment)


def value(name: str, one: Container | None = None, **facts: Any) -> float:
    return measure(case(one, **facts))[NAMES.index(name)]


def points(one: Container, adjustment: int = 0, **facts: Any) -> int:
    return score(case(one, adjustment=adjustment, **facts), scale_of({})).score


def alone(one: Container, plan: Plan | None = None) -> int:
    """The score of a container that is alone on a node, seen once."""
    return by_id(ranked(one, plan=plan))[one.id].scored.score


weights = st.dictionaries(st.sampled_from(list(WEIGHTS)), st.floats(0, 100), max_size=5)
cases = st.builds(
    Case,
    container=containers,
    domain=st.sampled_from([NODE, Domain("container", "a", 128 * MIB, 0, 16 * MIB), Domain("numa", "0", 1, 0, 0)]),
    footprint_bytes=st.integers(0, 2**63),
    pod_footprint_bytes=st.integers(0, 2**63),
    growth_ratio=st.floats(0, 1),
    age_seconds=st.none() | st.floats(0, 1e10),
    uptime_seconds=st.none() | st.floats(0, 1e10),
    cpus=st.integers(1, 1024),
    previous_bytes=st.integers(0, 2**63),
    rule=st.just(Rule()),
    adjustment=st.just(0),
)


# --- the whole ---------------------------------------------------------------------------------------------------


@pytest.mark.row("S9")
@given(cases, weights, st.integers(-1050, 1050))
def test_a_score_is_within_0_and_1000(one: Case, overrides: dict[str, float], adjustment: int) -> None:
    assert 0 <= score(adjusted(one, adjustment), scale_of(overrides)).score <= 1000


@pytest.mark.row("S9", "S10")
@given(cases)
def test_every_factor_stays_in_its_range(one: Case) -> None:
    for factor, found in zip(FACTORS, measure(one), strict=True):
        assert factor.low <= found <= factor.high, factor.name


@pytest.mark.row("S9")
@given(cases, weights, st.integers(-1050, 1050))
def test_the_points_add_up_to_the_score_exactly(one: Case, overrides: dict[str, float], adjustment: int) -> None:
    scored = score(adjusted(one, adjustment), scale_of(overrides))
    table = factor_points(scored)
    assert sum(entry.points for entry in table.values()) == scored.score
    assert [name for name in table if name != "adjustment"] == [factor.name for factor in FACTORS]
    assert all(entry.points >= 0 for name, entry in table.items() if name != "adjustment")


@pytest.mark.row("S9")
@given(cases)
def test_rounding_takes_less_than_a_point_from_anybody(one: Case) -> None:
    scored = score(one, scale_of({}))
    span = sum(factor.weight * (factor.high - factor.low) for factor in FACTORS)
    for factor, entry in zip(FACTORS, factor_points(scored).values(), strict=False):
        exact = 1000 * factor.weight * (entry.value - factor.low) / span
        assert abs(entry.points - exact) < 1 + 1e-9, factor.name


@pytest.mark.row("S9")
def test_the_bounds_are_reached() -> None:
    """Worst and best that there is: 1000 and 0, whatever the node holds otherwise."""
    factors = [msgspec.structs.replace(factor) for factor in FACTORS]
    for end, expected in (("low", 0), ("high", 1000)):
        values = tuple(getattr(factor, end) for factor in factors)
        scored = msgspec.structs.replace(score(case(), scale_of({})), values=values, score=expected)
        assert sum(entry.points for entry in factor_points(scored).values()) == expected
        assert "adjustment" not in factor_points(scored)


@pytest.mark.row("S8")
@given(cases, st.integers(-1050, 1050), st.integers(-1050, 1050))
def test_monotone_in_the_adjustment(one: Case, first: int, second: int) -> None:
    low, high = sorted((first, second))
    assert score(adjusted(one, low), scale_of({})).score <= score(adjusted(one, high), scale_of({})).score


@pytest.mark.row("S8")
@pytest.mark.parametrize("adjustment", [-1000, -100, 0, 7, 1000])
def test_the_adjustment_is_an_entry_of_its_own(adjustment: int) -> None:
    plan = Plan(rules=(Rule(adjustment=adjustment),))
    plain = alone(container())
    adjusted = by_id(ranked(container(), plan=plan))["a"].scored
    assert adjusted.score == max(0, min(1000, plain + adjustment))
    table = factor_points(adjusted)
    assert (table["adjustment"].points if adjustment else 0) == adjusted.score - plain


@pytest.mark.row("F2")
def test_what_was_learned_is_in_the_same_entry() -> None:
    learned = Plan(bias={"shop/pod-a/app": 30})
    assert alone(container(), learned) == alone(container()) + 30


def test_all_weights_zero_is_no_division_by_zero() -> None:
    assert score(case(adjustment=5), scale_of(dict.fromkeys(WEIGHTS, 0.0))).score == 5


@pytest.mark.row("S1", "S2", "S3", "S4", "S5", "S6", "S7", "S8", "S10")
def test_the_documented_weights() -> None:
    """A weight is changed here, in docs/score.md (generated) and with evidence, or not at all."""
    assert dict(WEIGHTS) == {
        "memory": 1.8, "growth": 1.2, "excess": 1.0, "overuse": 0.1, "oom_score_adj": 0.1, "priority": 0.1, "cpu": 0.05,
        "lifetime": 0.05, "nice": 0.05, "privileged": 0.2, "protection": 0.05, "history": 0.1, "inherit": 0.1,
    }  # fmt: skip
    assert all(factor.words for factor in FACTORS)


# --- monotone, whatever else is there ----------------------------------------------------------------------------


def monotone(one: Container, others: tuple[Container, ...], change: Callable[[Container], Container]) -> None:
    assume(all(other.id != one.id for other in others))
    before, after = (by_id(judged(snapshot((*others, each))))[one.id] for each in (one, change(one)))
    assert before.scored.score <= after.scored.score


@pytest.mark.row("S1", "S9")
@given(containers, populations, st.integers(0, 2**60))
def test_monotone_in_footprint(one: Container, others: tuple[Container, ...], more: int) -> None:
    known = changed(one, anon=one.memory.anon_bytes or 0)
    monotone(known, others, lambda c: changed(c, anon=(c.memory.anon_bytes or 0) + more))


@pytest.mark.row("S5")
@given(containers, populations, st.integers(0, 40))
def test_monotone_in_nice(one: Container, others: tuple[Container, ...], more: int) -> None:
    nicer = changed(one, nice=one.nice if one.nice is not None else 0)
    monotone(nicer, others, lambda c: changed(c, nice=(c.nice or 0) + more))


@pytest.mark.row("S8")
@given(containers, populations, st.integers(0, 2000))
def test_monotone_in_oom_score_adj(one: Container, others: tuple[Container, ...], more: int) -> None:
    known = changed(one, oom_score_adj=one.oom_score_adj or 0)
    monotone(known, others, lambda c: changed(c, oom_score_adj=(c.oom_score_adj or 0) + more))


@pytest.mark.row("S10")
@given(containers, populations, st.integers(0, 2**32))
def test_a_higher_priority_never_scores_higher(one: Container, others: tuple[Container, ...], less: int) -> None:
    known = changed(one, priority=one.priority or 0)
    monotone(known, others, lambda c: changed(c, priority=(c.priority or 0) - less))


@pytest.mark.row("S10")
@given(containers, populations, st.integers(0, 2**60))
def test_a_smaller_request_never_scores_lower(one: Container, others: tuple[Container, ...], less: int) -> None:
    known = changed(one, request_bytes=one.request_bytes or 0)
    monotone(known, others, lambda c: changed(c, request_bytes=max(0, (c.request_bytes or 0) - less)))


@pytest.mark.row("S6")
@given(containers, populations)
def test_privileged_never_scores_higher(one: Container, others: tuple[Container, ...]) -> None:
    monotone(changed(one, privileged=True), others, lambda c: changed(c, privileged=False))


# --- the same everywhere -----------------------------------------------------------------------------------------


@pytest.mark.row("S9")
@given(containers, populations, populations, nodes)
def test_a_score_does_not_depend_on_who_else_is_there(
    one: Container, some: tuple[Container, ...], others: tuple[Container, ...], node: Node
) -> None:
    """But for its pod (inherit) and the growth of the others (growth), which a first look does not know."""
    pod = (one.pod_uid, one.namespace, one.pod)
    scores = set()
    for company in (some, others):
        strangers = [c for c in company if c.id != one.id and (c.pod_uid, c.namespace, c.pod) != pod]
        assume(all((c.pod_uid or (c.namespace, c.pod)) != (one.pod_uid or (one.namespace, one.pod)) for c in strangers))
        look = Snapshot(taken_at=snapshot([]).taken_at, node=node, containers=(one, *strangers))
        ranking = judged(look)
        assume(ranking.domain.kind == "node")
        scores.add(by_id(ranking)[one.id].scored.score)
    assert len(scores) == 1


SIZES = list(container().memory.__struct_fields__)


def scaled(one: Container, factor: int) -> Container:
    sizes = {name: size * factor for name in SIZES if (size := getattr(one.memory, name)) is not None}
    more = {"memory": msgspec.structs.replace(one.memory, **sizes)}
    if one.request_bytes is not None:
        more["request_bytes"] = one.request_bytes * factor
    return msgspec.structs.replace(one, **more)


@pytest.mark.row("S9")
@given(st.lists(containers, max_size=4, unique_by=lambda c: c.id), st.data())
def test_the_same_share_scores_the_same_on_a_small_and_a_huge_node(found: list[Container], data: st.DataObject) -> None:
    """1 GiB and 1 TiB; only bytes that are cut off in between may move a score, by one point."""
    small = [
        changed(c, memory=msgspec.structs.replace(c.memory, **{name: data.draw(st.integers(0, GIB)) for name in SIZES}))
        for c in found
    ]
    scores = []
    for factor in (1, KIB):
        look = snapshot([scaled(c, factor) for c in small], total=factor * GIB, available=0)
        scores.append({c.container.id: c.scored.score for c in judged(look).candidates})
    assert scores[0].keys() == scores[1].keys()
    assert all(abs(scores[0][key] - scores[1][key]) <= 1 for key in scores[0])


@pytest.mark.row("S9")
@pytest.mark.parametrize("total", [GIB, 16 * GIB, 1024 * GIB])
def test_a_quarter_of_the_node_is_a_quarter_of_the_node(total: int) -> None:
    quarter = container(anon=total // 4, request_bytes=total // 8)
    assert by_id(judged(snapshot([quarter], total=total, available=0)))["a"].scored.score == 553


# --- factor by factor --------------------------------------------------------------------------------------------


@pytest.mark.row("S2")
@pytest.mark.parametrize(
    ("share", "expected"),
    [(0, 0.0), (1 / 64, 0.166), (0.03, 0.257), (0.1, 0.480), (0.3, 0.720), (0.5, 0.838), (1, 1.0), (9, 1.0)],
)
def test_the_scale_is_logarithmic(share: float, expected: float) -> None:
    assert log_share(share * 16 * GIB, 16 * GIB) == pytest.approx(expected, abs=0.001)


@pytest.mark.row("S2")
@given(st.integers(1, 2**62), st.floats(0, 1), st.floats(0, 1))
def test_the_scale_flattens_towards_the_top(size: int, one: float, other: float) -> None:
    small, large = sorted((one, other))
    assert log_share(small * size, size) <= log_share(large * size, size)
    assert log_share(small * size, size) >= small - 1e-9, "concave: the biggest is not always the victim"


@pytest.mark.row("S2")
def test_the_biggest_is_not_always_the_one() -> None:
    """Within its request a database of half of the node scores below a leak of a fifth."""
    database = container("db", anon=8 * GIB, request_bytes=9 * GIB)
    leak = container("leak", anon=3 * GIB, request_bytes=64 * MIB)
    assert alone(leak) > alone(database)


OF_REQUEST = [
    # footprint, request, excess, overuse (shares of the node)
    ("no request", 0.25, 0.0, 0.679, 1.0),
    ("over it by as much", 0.5, 0.25, 0.679, 0.5),
    ("just at it", 0.25, 0.25, 0.0, 0.0),
    ("under it by half", 0.25, 0.5, -0.679, -0.5),
    ("nothing used", 0.0, 0.5, -0.838, -1.0),
    ("neither", 0.0, 0.0, 0.0, 0.0),
]


@pytest.mark.row("S10")
@pytest.mark.parametrize(("words", "used", "asked", "excess", "overuse"), OF_REQUEST, ids=[r[0] for r in OF_REQUEST])
def test_usage_over_request(words: str, used: float, asked: float, excess: float, overuse: float) -> None:
    one = container(anon=int(used * 16 * GIB), request_bytes=int(asked * 16 * GIB))
    assert value("excess", one) == pytest.approx(excess, abs=0.001)
    assert value("overuse", one) == pytest.approx(overuse, abs=0.001)


@pytest.mark.row("S10")
def test_a_request_that_is_not_known_says_nothing() -> None:
    """Missing is unknown, never zero; only BestEffort says that nothing was asked for."""
    unknown, best_effort = (container(anon=GIB, request_bytes=None, qos=qos) for qos in (None, "BestEffort"))
    assert (value("excess", unknown), value("overuse", unknown)) == (0, 0)
    assert (value("excess", best_effort), value("overuse", best_effort)) == (value("memory", best_effort), 1)


SIMPLE: list[tuple[str, dict[str, Any], float]] = [
    ("oom_score_adj", {"oom_score_adj": None}, 0.0),
    ("oom_score_adj", {"oom_score_adj": 979}, 0.979),
    ("oom_score_adj", {"oom_score_adj": -997}, -0.997),
    ("priority", {"priority": None}, 0.0),
    ("priority", {"priority": 1}, -0.032),
    ("priority", {"priority": 10**9}, -0.968),
    ("priority", {"priority": -1}, 0.065),
    ("priority", {"priority": -(10**9)}, 1.0),
    ("nice", {"nice": None}, 0.0),
    ("nice", {"nice": -20}, -1.0),
    ("nice", {"nice": 19}, 0.95),
    ("nice", {"nice": 500}, 1.0),
    ("privileged", {"privileged": True}, -1.0),
    ("privileged", {"privileged": False}, 0.0),
    ("privileged", {"privileged": None}, 0.0),
    ("protection", {"anon": 100, "min": 50}, -0.5),
    ("protection", {"anon": 100, "low": 70, "min": 10}, -0.7),
    ("protection", {"anon": 100, "low": 10**9}, -1.0),
    ("protection", {"anon": 0, "low": 10}, 0.0),
]


@pytest.mark.row("S5", "S6", "S8", "S10")
@pytest.mark.parametrize(("name", "facts", "expected"), SIMPLE)
def test_simple_factors(name: str, facts: dict[str, Any], expected: float) -> None:
    assert value(name, container(**facts)) == pytest.approx(expected, abs=0.001)


CPU = [
    # total share of the node, recent share, value
    ("idle", 0.0, 0.0, 0.0),
    ("a busy past", 0.01, 0.0, -0.15),
    ("the same lately counts more", 0.0, 0.01, -0.35),
    ("both", 0.01, 0.01, -0.5),
    ("2 % of the node protects as much as all of it", 0.02, 0.02, -1.0),
    ("all of it", 1.0, 1.0, -1.0),
]


@pytest.mark.row("S3")
@pytest.mark.parametrize(("words", "total", "recent", "expected"), CPU, ids=[row[0] for row in CPU])
def test_the_active_are_favoured_to_live(words: str, total: float, recent: float, expected: float) -> None:
    cpu = Cpu(total_seconds=total * 6 * HOUR * 8, recent_cores=recent * 8)
    assert value("cpu", container(cpu=cpu)) == pytest.approx(expected)


@pytest.mark.row("S3")
def test_recent_use_that_is_not_known_is_taken_from_the_total() -> None:
    cpu = Cpu(total_seconds=0.01 * 6 * HOUR * 8)
    assert value("cpu", container(cpu=cpu)) == pytest.approx(-0.5)
    assert value("cpu", container(cpu=None)) == 0


@pytest.mark.row("S4")
@pytest.mark.parametrize(
    ("age", "uptime", "expected"),
    [(24 * HOUR, 24 * HOUR, -1.0), (HOUR, 24 * HOUR, -0.565), (0.0, HOUR, 0.0), (None, HOUR, 0.0), (HOUR, None, 0.0),
     (HOUR, 0.0, 0.0), (2 * HOUR, HOUR, -1.0)],
)  # fmt: skip
def test_the_long_running_are_favoured_to_live(age: float | None, uptime: float | None, expected: float) -> None:
    assert value("lifetime", age_seconds=age, uptime_seconds=uptime) == pytest.approx(expected, abs=0.001)


HISTORY = [
    # restarts, earlier footprint (share of the node), age, value
    ("a first life", 0, 0.0, 0.0, 0.0),
    ("restarted just now", 5, 0.0, 0.0, 1.0),
    ("twice", 2, 0.0, 0.0, 0.4),
    ("it fades", 5, 0.0, 300.0, 0.5),
    ("... and is forgotten", 5, 0.0, 600.0, 0.0),
    ("the earlier incarnation held a quarter", 0, 0.25, 0.0, 0.679),
    ("the worse of both", 1, 0.25, 0.0, 0.679),
]


@pytest.mark.row("S10", "F3")
@pytest.mark.parametrize(("words", "restarts", "earlier", "age", "expected"), HISTORY, ids=[r[0] for r in HISTORY])
def test_history_fades(words: str, restarts: int, earlier: float, age: float, expected: float) -> None:
    one = container(restart_count=restarts)
    found = value("history", one, previous_bytes=int(earlier * 16 * GIB), age_seconds=age)
    assert found == pytest.approx(expected, abs=0.001)


@pytest.mark.row("S10")
def test_without_an_age_restarts_cannot_fade_and_say_nothing() -> None:
    assert value("history", container(restart_count=50), age_seconds=None) == 0


@pytest.mark.row("S7")
@pytest.mark.parametrize(
    ("own", "pod", "expected"), [(0.25, 0.25, 0.0), (0.0, 0.25, 0.679), (0.1, 0.5, 0.358), (0.25, 0.0, 0.0)]
)
def test_children_inherit_from_a_high_scoring_parent(own: float, pod: float, expected: float) -> None:
    found = value("inherit", footprint_bytes=int(own * 16 * GIB), pod_footprint_bytes=int(pod * 16 * GIB))
    assert found == pytest.approx(expected, abs=0.001)


@pytest.mark.row("S7")
def test_only_its_own_pod_is_the_parent() -> None:
    main = container("main", pod="cart", anon=4 * GIB)
    helper = container("helper", pod="cart", name="sidecar", anon=MIB)
    stranger = container("stranger", pod="other", anon=MIB)
    scores = {key: found.scored.score for key, found in by_id(ranked(main, helper, stranger)).items()}
    assert scores["helper"] > scores["stranger"]


GROWTH = [
    # (samples, own rise, rise of the domain, entitled), value; on a domain of 1e9 bytes: floor 5e4 bytes per second
    ("all of it", (20, 1e6, 1e6, False), 1.0),
    ("half of it", (20, 1e6, 2e6, False), 0.5),
    ("more than the domain's is all of it", (20, 2e6, 1e6, False), 1.0),
    ("nothing", (20, 0.0, 1e6, False), 0.0),
    ("it shrinks", (20, -1e6, 1e6, False), 0.0),
    ("below the floor", (20, 1e4, 1e4, False), 0.2),
    ("one reading says nothing", (1, 1e6, 1e6, False), 0.0),
    ("four say half", (4, 1e6, 1e6, False), 0.5),
    ("seven say all", (7, 1e6, 1e6, False), 1.0),
    ("within its request it counts three quarters", (20, 1e6, 1e6, True), 0.75),
]


@pytest.mark.row("S10", "E5")
@pytest.mark.parametrize(("words", "seen", "expected"), GROWTH, ids=[row[0] for row in GROWTH])
def test_share_of_the_growth(words: str, seen: tuple[int, float, float, bool], expected: float) -> None:
    count, own, domain, entitled = seen
    assert growth_ratio(count, own, domain, 10**9, entitled=entitled) == pytest.approx(expected)


@given(st.integers(0, 40), st.floats(-1e12, 1e12), st.floats(-1e12, 1e12), st.integers(1, 2**62), st.booleans())
def test_a_share_of_growth_is_a_share(count: int, own: float, domain: float, size: int, entitled: bool) -> None:
    assert 0 <= growth_ratio(max(count, 1), own, domain, size, entitled=entitled) <= 1


@pytest.mark.row("S1")
@given(st.integers(0, 16 * GIB), st.integers(0, 2**50))
def test_page_cache_moves_nothing(anon: int, cache: int) -> None:
    """But for the share that memory.low protects, which is one of all that is charged."""
    one = container(anon=anon)
    with_cache = changed(one, file=cache, inactive_file=cache, current=anon + cache)
    assert points(with_cache) == points(one)


@pytest.mark.row("S9", "G2")
@given(cases, plans)
def test_the_same_case_scores_the_same(one: Case, plan: Plan) -> None:
    again = msgspec.structs.replace(one)
    rule = plan.rule_for(one.container)
    assert score(adjusted(one, rule.adjustment), scale_of({})) == score(adjusted(again, rule.adjustment), scale_of({}))


def test_with_anon_makes_consistent_readings() -> None:
    assert with_anon(container(anon=5, file=3), 9).memory.current_bytes == 12
