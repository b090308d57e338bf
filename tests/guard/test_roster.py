from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memguard.core.link import Mapping
from memguard.core.model import Identity
from memguard.guard.roster import Roster

IDS = st.sampled_from("abcd")
IDENTITIES = st.builds(
    Identity, id=IDS, pod=st.sampled_from(["p", "q"]), namespace=st.just("shop"), name=st.just("app")
)
MAPPINGS = st.builds(
    Mapping, containers=st.lists(IDENTITIES, max_size=3).map(tuple), gone=st.lists(IDS, max_size=2).map(tuple),
    complete=st.booleans(),
)  # fmt: skip


@given(mappings=st.lists(MAPPINGS, max_size=6))
def test_it_tells_whatever_changed_and_nothing_else(mappings: list[Mapping]) -> None:
    roster = Roster()
    for mapping in mappings:
        before = {key: roster.identify("c", key).pod for key in "abcd"}
        changed = roster.follow(mapping)
        assert changed == {key for key in "abcd" if roster.identify("c", key).pod != before[key]}


def test_a_complete_one_forgets_the_others() -> None:
    roster = Roster()
    roster.follow(Mapping(containers=(Identity(id="a"), Identity(id="b")), pods=("u",)))
    assert roster.follow(Mapping(containers=(Identity(id="b"),), complete=True)) == {"a"}
    assert roster.pods == frozenset()


@pytest.mark.row("C2")
def test_who_is_not_known_is_not_mapped() -> None:
    found = Roster().identify("kubepods.slice/x.scope", "a")
    assert not found.mapped
    assert found.cgroup == "kubepods.slice/x.scope"
