import pytest

from memguard.kube.resources import EVENTS, NODES, PODS, Selection


@pytest.mark.parametrize(
    ("path", "address"),
    [
        (PODS.path(), "/api/v1/pods"),
        (PODS.path("shop"), "/api/v1/namespaces/shop/pods"),
        (PODS.path("shop", "p"), "/api/v1/namespaces/shop/pods/p"),
        (PODS.path("shop", "p", "status"), "/api/v1/namespaces/shop/pods/p/status"),
        (NODES.path(name="a"), "/api/v1/nodes/a"),
        (EVENTS.path("shop", "e"), "/apis/events.k8s.io/v1/namespaces/shop/events/e"),
        (PODS.path("../nodes", "a/b?c"), "/api/v1/namespaces/..%2Fnodes/pods/a%2Fb%3Fc"),
    ],
)
def test_addresses(path: str, address: str) -> None:
    assert path == address


def test_a_namespace_where_there_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="nodes have no namespace, but shop was given"):
        NODES.path("shop", "a")
    with pytest.raises(ValueError, match="pods have a namespace, none was given for p"):
        PODS.path(name="p")


def test_a_selection_says_only_what_it_selects_by() -> None:
    assert Selection(PODS).query == {}
    assert Selection(PODS, labels="a=b", fields="spec.nodeName=n").query == {
        "labelSelector": "a=b",
        "fieldSelector": "spec.nodeName=n",
    }
    assert Selection(PODS, "shop").path == "/api/v1/namespaces/shop/pods"
