"""All policies as they are now, or nothing where that is not known."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.kube.scripted import Scripted, answer

from memguard.controller.policy_book import FRESH_SECONDS, PolicyBook
from memguard.kube.client import Client
from memguard.kube.connection import Connection
from memguard.kube.wire import Wire
from memguard.service.resources import CLUSTER_POLICIES, POLICIES


def policy(
    name: str = "carts", *, generation: int = 1, version: str = "1", uid: str = "", **spec: Any
) -> dict[str, Any]:
    metadata = {
        "name": name,
        "namespace": "shop",
        "uid": uid or f"uid-{name}",
        "generation": generation,
        "resourceVersion": version,
    }
    return {"metadata": metadata, "spec": {"mode": "Enforce", **spec}}


def listing(*policies: dict[str, Any]) -> bytes:
    return answer(json.dumps({"metadata": {"resourceVersion": "9"}, "items": list(policies)}).encode())


DOWN = answer(b"{}", "503 Service Unavailable")


class Book:
    """A book, and how often it told of a change; it lists the tenants' policies, then the cluster's."""

    def __init__(self, *answers: bytes) -> None:
        self.clock = 0.0
        self.changes = 0
        self.server = Scripted(*([list(answers)] if answers else []))
        self.client = Client(Wire(Connection(self.server.url)))
        self.book = PolicyBook(self.client, self._changed, clock=lambda: self.clock)

    def __enter__(self) -> Book:
        self.server.__enter__()
        return self

    def __exit__(self, *how: Any) -> None:
        self.client.close()
        self.server.__exit__(*how)

    def _changed(self) -> None:
        self.changes += 1

    def tell(self, one: dict[str, Any], *, deleted: bool = False) -> int:
        """How many changes it told of."""
        before = self.changes
        self.book.tell(POLICIES, one, deleted=deleted)
        return self.changes - before

    def names(self) -> list[str]:
        return [one.name for one in self.book.tenants()]


def test_nothing_is_planned_before_both_kinds_were_listed() -> None:
    with Book(listing(policy()), DOWN, listing(policy()), listing()) as book:
        book.tell(policy())
        assert book.book.plan({}, ["shop"]) is None
        assert book.book.problem == "the policies were not listed yet"
        book.book.refresh()
        assert not book.book.fresh
        assert "503" in book.book.problem
        book.book.refresh()
        assert (book.book.fresh, book.book.problem) == (True, "")
        assert book.book.plan({}, ["shop"]) is not None


@pytest.mark.row("K2")
def test_a_plan_has_the_policies_of_the_namespaces_that_are_there() -> None:
    with Book(listing(policy()), listing()) as book:
        book.book.refresh()
        here, elsewhere = book.book.plan({}, ["shop"]), book.book.plan({}, ["ops"])
        assert here is not None
        assert elsewhere is not None
        assert [rule.policy for rule in here.plan.rules] == ["shop/carts", "cluster/default"]
        assert [rule.policy for rule in elsewhere.plan.rules] == ["cluster/default"]
        assert book.book.plan({}, ["shop"]) is here, "made once"


def test_what_is_too_old_is_not_known_any_more() -> None:
    with Book(listing(), listing(), DOWN) as book:
        book.book.refresh()
        book.clock = FRESH_SECONDS - 1
        book.book.refresh()
        assert book.book.plan({}, []) is not None, "one list that failed is none"
        book.clock = FRESH_SECONDS
        assert book.book.plan({}, []) is None


def test_a_change_is_heard_at_once_and_told_once() -> None:
    with Book() as book:
        assert book.tell(policy()) == 1
        assert book.tell(policy()) == 0
        assert book.tell(policy(generation=2, version="2", mode="Observe")) == 1
        assert book.tell(policy(generation=1, version="3", uid="another")) == 1
        assert book.tell(policy(generation=2, version="2"), deleted=True) == 0, "that one was gone already"
        assert book.tell(policy(uid="another"), deleted=True) == 1
        assert book.tell(policy(uid="another"), deleted=True) == 0
        assert book.names() == []


def test_that_its_status_was_written_is_no_news() -> None:
    """The operator writes it itself: each word would have all plans made anew, and the next list thrown away."""
    with Book(listing(policy()), listing(), listing(policy(version="3")), listing()) as book:
        book.book.refresh()
        plan, changes = book.book.plan({}, ["shop"]), book.changes
        assert book.tell(policy(version="2")) == 0
        book.book.refresh()
        assert book.changes == changes
        assert book.book.plan({}, ["shop"]) is plan


def test_what_cannot_be_read_is_known_by_its_version() -> None:
    with Book() as book:
        assert book.tell(policy(version="1", mode="enforce")) == 1
        assert book.tell(policy(version="2", mode="enforce")) == 1
        [broken] = book.book.tenants()
        assert "mode" in getattr(broken, "problem", "")


def test_a_list_makes_good_what_was_missed() -> None:
    with Book(listing(policy("a"), policy("b")), listing(), listing(policy("b")), listing()) as book:
        book.book.refresh()
        assert book.changes == 1
        book.book.refresh()
        assert (book.changes, book.names()) == (2, ["b"])


def test_a_list_during_which_something_was_told_may_lack_it() -> None:
    with Book(listing(policy("a")), listing(), listing(policy("a")), listing()) as book:
        book.book.refresh()
        real = book.client.list_all

        def meanwhile(*args: Any, **kwargs: Any) -> Any:
            book.tell(policy("b"))
            return real(*args, **kwargs)

        book.client.list_all = meanwhile  # type: ignore[method-assign]
        book.clock += FRESH_SECONDS - 1
        book.book.refresh()
        assert sorted(book.names()) == ["a", "b"]
        book.clock += FRESH_SECONDS - 1
        assert book.book.fresh  # whoever writes one policy after another makes nothing stale


def test_the_cluster_has_its_own() -> None:
    with Book(listing(), listing()) as book:
        book.book.refresh()
        body = {"metadata": {"name": "default", "uid": "u", "resourceVersion": "1"}, "spec": {}}
        book.book.tell(CLUSTER_POLICIES, body, deleted=False)
        assert [one.name for one in book.book.clusters()] == ["default"]
        assert book.names() == []
