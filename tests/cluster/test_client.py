"""The client against the real API server, alone and with a proxy in between that fails in chosen ways."""

from __future__ import annotations

import base64
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import msgspec
import pytest
from e2e.lab.control_plane import ControlPlane, node_user
from tests.cluster.clients import (
    CONFIG_MAPS,
    OURS,
    client_of,
    config_map,
    connect,
    pod,
    proxy_of,
    wait_until,
)
from tests.cluster.proxy import Hang, Hangup, Lose, Proxy, Refuse, Seen

from memguard.errors import (
    AlreadyExistsError,
    ConflictError,
    ForbiddenError,
    GoneError,
    InvalidError,
    KubeError,
    NotFoundError,
    ServerError,
    TooManyRequestsError,
    UnauthorizedError,
    UnreachableError,
)
from memguard.kube.client import Client
from memguard.kube.connection import Connection, FixedToken, TokenFile, read_pem, tls_context
from memguard.kube.kubeconfig import read_kubeconfig
from memguard.kube.objects import Pod
from memguard.kube.resources import NAMESPACES, PODS, Resource, Selection
from memguard.kube.retry import Backoff, retry

BUDGETS = Resource(group="policy", version="v1", plural="poddisruptionbudgets", kind="PodDisruptionBudget", type=Pod)


class Digits(msgspec.Struct):
    x: Annotated[str, msgspec.Meta(pattern="^[0-9]+$")]


class Strict(msgspec.Struct):
    data: Digits


READY = {"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}
SHORT_SECONDS = 2.0


@pytest.fixture
def client(control_plane: ControlPlane) -> Iterator[Client]:
    with client_of(read_kubeconfig(str(control_plane.kubeconfig()))) as client:
        yield client


@pytest.fixture
def through(control_plane: ControlPlane, proxy: Proxy) -> Iterator[Client]:
    with client_of(connect(control_plane, proxy.url), timeout_seconds=SHORT_SECONDS) as client:
        yield client


def test_an_object_is_made_read_changed_and_deleted(client: Client, namespace: str) -> None:
    made = client.create(CONFIG_MAPS, config_map("a", x="1"), namespace)
    assert client.get(CONFIG_MAPS, "a", namespace) == made
    merged = client.merge_patch(CONFIG_MAPS, "a", {"data": {"y": "2"}}, namespace)
    assert merged.data == {"x": "1", "y": "2"}
    client.delete(CONFIG_MAPS, "a", namespace, uid=made.metadata.uid)
    with pytest.raises(NotFoundError, match=f'^GET .*/{namespace}/configmaps/a: 404 configmaps "a" not found. It is'):
        client.get(CONFIG_MAPS, "a", namespace)


def test_apply_owns_its_fields_and_forces_only_when_told(client: Client, namespace: str) -> None:
    applied = client.apply(CONFIG_MAPS, "a", config_map("a", x="1", y="1"), namespace, manager="one")
    assert applied.data == {"x": "1", "y": "1"}
    assert client.apply(CONFIG_MAPS, "a", config_map("a", x="1"), namespace, manager="one").data == {"x": "1"}
    with pytest.raises(ConflictError) as refused:
        client.apply(CONFIG_MAPS, "a", config_map("a", x="2"), namespace, manager="two")
    assert refused.value.causes == ('.data.x: conflict with "one"',)
    forced = client.apply(CONFIG_MAPS, "a", config_map("a", x="2"), namespace, manager="two", force=True)
    assert forced.data == {"x": "2"}


def test_the_status_is_another_part_than_the_object(client: Client, namespace: str) -> None:
    client.create(PODS, pod("p"), namespace)
    changed = client.merge_patch(PODS, "p", READY, namespace, subresource="status")
    assert changed.status.phase == "Running"
    status = {"apiVersion": "v1", "kind": "Pod", "status": {"phase": "Failed", "reason": "Evicted"}}
    applied = client.apply(PODS, "p", status, namespace, subresource="status", force=True)
    assert (applied.status.phase, applied.status.reason) == ("Failed", "Evicted")
    assert client.merge_patch(PODS, "p", READY, namespace).status.phase == "Failed"


def test_refusals_are_told_apart(control_plane: ControlPlane, client: Client, namespace: str) -> None:
    made = client.create(CONFIG_MAPS, config_map("a"), namespace)
    with pytest.raises(AlreadyExistsError, match='configmaps "a" already exists'):
        client.create(CONFIG_MAPS, config_map("a"), namespace)
    old = {"metadata": {"resourceVersion": made.metadata.resource_version}, "data": {"x": "2"}}
    client.merge_patch(CONFIG_MAPS, "a", {"data": {"x": "1"}}, namespace)
    with pytest.raises(ConflictError, match="the object has been modified"):
        client.merge_patch(CONFIG_MAPS, "a", old, namespace)
    with pytest.raises(ConflictError, match="UID in the precondition"):
        client.delete(CONFIG_MAPS, "a", namespace, uid="another")
    with pytest.raises(InvalidError) as invalid:
        client.create(PODS, {"metadata": {"name": "P"}, "spec": {"containers": [{"name": "main"}]}}, namespace)
    assert [cause.partition(": ")[0] for cause in invalid.value.causes] == ["metadata.name", "spec.containers[0].image"]
    with pytest.raises(KubeError, match="400 "):
        client.create(PODS, {"kind": "Node", "apiVersion": "v1"}, namespace)
    with (
        client_of(read_kubeconfig(str(control_plane.kubeconfig(node_user("node-a"))))) as node,
        pytest.raises(ForbiddenError, match="kubectl auth can-i"),
    ):
        node.list_all(Selection(PODS))


def test_a_kind_that_is_not_installed_is_named_so(client: Client) -> None:
    other = Resource(group="example.com", version="v1", plural="things", kind="Thing", type=Pod)
    with pytest.raises(NotFoundError, match=r"^GET /apis/example.com/v1/things: 404 .*its CRD is installed"):
        client.list_all(Selection(other))


def test_a_list_is_read_page_by_page_by_its_selectors(
    client: Client, through: Client, proxy: Proxy, namespace: str
) -> None:
    for number in range(7):
        client.create(PODS, pod(f"p{number}", node="node-a" if number else "node-b", app="x"), namespace)
    everything = through.list_all(Selection(PODS, namespace), page=3)
    assert [one.metadata.name for one in everything.objects] == [f"p{number}" for number in range(7)]
    assert proxy.count(lambda seen: seen.is_list) == 3
    on_b = client.list_all(Selection(PODS, namespace, labels="app=x", fields="spec.nodeName=node-b"))
    assert [one.metadata.name for one in on_b.objects] == ["p0"]


def test_a_list_begins_anew_when_the_server_forgot_where_it_was(
    client: Client, through: Client, proxy: Proxy, namespace: str
) -> None:
    for number in range(5):
        client.create(CONFIG_MAPS, config_map(f"a{number}"), namespace)
    proxy.fail(lambda seen: "continue" in seen.query, Refuse(410, "Expired"), times=2)
    listing = through.list_all(Selection(CONFIG_MAPS, namespace, fields=OURS), page=2)
    assert [one.metadata.name for one in listing.objects] == [f"a{number}" for number in range(5)]
    proxy.fail(lambda seen: "continue" in seen.query, Refuse(410, "Expired"), times=3)
    with pytest.raises(GoneError, match="List again"):
        through.list_all(Selection(CONFIG_MAPS, namespace), page=2)


def test_one_that_does_not_decode_does_not_hide_the_others(client: Client, namespace: str) -> None:
    for name, x in (("bad", "one"), ("good", "1")):
        client.create(CONFIG_MAPS, config_map(name, x=x), namespace)
    strict = Resource(group="", version="v1", plural="configmaps", kind="ConfigMap", type=Strict)
    listing = client.list_all(Selection(strict, namespace, fields=OURS))
    assert [one.data.x for one in listing.objects] == ["1"]
    (broken,) = listing.broken
    assert broken.key == (namespace, "bad")
    assert "`$.data.x`" in broken.problem
    with pytest.raises(KubeError, match=r"not understood: .*\$\.data\.x.*differ in version"):
        client.get(strict, "bad", namespace)


def test_evictions_respect_grace_and_budgets(client: Client, namespace: str) -> None:
    uid = client.create(PODS, pod("p", app="x"), namespace).metadata.uid
    client.merge_patch(PODS, "p", READY, namespace, subresource="status")

    def refused() -> bool:
        try:
            client.evict("p", namespace, uid=uid, grace_seconds=5, dry_run=True)
        except TooManyRequestsError as error:
            return error.budget and error.retry_after_seconds is None  # else the budget is still being looked at
        return False

    with pytest.raises(ValueError, match="by force"):
        client.evict("p", namespace, uid=uid, grace_seconds=0)
    assert not refused()
    budget = {"minAvailable": 1, "selector": {"matchLabels": {"app": "x"}}}
    client.create(BUDGETS, {"metadata": {"name": "b"}, "spec": budget}, namespace)
    wait_until(refused)
    with pytest.raises(TooManyRequestsError, match="violate the pod's disruption budget") as later:
        client.evict("p", namespace, uid=uid, grace_seconds=None)
    assert later.value.budget
    assert client.get(PODS, "p", namespace).metadata.deletion_timestamp is None
    client.delete(BUDGETS, "b", namespace)
    wait_until(lambda: not refused())
    client.evict("p", namespace, uid=uid, grace_seconds=5)
    assert client.get(PODS, "p", namespace).metadata.deletion_timestamp is not None


def test_an_eviction_never_hits_a_namesake(client: Client, namespace: str) -> None:
    """The API server tries for ten seconds before it says so: longer than other requests may take."""
    client.create(PODS, pod("p"), namespace)
    with pytest.raises(ConflictError, match="UID in the precondition"):
        client.evict("p", namespace, uid="another", grace_seconds=1)
    assert client.get(PODS, "p", namespace).metadata.deletion_timestamp is None


def test_a_connection_is_kept_and_given_up_when_the_server_closed_it(
    client: Client, through: Client, proxy: Proxy, namespace: str
) -> None:
    client.create(CONFIG_MAPS, config_map("a"), namespace)
    for _ in range(3):
        through.get(CONFIG_MAPS, "a", namespace)
    assert {seen.connection for seen in proxy.seen} == {1}
    proxy.fail(any_request, Hangup())
    through.get(CONFIG_MAPS, "a", namespace)
    through.create(CONFIG_MAPS, config_map("b"), namespace)
    assert [seen.connection for seen in proxy.seen][-2:] == [1, 2]


def test_what_does_no_harm_twice_is_asked_again_when_the_connection_breaks(
    client: Client, through: Client, proxy: Proxy, namespace: str
) -> None:
    client.create(CONFIG_MAPS, config_map("a"), namespace)
    through.get(CONFIG_MAPS, "a", namespace)
    proxy.fail(any_request, Lose())
    assert through.merge_patch(CONFIG_MAPS, "a", {"data": {"x": "1"}}, namespace).data == {"x": "1"}
    assert [(seen.verb, seen.connection) for seen in proxy.seen] == [("GET", 1), ("PATCH", 1), ("PATCH", 2)]


def test_what_may_have_been_done_is_not_asked_again(
    client: Client, through: Client, proxy: Proxy, namespace: str
) -> None:
    through.list_all(Selection(CONFIG_MAPS, namespace))
    proxy.fail(is_post, Lose())
    with pytest.raises(UnreachableError, match="It may have been carried out: look before you ask again"):
        through.create(CONFIG_MAPS, config_map("a"), namespace)
    assert proxy.count(is_post) == 1
    assert client.get(CONFIG_MAPS, "a", namespace).metadata.name == "a"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, UnauthorizedError),
        (403, ForbiddenError),
        (404, NotFoundError),
        (409, ConflictError),
        (410, GoneError),
        (422, InvalidError),
        (429, TooManyRequestsError),
        (500, ServerError),
        (503, ServerError),
        (418, KubeError),
    ],
)
def test_every_refusal_has_its_error(
    status: int, kind: type[KubeError], through: Client, proxy: Proxy, namespace: str
) -> None:
    proxy.fail(any_request, Refuse(status, message="no."))
    with pytest.raises(KubeError, match=f"^GET /api/v1/namespaces/{namespace}/pods/p: {status} no. ") as refused:
        through.get(PODS, "p", namespace)
    assert type(refused.value) is kind
    assert refused.value.status == status
    assert refused.value.passing == (status in {429, 500, 503})


@pytest.mark.parametrize("fault", [Refuse(429, headers={"Retry-After": "3"}), Refuse(500), Refuse(503), Lose(), Hang()])
def test_a_failure_that_passes_is_tried_again(
    fault: Refuse | Lose | Hang, client: Client, through: Client, proxy: Proxy, namespace: str
) -> None:
    client.create(CONFIG_MAPS, config_map("a", x="1"), namespace)
    waits: list[float] = []

    def sleep(seconds: float) -> bool:
        waits.append(seconds)
        return False

    proxy.fail(any_request, fault, times=2)
    backoff = Backoff(base_seconds=1)
    found = retry(
        lambda: through.get(CONFIG_MAPS, "a", namespace), attempts=3, sleep=sleep, random=lambda: 0.5, backoff=backoff
    )
    assert found.data == {"x": "1"}
    asked = 3 if isinstance(fault, Refuse) and fault.headers else 0
    assert waits == [0.5 + asked, 1.0 + asked]


def test_silence_is_not_waited_out(through: Client, proxy: Proxy, namespace: str) -> None:
    proxy.fail(any_request, Hang())
    with pytest.raises(UnreachableError, match="silence for 2 s"):
        through.get(CONFIG_MAPS, "a", namespace)


def test_a_token_that_was_replaced_is_read_again(
    control_plane: ControlPlane, client: Client, proxy: Proxy, namespace: str, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text("expired")
    with client_of(connect(control_plane, proxy.url, TokenFile(str(file)))) as through:
        with pytest.raises(UnauthorizedError, match="token meant for this server"):
            through.create(CONFIG_MAPS, config_map("a"), namespace)
        file.write_text(control_plane.token())
        assert through.create(CONFIG_MAPS, config_map("a"), namespace).metadata.name == "a"
    assert [seen.authorization == "Bearer expired" for seen in proxy.seen] == [True, True, False]


def test_a_client_certificate_makes_a_user(control_plane: ControlPlane, tmp_path: Path) -> None:
    """In the file itself or beside it; kubelet's client here is one of system:masters."""
    certificates = control_plane.certificates
    files = {
        "client-certificate": certificates.file("kubelet-client.crt"),
        "client-key": certificates.file("kubelet-client.key"),
    }
    in_itself = {f"{name}-data": base64.b64encode(path.read_bytes()).decode() for name, path in files.items()}
    beside = {name: os.path.relpath(path, tmp_path) for name, path in files.items()}
    for user in (in_itself, beside):
        config = json.loads(control_plane.kubeconfig().read_text())
        config["users"][0]["user"] = user
        (tmp_path / "kubeconfig").write_text(json.dumps(config))
        with client_of(read_kubeconfig(str(tmp_path / "kubeconfig"))) as client:
            assert client.list_all(Selection(NAMESPACES)).objects


def test_the_wrong_server_gets_no_request(control_plane: ControlPlane) -> None:
    with (
        proxy_of(control_plane, "127.0.0.2") as other,
        client_of(connect(control_plane, other.url)) as client,
        pytest.raises(UnreachableError, match=r"not trusted .*Compare the CA"),
    ):
        client.get(PODS, "p", "default")
    assert other.seen == []


def test_a_ca_that_was_replaced_is_read_again(control_plane: ControlPlane, namespace: str, tmp_path: Path) -> None:
    file = tmp_path / "ca.crt"
    file.write_bytes(control_plane.certificates.file("apiserver.crt").read_bytes())  # one that signed nothing
    moved = Connection(
        control_plane.url,
        tls=lambda: tls_context(read_pem(str(file)), str(file)),
        token=FixedToken(control_plane.token()),
    )
    real = control_plane.certificates.authority.read_text()
    with client_of(moved) as client:
        file.write_text(real.replace("M", "N"))
        for _ in range(2):  # what cannot be read takes nothing away
            with pytest.raises(UnreachableError, match="not trusted"):
                client.list_all(Selection(PODS, namespace))
        file.write_text(real)
        with pytest.raises(UnreachableError, match="not trusted"):
            client.list_all(Selection(PODS, namespace))
        assert client.list_all(Selection(PODS, namespace)).objects == ()


def test_nobody_there_is_said(control_plane: ControlPlane) -> None:
    nobody = connect(control_plane, "https://127.0.0.1:1")
    words = r"no whole answer \(\[Errno 111\] Connection refused\)\. Check the address"
    with client_of(nobody) as client, pytest.raises(UnreachableError, match=words):
        client.get(PODS, "p", "default")


def test_threads_share_a_client(client: Client, through: Client, proxy: Proxy, namespace: str) -> None:
    failed: list[Exception] = []

    def work(number: int) -> None:
        try:
            for turn in range(10):
                through.apply(CONFIG_MAPS, f"a{number}", config_map(f"a{number}", turn=str(turn)), namespace)
        except KubeError as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    listing = client.list_all(Selection(CONFIG_MAPS, namespace, fields=OURS))
    assert [one.data for one in listing.objects] == [{"turn": "9"}] * 4
    assert proxy.connections <= 4


def any_request(seen: Seen) -> bool:
    return True


def is_post(seen: Seen) -> bool:
    return seen.verb == "POST"
