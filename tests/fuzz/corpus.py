"""Nasty inputs that are kept: every parser meets all of them first, and then good ones that chance has spoilt.

What once broke a parser is added here, whoever's it was.
"""

from __future__ import annotations

import json
from typing import Final

DEEP: Final = 100_000

NASTY: Final[dict[str, bytes]] = {
    "nothing": b"",
    "a line end": b"\n",
    "blanks": b" \t \r\n \n",
    "a zero byte": b"\0",
    "all bytes": bytes(range(256)),
    "no UTF-8": b"\xff\xfe\xfd",
    "half a letter": "ä".encode()[:1],
    "a surrogate": b"\xed\xa0\x80",
    "a byte order mark": b"\xef\xbb\xbf{}",
    "control characters": b"\x1b[2J\x1b]0;x\x07\x08\x7f",
    "the other way round": "\u202eabc\u2066".encode(),
    "null": b"null",
    "true": b"true",
    "minus": b"-",
    "minus one": b"-1",
    "no number": b"NaN",
    "endless": b"1e999",
    "digits": b"9" * 5000,
    "digits with a sign": b"-" + b"9" * 5000,
    "a large exponent": b"1e99999999",
    "underscores": b"1_0",
    "other digits": "١٢٣".encode(),
    "an empty object": b"{}",
    "an empty list": b"[]",
    "a string": b'"x"',
    "half a string": b'"x',
    "a lone surrogate, escaped": b'{"a": "\\ud800"}',
    "half an object": b'{"a": 1',
    "an object twice": b"{}{}",
    "the same key twice": b'{"metadata": {}, "metadata": 7}',
    "deep lists": b"[" * DEEP,
    "deep lists that end": b"[" * DEEP + b"]" * DEEP,
    "deep objects": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "deep in a field": b'{"metadata": {"name": "x"}, "spec": {"a": ' + b"[" * DEEP + b"]" * DEEP + b"}}",
    "deep flow": b"{a: " * 2000 + b"}" * 2000,
    "deep blocks": b"".join(b" " * depth + b"a:\n" for depth in range(500)),
    "an alias bomb": b"a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n",
    "an alias to itself": b"&a [*a]\n",
    "a merge of nothing": b"<<: 7\n",
    "a tag": b"!!python/object/apply:os.system ['true']\n",
    "binary that is none": b"a: !!binary '***'\n",
    "a set, a time, an endless number": b"a: !!set {x}\nb: 2026-11-30\nc: .inf\n",
    "no such day": b"a: 2026-99-99\n",
    "no such time": b"a: 2026-01-01T99:99:99Z\n",
    "base sixty": b"a: 190:20:30\n",
    "many digits, in YAML": b"a: " + b"9" * 5000 + b"\n",
    "a list as a key": b"? [a]\n: b\n",
    "two documents": b"---\na: 1\n---\nb: 2\n",
    "a table twice": b"[a]\n[a]\n",
    "a key twice": b"a = 1\na = 2\n",
    "a table of a number": b"a = 1\n[a.b]\n",
    "no such day, in TOML": b"a = 2026-99-99\n",
    "many digits, in TOML": b"a = " + b"9" * 5000 + b"\n",
    "half a length": b"\x00\x00",
    "a length of nothing": b"\x00\x00\x00\x00",
    "the largest length": b"\xff\xff\xff\xff{}",
    "no such type": b'{"type": "nothing"}',
    "a type that is none": b'{"type": 7}',
    "a moment that is none": json.dumps({"takenAt": "2026-99-99T00:00:00Z"}).encode(),
}
#: What is put into good inputs.
SHARDS: Final = (
    b"", b"\0", b"\n", b" ", b"-", b"-1", b"0", b"null", b"true", b"{}", b"[]", b'""', b'"', b"\\", b"\xff", b"1e999",
    b"9" * 25, b"9" * 5000, b"0.1", b"NaN",
    b"\xe2\x80\xae", b"\x1b[31m", b'"\\ud800"', b":", b",", b"[", b"{", b"]", b"}",
)  # fmt: skip
