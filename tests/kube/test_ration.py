"""What is kept of whoever writes without end."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from memguard.kube.codec import Broken, Found
from memguard.kube.ration import Ration

MOST = 100


def found(namespace: str, name: str, spec_bytes: int, version: str = "1") -> Found[str]:
    return Found(name=name, namespace=namespace, uid="u", resource_version=version, object=name, spec_bytes=spec_bytes)


steps = st.lists(
    st.tuples(st.sampled_from("ab"), st.sampled_from("pqrs"), st.one_of(st.none(), st.integers(0, MOST + 20))),
    max_size=40,
)


@given(steps)
def test_nobody_has_more_than_its_ration_kept_and_what_fits_is_kept(moves: list[tuple[str, str, int | None]]) -> None:
    ration = Ration(MOST)
    kept: dict[tuple[str, str], int] = {}
    for namespace, name, size in moves:
        kept.pop((namespace, name), None)
        if size is None:
            ration.forget((namespace, name))
            continue
        used = Counter[str]()
        for (of, _), held in kept.items():
            used[of] += held
        got = ration.admit(found(namespace, name, size))
        assert isinstance(got, Found) == (used[namespace] + size <= MOST)
        if isinstance(got, Found):
            kept[namespace, name] = size


def test_who_is_beyond_it_is_known_by_name_and_costs_nobody_else() -> None:
    ration = Ration(1 << 10)
    ration.admit(found("greedy", "p", 1 << 10))
    beyond = ration.admit(found("greedy", "q", 1, version="7"))
    assert isinstance(beyond, Broken)
    assert (beyond.key, beyond.uid, beyond.resource_version) == (("greedy", "q"), "u", "7")
    assert beyond.problem == "its namespace has more than the 1 KiB that are read of one"
    assert isinstance(ration.admit(found("modest", "p", 1 << 10)), Found)


def test_what_cannot_be_read_takes_nothing() -> None:
    ration = Ration(MOST)
    ration.admit(found("a", "p", MOST))
    broken = Broken(name="p", namespace="a", uid="u", resource_version="2", problem="x")
    assert ration.admit(broken) is broken
    assert isinstance(ration.admit(found("a", "q", MOST)), Found)
