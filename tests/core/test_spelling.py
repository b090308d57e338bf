"""What others named, in JSON of ours."""

from __future__ import annotations

import json

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from memguard.core.spelling import encode, harmless

documents = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 53), 1 << 53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(documents)
def test_it_is_exact_one_line_and_printable(document: object) -> None:
    line = encode(document)
    assert line.decode().isprintable()
    assert json.loads(line) == document


def test_letters_stay_letters() -> None:
    assert encode({"a": "ä漢"}) == msgspec.json.encode({"a": "ä漢"})


def test_what_is_no_text_has_its_bytes_written_out() -> None:
    assert json.loads(encode({"a": ["\udcff", 1], "\udcfe": ({},)})) == {"a": ["\\udcff", 1], "\\udcfe": [{}]}


def test_so_it_is_in_a_record() -> None:
    class Named(msgspec.Struct):
        name: str

    assert json.loads(encode({"victim": Named("\udcff")})) == {"victim": {"name": "\\udcff"}}


def test_lines_stay_lines() -> None:
    assert harmless('{\n  "a": "\u202e"\n}') == '{\n  "a": "\\u202e"\n}'
