import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.make import GIB, KIB, MIB, TIB, changed, container, judged, ranked, snapshot, story, watch
from tests.core.strategies import plans, snapshots

from memguard.core.explain import WORDS, sentence, size, strongest
from memguard.core.model import Snapshot
from memguard.core.policy import Plan, Rule
from memguard.core.score import FACTORS

SIZES = [
    (0, "0 B"),
    (1023, "1023 B"),
    (KIB, "1 KiB"),
    (512 * MIB, "512 MiB"),
    (3 * GIB // 2, "1.5 GiB"),
    (TIB, "1.0 TiB"),
    (5000 * TIB, "5000.0 TiB"),
    (-MIB, "-1 MiB"),
]


@pytest.mark.parametrize(("count", "text"), SIZES)
def test_sizes_for_people(count: int, text: str) -> None:
    assert size(count) == text


@pytest.mark.row("G3")
@given(st.lists(snapshots, min_size=1, max_size=2), plans)
def test_every_ranking_can_be_said_in_one_sentence(looks: list[Snapshot], plan: Plan) -> None:
    for ranking in watch(looks, plan):
        text = sentence(ranking)
        assert "\n" not in text
        assert text.endswith(".")
        assert text.startswith("Nobody is chosen") == (ranking.victim is None)


@pytest.mark.row("G3", "T2")
def test_why_this_one() -> None:
    ranking = ranked(container("hog", pod="leak-1", anon=8 * GIB), container("next", anon=GIB))
    victim = ranking.victim
    assert victim is not None
    text = sentence(ranking)
    assert text.startswith("shop/leak-1/app is chosen: node has 100 MiB available")
    assert f"scores {victim.scored.score} of 1000" in text
    assert "frees 8.0 GiB where 1.2 GiB are needed" in text
    assert "next is shop/pod-next/app" in text


@pytest.mark.row("G3")
def test_whose_growth_and_how_long() -> None:
    looks = story([(container("leak"), lambda t: (1 + t * 0.2) * GIB)], rest=GIB, seconds=70)
    ranking = next(found for found in watch(looks) if found.victim)
    assert "will be exhausted in " in sentence(ranking)
    assert "makes 100% of the growth" in sentence(ranking)
    assert strongest(ranking.candidates[0])[0][0] in ("memory", "growth", "excess")


WHY_NOBODY = [
    ("there is nobody", snapshot([], available=0), Plan(), "there is no container in it"),
    ("there is time", snapshot([container()]), Plan(), "no score reaches the threshold"),
    ("a policy", snapshot([container()], available=0), Plan(rules=(Rule(protected=True),)), "a policy protects it"),
]


@pytest.mark.row("G3", "C2")
@pytest.mark.parametrize(("words", "look", "plan", "why"), WHY_NOBODY, ids=[row[0] for row in WHY_NOBODY])
def test_why_nobody(words: str, look: Snapshot, plan: Plan, why: str) -> None:
    assert why in sentence(judged(look, plan))


@pytest.mark.row("G3")
def test_why_nobody_when_it_is_not_the_containers() -> None:
    ranking = ranked(container("a", anon=GIB))
    foreign = changed(ranking, explained_ratio=0.2, sample_count=9, pressure=changed(ranking.pressure, level=0.4))
    assert "explain only 20%" in sentence(foreign)


@pytest.mark.row("G3")
def test_every_factor_has_its_words() -> None:
    assert set(WORDS) == {factor.name for factor in FACTORS} | {"adjustment"}
    assert all(WORDS.values())
