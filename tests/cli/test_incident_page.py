"""The page as text: whole, valid, harmless, and asking for nothing. tests/browser looks at it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from itertools import pairwise

import msgspec
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from tests.cli import records

from memguard.api.decision import DecidedCandidate, DecidedVictim
from memguard.cli.incident.glossary import GLOSSARY
from memguard.cli.incident.incident import Happening, Incident, PodNow
from memguard.cli.incident.moments import STEPS
from memguard.cli.incident.page import page, raw
from memguard.cli.incident.words import DOMAINS, TRIGGERS
from memguard.core.explain import WORDS

KINDS = records.kinds()
PAGES = {kind: page(one) for kind, one in KINDS.items()}
VOID = {"meta", "link", "br", "hr", "img", "input", "wbr"}
#: Whatever tries to be more than a name.
NASTY = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</title></style></pre></svg><iframe src=//evil.example>",
    "{{ 7 * 7 }}{% raw %}",
    "javascript:alert(1)",
    "\x1b[2J\x00\r\n\x07",
    "\u202egnp.exe\u2066\u200f\u200b",
    "&lt;&#x3c;&",
    "a" * 4000,
    "\U0001f600\u0301\U000e0041",
)
#: Names that mean something to us, and are told in words.
KNOWN = {*TRIGGERS, *DOMAINS, *WORDS, *STEPS}
names = (
    st.sampled_from(NASTY) | st.text(max_size=40) | st.tuples(st.sampled_from(NASTY), st.text(max_size=9)).map("".join)
)


class Tree(HTMLParser):
    """Elements with their attributes, in order; what is open must be closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(attrs) == len(dict(attrs)), f"twice the same attribute: {attrs}"
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def shape(text: str) -> list[tuple[str, tuple[str, ...]]]:
    """Elements and the names of their attributes, but for the pictures: what no name may change."""
    drawn = {"path", "text", "rect", "circle", "polyline", "polygon", "g", "title"}
    return [(tag, tuple(found)) for tag, found in Tree(text).elements if tag not in drawn]


def hostile(name: str) -> Incident:
    """The same name in every place where somebody else's text may stand."""
    made = records.decision(
        id=name,
        node=name,
        domain=name,
        trigger=name,
        reason=name,
        policy=name,
        summary=name,
        victim=DecidedVictim(id=name, namespace=name, pod=name, pod_uid=name, name=name, workload=name, cgroup=name),
        candidates=(
            DecidedCandidate(id=name, title=name, score=853, badness=0.9, qos=name, owner_kind=name),
            DecidedCandidate(id="other", title=name, score=1, badness=0.1, excluded=name),
        ),
        factors={name: records.decision().spec.factors["memory"], "memory": records.decision().spec.factors["memory"]},
        timing={name: 0.001, "acted": 0.002},
        not_done_because=name,
    )
    pod = PodNow(name=name, namespace=name, phase=name or "?", container_state=name or "?", node=name, restarts=1)
    event = Happening(at=records.TAKEN_AT, reason=name, message=name, kind="Warning", source=name)
    return Incident(decision=made, pod=pod, events=(event,), made_at=records.MADE_AT)


@pytest.mark.parametrize("kind", KINDS)
def test_every_element_is_closed_and_every_id_is_there_once(kind: str) -> None:
    tree = Tree(PAGES[kind])
    assert tree.open == []
    ids = [attributes["id"] for _, attributes in tree.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    wanted = {attributes["href"] for attributes in tree.named("a") if (attributes["href"] or "").startswith("#")}
    assert {f"#{name}" for name in ids} >= wanted
    labels = " ".join(attributes.get("aria-labelledby") or "" for _, attributes in tree.elements).split()
    assert set(ids) >= set(labels)


@pytest.mark.parametrize("kind", KINDS)
def test_it_asks_for_nothing(kind: str) -> None:
    tree = Tree(PAGES[kind])
    assert not {"script", "link", "img", "iframe", "object", "embed", "form", "base"} & {
        tag for tag, _ in tree.elements
    }
    for _, attributes in tree.elements:
        assert not [
            name for name in attributes if name.startswith("on") or name in ("src", "srcset", "style", "action")
        ]
        href = attributes.get("href") or "#"
        assert href.startswith(("#", "data:application/json;base64,"))
    assert "url(" not in PAGES[kind]
    assert "@import" not in PAGES[kind]


def test_it_forbids_itself_everything_but_its_own_style() -> None:
    tree = Tree(PAGES["killed"])
    (policy,) = (one["content"] for one in tree.named("meta") if one.get("http-equiv") == "Content-Security-Policy")
    (style,) = re.findall(r"<style>(.*?)</style>", PAGES["killed"], re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


@pytest.mark.parametrize("kind", KINDS)
def test_headings_are_in_order_and_tables_have_heads(kind: str) -> None:
    tree = Tree(PAGES[kind])
    levels = [int(tag[1]) for tag, _ in tree.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert all("scope" in attributes for attributes in tree.named("th"))
    assert len(tree.named("summary")) == len(tree.named("details"))
    assert tree.named("html") == [{"lang": "en"}]
    drawn = [one for one in tree.named("svg") if one.get("aria-hidden") != "true"]
    assert all(one["role"] == "img" and one["aria-labelledby"] for one in drawn)


@pytest.mark.row("G3")
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_record_is_told_with_its_sentence(kind: str) -> None:
    text = " ".join("".join(Tree(PAGES[kind]).texts).split())
    spec = KINDS[kind].decision.spec
    assert spec.reason in text
    assert spec.node in text
    assert (spec.not_done_because or "") in text
    assert ("It was not chosen by a score" in text) == (not spec.factors)
    assert ("This record has no timeline" in text) == (not KINDS[kind].timeline)
    if spec.mode == "Observe":
        assert "only observed" in text


def test_a_victim_without_a_pod_and_a_report_without_a_cluster_say_so() -> None:
    assert "could not be mapped to a pod" in PAGES["unmapped"]
    assert "nobody was asked how the pod is now" in PAGES["old"]
    assert "was gone, or on its way out" in PAGES["evicted"]
    assert "No Events about it are left" in PAGES["not evicted"]


def test_the_words_that_are_linked_are_explained() -> None:
    assert 'href="#word-badness"' in PAGES["killed"]
    assert "Badness" in GLOSSARY


@pytest.mark.parametrize("kind", KINDS)
def test_the_data_is_the_incident_exactly(kind: str) -> None:
    assert msgspec.json.decode(raw(KINDS[kind]), type=Incident) == KINDS[kind]
    (link,) = (one for one in Tree(PAGES[kind]).named("a") if "download" in one)
    head, _, packed = (link["href"] or "").partition(",")
    assert head == "data:application/json;base64"
    assert base64.b64decode(packed).decode() == raw(KINDS[kind])


@given(names)
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_name_is_more_than_a_name(name: str) -> None:
    assume(name not in KNOWN)
    attacked = page(hostile(name))
    tree = Tree(attacked)
    assert tree.open == []
    assert shape(attacked) == shape(page(hostile(re.sub("[^/]", "x", name))))
    assert not {"script", "iframe", "img"} & {tag for tag, _ in tree.elements}
    assert not [key for _, attributes in tree.elements for key in attributes if key.startswith("on")]
    assert all(character.isprintable() or character == "\n" for character in attacked)


@given(names)
@settings(deadline=None)
def test_the_data_is_exact_and_harmless_whatever_the_name(name: str) -> None:
    text = raw(hostile(name))
    assert all(character.isprintable() or character == "\n" for character in text)
    assert json.loads(text) == json.loads(msgspec.json.encode(hostile(name)))


def test_a_longest_name_is_whole_in_the_facts_and_cut_in_the_heading() -> None:
    text = page(hostile("a" * 4000))
    (heading,) = re.findall(r"<h1[^>]*>(.*?)</h1>", text)
    assert len(re.sub("<.*?>", "", heading)) < 150
    assert "a" * 4000 in text


def test_the_page_is_small() -> None:
    """It is mailed and attached to tickets."""
    assert len(PAGES["killed"].encode()) < 200_000


def test_jinja_is_imported_for_a_page_only() -> None:
    import subprocess
    import sys

    code = "import sys, memguard.cli.app, memguard.cli.incident.page; print('jinja2' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "False\n"
