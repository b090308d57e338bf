"""The Node that we run on, asked for now and then."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from typing import Any

import pytest

from memguard.agent.own_node import OwnNode
from memguard.errors import ForbiddenError, UnreachableError
from memguard.kube.objects import Node, ObjectMeta
from memguard.service.journal import Journal


class Answers:
    """Stands for the client: an answer after the other, and then the end."""

    def __init__(self, *answers: Node | Exception) -> None:
        self.left = list(answers)
        self.over: Callable[[], None] = lambda: None

    def get(self, _resource: Any, _name: str) -> Node:
        answer = self.left.pop(0)
        if not self.left:
            self.over()
        if isinstance(answer, Exception):
            raise answer
        return answer


def node(uid: str = "u", **labels: str) -> Node:
    return Node(metadata=ObjectMeta(name="n", uid=uid, labels=labels, resource_version=str(len(labels))))


def asked(*answers: Node | Exception) -> tuple[OwnNode, list[str], list[str]]:
    """Who it is in the end, of which changes it told (by UID), and its log."""
    client, changes = Answers(*answers), list[str]()
    reader, writer = os.pipe()
    own = OwnNode(
        client,  # type: ignore[arg-type]
        "n",
        lambda: changes.append(own.uid),
        Journal(writer),
        random=lambda: 0.0,
    )
    own._stopped = Quick(len(answers))
    client.over = own.stop
    own.run()
    os.close(writer)
    with os.fdopen(reader) as lines:
        return own, changes, [json.loads(line)["reason"] for line in lines]


class Quick(threading.Event):
    """Waits for nothing."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most, self.waits = most, list[float]()

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout or 0.0)
        assert len(self.waits) <= self.most
        return self.is_set()


def test_only_another_uid_or_other_labels_are_news() -> None:
    own, changes, log = asked(node(), node(), node(pool="a"), node(pool="a"), node("v", pool="a"))
    assert changes == ["u", "u", "v"]
    assert own.node == node("v", pool="a")
    assert log == []


@pytest.mark.parametrize("error", [UnreachableError, ForbiddenError])
def test_what_was_known_stays_known(error: type[Exception]) -> None:
    failure = error("GET", "/api/v1/nodes/n", "no", remedy="Ask again.")  # type: ignore[call-arg]
    own, changes, log = asked(failure, node(), failure, failure)
    assert (own.uid, changes) == ("u", ["u"])
    assert log == ["GET /api/v1/nodes/n: no. Ask again."], "said once a minute"
    nobody, _, _ = asked(failure)
    assert (nobody.uid, nobody.problem) == ("", log[0])
