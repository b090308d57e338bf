"""Kubeconfigs as people write them: what is wrong is named with file, field and remedy."""

from __future__ import annotations

import base64
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from memguard.errors import ConfigError
from memguard.kube.kubeconfig import read_kubeconfig

Part = dict[str, object]


def config(cluster: Part | None = None, user: Part | None = None, **changes: object) -> Part:
    return {
        "clusters": [{"name": "c", "cluster": {"server": "https://10.0.0.1:6443", **(cluster or {})}}],
        "users": [{"name": "u", "user": {"token": "secret"} if user is None else user}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
        **changes,
    }


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "kubeconfig"


def write(file: Path, content: object) -> str:
    file.write_text(yaml.safe_dump(content))
    return str(file)


def test_the_current_context_says_where_and_who(file: Path) -> None:
    connection = read_kubeconfig(write(file, config()))
    assert connection.server == "https://10.0.0.1:6443"
    assert connection.token() == "secret"


def test_another_context_is_taken_by_name(file: Path) -> None:
    contexts = [{"name": "y", "context": {"cluster": "c", "user": "u", "namespace": "shop"}}]
    path = write(file, config(contexts=contexts))
    assert read_kubeconfig(path, "y").server == "https://10.0.0.1:6443"
    with pytest.raises(ConfigError, match=r"there is no 'x' at contexts\. There are: y\."):
        read_kubeconfig(path)


def test_a_token_file_is_relative_to_the_kubeconfig(file: Path) -> None:
    (file.parent / "token").write_text("fresh")
    path = write(file, config(user={"tokenFile": "token"}))
    assert read_kubeconfig(path).token() == "fresh"


def test_what_is_unsafe_is_refused(file: Path) -> None:
    unverified = write(file, config({"insecure-skip-tls-verify": True}))
    with pytest.raises(ConfigError, match=r"TLS is not verified at clusters\[c\]\.insecure-skip-tls-verify"):
        read_kubeconfig(unverified)
    clear = write(file, config({"server": "http://10.0.0.1"}))
    with pytest.raises(ConfigError, match=r"a token would be sent in the clear at clusters\[c\]\.server"):
        read_kubeconfig(clear)
    nobody = write(file, config({"server": "http://10.0.0.1"}, user={}))
    assert read_kubeconfig(nobody).token() is None


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([], r"Expected `object`, got `array`\. Compare with"),
        (
            config(users=[{"name": "u", "user": {"token": 7}}]),
            r"got `int` at \$\.users\[0\]\.user\.token\. Compare",
        ),
        (config(clusters=[{"name": "c", "cluster": {}}]), r"required field `server` at \$\.clusters\[0\]\.cluster\."),
        ({}, r"no context is current at contexts\. There are: none\."),
        (config(users=[]), r"there is no 'u' at users\. There are: none\."),
        (config(clusters=[]), r"there is no 'c' at clusters\. There are: none\."),
        (config({"server": "10.0.0.1"}), r"the server is no URL at clusters\[c\]\.server\. It begins with https"),
        (
            config(user={"exec": {"command": "aws"}}),
            r"programs that log in are not started at users\[u\]\. Give",
        ),
        (config(user={"auth-provider": {}}), r"programs that log in are not started at users\[u\]\. Give"),
    ],
)
def test_what_is_wrong_is_named(file: Path, content: object, words: str) -> None:
    with pytest.raises(ConfigError, match=rf"^{file}: .*{words}"):
        read_kubeconfig(write(file, content))


@pytest.mark.parametrize(
    ("cluster", "user", "words"),
    [
        ({"certificate-authority-data": "?"}, None, r"at clusters\[c\]\.certificate-authority-data\. It is PEM"),
        ({"certificate-authority-data": "Q0E="}, None, r"no certificate can be read"),
        ({"certificate-authority": "missing.crt"}, None, r"missing\.crt: cannot be read"),
        ({}, {"client-certificate": "missing.crt"}, r"missing\.crt: cannot be read"),
        (
            {},
            {"client-certificate-data": base64.b64encode(b"no PEM").decode()},
            r"the client certificate is not taken .* at users\[u\]\. Certificate and key are PEM",
        ),
    ],
)
def test_certificates_that_are_none_are_named(file: Path, cluster: Part, user: Part | None, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        read_kubeconfig(write(file, config(cluster, user)))


def test_a_file_that_is_missing_is_named(file: Path) -> None:
    with pytest.raises(ConfigError, match=rf"{file}: cannot be read .*Give the path of a kubeconfig"):
        read_kubeconfig(str(file))


def test_without_a_yaml_parser_that_is_said(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(ConfigError, match=r"pyyaml is not installed\. Install memguard\[cli\]"):
        read_kubeconfig(str(file))


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_in_one_way(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "any"
    file.write_bytes(data)
    with pytest.raises(ConfigError, match=str(file)):
        read_kubeconfig(str(file))
