"""What was learned is written down, whatever goes wrong, and each decision teaches once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tests.controller.objects import NOW, record
from tests.kube.scripted import Scripted, answer

from memguard.controller.experience import EVERYTHING, NAME, RESET, Learner
from memguard.errors import AlreadyExistsError, KubeError, ServerError
from memguard.kube.client import Client
from memguard.kube.connection import Connection
from memguard.kube.wire import Wire

WORKLOAD = "shop/Deployment/cart/app"
CAUSED = [{"id": "id-cart", "title": "shop/cart/app", "growthRatio": 1.0}]
MISSING = answer(b"{}", "404 Not Found")
AT = NOW.timestamp()


def kept(memory: str = "{}", **annotations: str) -> bytes:
    metadata = {"name": NAME, "namespace": "ours", "resourceVersion": "7", "annotations": annotations}
    return answer(json.dumps({"metadata": metadata, "data": {"memory.json": memory}}).encode())


@contextmanager
def learning(*answers: bytes) -> Iterator[tuple[Learner, Scripted, list[str]]]:
    troubles: list[str] = []
    with Scripted(*([list(answers)] if answers else [])) as server:
        client = Client(Wire(Connection(server.url)))
        yield Learner(client, "ours", troubles.append), server, troubles
        client.close()


def teach(learner: Learner, name: str = "kill-1", **facts: Any) -> None:
    learner.teach(record(name, **({"candidates": CAUSED} | facts)))


def written(request: str) -> Any:
    return json.loads(json.loads(request.rpartition("\n")[2])["data"]["memory.json"])


def test_the_first_time_there_is_nothing() -> None:
    with learning(MISSING) as (learner, _, troubles):
        learner.recall()
    assert (learner.points([WORKLOAD], AT), troubles) == ({}, [])


@pytest.mark.row("F3")
def test_who_causes_pressure_again_and_again_gets_points_and_each_decision_teaches_once() -> None:
    with learning() as (learner, _, _):
        for _ in range(5):
            teach(learner)
        once = learner.experience
        for number in range(5):
            teach(learner, f"kill-{number}")
    assert once != learner.experience
    assert learner.points([WORKLOAD, "other"], AT)[WORKLOAD] > 0
    assert "other" not in learner.points([WORKLOAD, "other"], AT)


@pytest.mark.parametrize("facts", [{"mode": "Observe"}, {"phase": "Acted"}, {"phase": None}, {"workload": ""}], ids=str)
def test_what_teaches_nothing(facts: dict[str, Any]) -> None:
    with learning() as (learner, server, _):
        teach(learner, **facts)
        assert learner.experience == Learner(None, "", print).experience  # type: ignore[arg-type]
    assert server.requests == []


@pytest.mark.row("F2")
def test_it_is_made_and_then_changed_and_left_alone_while_nothing_changes() -> None:
    with learning(MISSING, kept(), kept(), kept(), kept()) as (learner, server, _):
        teach(learner)
        learner.keep()
        learner.keep()
        teach(learner, "kill-2")
        learner.keep()
    verbs = [request.split(" ")[0] for request in server.requests]
    assert verbs == ["GET", "POST", "GET", "GET", "PATCH"]
    assert written(server.requests[1])["lessons"] == ["kill-1"]
    assert written(server.requests[4])["lessons"] == ["kill-1", "kill-2"]
    assert json.loads(server.requests[4].rpartition("\n")[2])["metadata"]["resourceVersion"] == "7"


@pytest.mark.row("F2")
@pytest.mark.parametrize(
    ("refusal", "error"),
    [("500 Internal Server Error", ServerError), ("409 Conflict", AlreadyExistsError)],
)
def test_what_could_not_be_written_is_written_the_next_time(refusal: str, error: type[KubeError]) -> None:
    reason = json.dumps({"kind": "Status", "reason": "AlreadyExists" if "409" in refusal else "InternalError"})
    with learning(MISSING, answer(reason.encode(), refusal), kept(), kept()) as (learner, server, _):
        teach(learner)
        with pytest.raises(error):
            learner.keep()
        learner.keep()
    assert written(server.requests[3])["lessons"] == ["kill-1"]


@pytest.mark.row("F2")
@pytest.mark.parametrize("wish", [WORKLOAD, EVERYTHING])
def test_people_may_have_it_forgotten(wish: str) -> None:
    with learning(kept(**{RESET: wish}), kept()) as (learner, server, _):
        for number in range(5):
            teach(learner, f"kill-{number}")
        learner.keep()
    assert learner.points([WORKLOAD], AT) == {}
    change = json.loads(server.requests[1].rpartition("\n")[2])
    assert change["metadata"]["annotations"] == {RESET: None}, "once"
    assert len(written(server.requests[1])["lessons"]) == 5, "and the same decisions do not teach it again"


def test_whoever_leads_next_knows_it() -> None:
    with learning(MISSING, kept()) as (learner, server, _):
        for number in range(5):
            teach(learner, f"kill-{number}")
        learner.keep()
        memory = json.dumps(written(server.requests[1]))
    with learning(kept(memory)) as (heir, _, _):
        heir.recall()
        teach(heir, "kill-4")
    assert heir.experience == learner.experience


def test_what_is_not_understood_is_begun_anew_and_told() -> None:
    with learning(kept("{not")) as (learner, _, troubles):
        learner.recall()
    assert "ours/memguard-experience is not understood, and begun anew" in troubles[0]
