"""Between bytes and objects: what cannot be read harms nothing but itself."""

from __future__ import annotations

import json
import subprocess
import sys

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memguard.kube.codec import Bookmark, Broken, Codec, Found, Happening, encode
from memguard.kube.objects import ObjectMeta, Pod, Status

CODEC = Codec(Pod)
META = {"name": "p", "namespace": "shop", "uid": "u", "resourceVersion": "7"}


def pod(**changes: object) -> dict[str, object]:
    return {"metadata": META, **changes}


def event(kind: str, thing: object) -> bytes:
    return json.dumps({"type": kind, "object": thing}).encode()


def test_a_page_has_its_place_and_what_is_left() -> None:
    body = {"metadata": {"resourceVersion": "9", "continue": "abc", "remainingItemCount": 3}, "items": [pod()]}
    page = CODEC.listing(json.dumps(body).encode())
    assert (page.resource_version, page.continue_token) == ("9", "abc")
    assert [item.key for item in page.items] == [("shop", "p")]
    assert page.objects[0].metadata == ObjectMeta(name="p", namespace="shop", uid="u", resource_version="7")


def test_no_items_are_none() -> None:
    assert CODEC.listing(b'{"metadata":{"resourceVersion":"1"},"items":null}').items == ()


def test_one_that_does_not_decode_is_named_with_its_field() -> None:
    body = {"metadata": {"resourceVersion": "9"}, "items": [pod(spec={"priority": "high"}), pod()]}
    page = CODEC.listing(json.dumps(body).encode())
    (broken,) = page.broken
    assert (broken.namespace, broken.name, broken.uid, broken.resource_version) == ("shop", "p", "u", "7")
    assert broken.problem == "Expected `int | null`, got `str` - at `$.spec.priority`"
    assert len(page.objects) == 1


def test_what_happens_is_there_or_gone() -> None:
    item = Found(name="p", namespace="shop", uid="u", resource_version="7", object=CODEC.object(encode(pod())))
    assert CODEC.event(event("ADDED", pod())) == Happening(item, deleted=False)
    assert CODEC.event(event("MODIFIED", pod())) == Happening(item, deleted=False)
    assert CODEC.event(event("DELETED", pod())) == Happening(item, deleted=True)
    broken = CODEC.event(event("ADDED", pod(spec=[])))
    assert isinstance(broken, Happening)
    assert isinstance(broken.item, Broken)


def test_bookmarks_and_errors_are_no_objects() -> None:
    assert CODEC.event(event("BOOKMARK", {"metadata": {"resourceVersion": "8"}})) == Bookmark("8")
    assert CODEC.event(event("ERROR", {"kind": "Status", "code": 410})) == Status(kind="Status", code=410)


@given(st.binary(max_size=300) | st.sampled_from([b"{}", b"null", b"[]", event("ADDED", {}), event("BOOKMARK", None)]))
def test_any_bytes_are_read_or_refused_in_one_way(data: bytes) -> None:
    for read in (CODEC.object, CODEC.listing, CODEC.event):
        with pytest.raises((msgspec.DecodeError, UnicodeDecodeError)):
            read(data)


def test_what_is_empty_is_not_written() -> None:
    assert encode(ObjectMeta(name="a")) == b'{"name":"a"}'


#: Without the lock in codec.py every second one ended with a segmentation fault.
RACE = """
import sys, threading
from memguard.kube.codec import Codec
from memguard.kube.objects import ConfigMap, Event, Lease, Node, Pod, PodDisruptionBudget
sys.setswitchinterval(1e-6)
together = threading.Barrier(12)
def make(kind):
    together.wait()
    Codec(kind).object(b'{"metadata":{"name":"a","ownerReferences":[{"kind":"x"}]}}')
kinds = (Pod, Node, Lease, Pod, PodDisruptionBudget, Event) * 2
threads = [threading.Thread(target=make, args=(kind,)) for kind in kinds]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


def test_threads_may_begin_at_once() -> None:
    for _ in range(12):
        subprocess.run([sys.executable, "-c", RACE], check=True)
