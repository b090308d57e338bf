"""The set of objects: whoever only hears the changes knows what the store knows."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from memguard.kube.codec import Broken, Found, Item, Key
from memguard.kube.store import Change, Store

NAMES = st.sampled_from("abc")
Thing = tuple[str, str, str]


def found(name: str, uid: str = "1", version: str = "1") -> Found[Thing]:
    return Found(name=name, uid=uid, resource_version=version, object=(name, uid, version))


def broken(name: str, uid: str = "1", version: str = "1") -> Broken:
    """One resource version either decodes or does not."""
    return Broken(name=name, uid=uid, resource_version=f"{version}b", problem="odd")


items = st.builds(
    lambda make, name, uid, version: make(name, uid, version),
    st.sampled_from([found, found, broken]), NAMES, st.sampled_from("12"), st.sampled_from("123"),
)  # fmt: skip
steps = st.lists(
    st.one_of(
        st.tuples(st.just("upsert"), items),
        st.tuples(st.just("remove"), NAMES),
        st.tuples(st.just("replace"), st.lists(items, max_size=4, unique_by=lambda item: item.name)),
    ),
    max_size=20,
)


class Listener:
    """Knows what it was told, and that nothing was told twice."""

    def __init__(self) -> None:
        self.known: dict[Key, Thing] = {}

    def hear(self, change: Change[Thing] | None) -> None:
        if change is None:
            return
        for thing in change.deleted:
            assert self.known.pop(("", thing[0])) == thing
        for thing in change.upserted:
            key = ("", thing[0])
            assert self.known.get(key) != thing
            assert key not in self.known or self.known[key][1] == thing[1]
            self.known[key] = thing


@given(steps)
def test_who_only_listens_knows_the_same(moves: list[tuple[str, object]]) -> None:
    store: Store[Thing] = Store()
    listener = Listener()
    model: dict[Key, Item] = {}
    for kind, what in moves:
        if kind == "upsert":
            model[what.key] = what
            listener.hear(store.upsert(what))
        elif kind == "remove":
            model.pop(("", what), None)
            listener.hear(store.remove(("", what)))
        else:
            model = {item.key: item for item in what}
            listener.hear(store.replace(what))
        assert listener.known == store.objects()
        assert {**store.objects(), **store.broken()}.keys() == model.keys()
        versions = {key: item.object[1:] for key, item in model.items() if isinstance(item, Found)}
        assert {key: thing[1:] for key, thing in store.objects().items()} == versions


def test_what_is_known_is_no_news() -> None:
    store: Store[Thing] = Store()
    assert store.upsert(found("a")) == Change(upserted=(("a", "1", "1"),))
    assert store.upsert(found("a")) is None
    assert store.remove(("", "b")) is None
    assert store.replace([found("a")]) == Change(listed=True)


def test_one_that_was_made_anew_is_gone_and_there() -> None:
    store: Store[Thing] = Store()
    store.upsert(found("a", "1"))
    anew = Change(upserted=(("a", "2", "1"),), deleted=(("a", "1", "1"),))
    assert store.upsert(found("a", "2")) == anew
    store.replace([found("a", "1")])
    assert store.replace([found("a", "2"), found("b")]).deleted == (("a", "1", "1"),)


def test_one_that_no_longer_decodes_is_gone() -> None:
    store: Store[Thing] = Store()
    store.upsert(found("a"))
    bad = broken("a", version="2")
    assert store.upsert(bad) == Change(deleted=(("a", "1", "1"),), broken=(bad,))
    assert store.objects() == {}
    assert store.broken() == {("", "a"): bad}
    assert store.upsert(found("a", version="3")) == Change(upserted=(("a", "1", "3"),))
    store.upsert(bad)
    assert store.remove(("", "a")) == Change()
