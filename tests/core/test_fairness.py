"""Is any group hit more than its memory has it?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memguard.core.fairness import ENOUGH_ENDS, Share, Standing, fairness


def share(group: str, held: int, *, ended: bool = False) -> Share:
    return Share(groups=(group,), held_bytes=held, ended=ended)


def hit(group: str, *groups: str) -> list[Share]:
    """Everybody holds the same; one of these is ended."""
    return [share(one, 100, ended=one == group) for one in (group, *groups)]


FAIR = [
    ("as often as its memory has it", [*[hit("a", "b")] * 5, *[hit("b", "a")] * 5], {"a": 1.0, "b": 1.0}),
    ("always the same one", [hit("a", "b")] * 10, {"a": 2.0, "b": 0.0}),
    ("alone on its node", [[share("a", 100, ended=True)]] * 5, {"a": 1.0}),
    ("the small one instead of the big", [[share("a", 900), share("b", 100, ended=True)]] * 10, {"a": 0.0, "b": 10.0}),
    ("too few to say", [hit("a", "b")] * (ENOUGH_ENDS - 1), {"a": None, "b": None}),
    ("it holds nothing, and was hit", [[share("a", 0, ended=True), share("b", 9)]] * 5, {"a": None, "b": 0.0}),
    ("nobody holds anything", [[share("a", 0, ended=True), share("b", 0)]] * 5, {"a": 1.0, "b": None}),
    ("nothing happened", [], {}),
]


@pytest.mark.row("G1")
@pytest.mark.parametrize(("words", "decisions", "ratios"), FAIR, ids=[row[0] for row in FAIR])
def test_a_ratio_of_one_is_fair(words: str, decisions: list[list[Share]], ratios: dict[str, float | None]) -> None:
    found = {one.group: one.ratio for one in fairness(decisions)}
    assert found == {group: ratio if ratio is None else pytest.approx(ratio) for group, ratio in ratios.items()}


@pytest.mark.row("G1")
def test_a_candidate_is_of_several_groups_and_those_hit_most_come_first() -> None:
    one = Share(groups=("namespace/shop", "qos/Burstable"), held_bytes=300, ended=True)
    other = Share(groups=("namespace/ops", "qos/Burstable"), held_bytes=100)
    assert fairness([[one, other]] * 2) == (
        Standing(group="namespace/shop", ends=2, expected=1.5),
        Standing(group="qos/Burstable", ends=2, expected=2.0),
        Standing(group="namespace/ops", ends=0, expected=0.5),
    )


groups = st.sampled_from("abc")
decisions = st.lists(
    st.lists(st.tuples(groups, st.integers(0, 2**62)), min_size=1, max_size=6).map(
        lambda found: [share(group, held, ended=not place) for place, (group, held) in enumerate(found)]
    ),
    max_size=30,
)


@pytest.mark.row("G1")
@given(decisions)
def test_what_all_groups_were_to_bear_is_what_happened(found: list[list[Share]]) -> None:
    standings = fairness(found)
    assert sum(one.ends for one in standings) == len(found)
    assert sum(one.expected for one in standings) == pytest.approx(len(found), abs=0.001 * len(standings) + 1e-9)
    assert all(one.ratio is None or one.ratio >= 0 for one in standings)


@given(decisions, st.randoms(use_true_random=False))
def test_the_order_of_the_candidates_does_not_matter(found: list[list[Share]], random: st.DrawFn) -> None:
    shuffled = [random.sample(one, len(one)) for one in found]
    assert {one.group: one.ends for one in fairness(shuffled)} == {one.group: one.ends for one in fairness(found)}
