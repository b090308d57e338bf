"""Where the API server is, who we are, and how both change while we run."""

from __future__ import annotations

from pathlib import Path

import pytest

from memguard.errors import ConfigError
from memguard.kube.connection import TOKEN_SECONDS, Connection, FixedToken, TokenFile, in_cluster, tls_context

#: Nobody has its key.
CA = """\
-----BEGIN CERTIFICATE-----
MIIBdTCCARugAwIBAgIUO6N4ykG/G0mOu4IiL3ZJiMTS1vUwCgYIKoZIzj0EAwIw
DzENMAsGA1UEAwwEdGVzdDAgFw0yNjExMjgxODUyMDFaGA8yMTI2MTEwNDE4NTIw
MVowDzENMAsGA1UEAwwEdGVzdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABLas
zOorWTgztVtHLqL02xKD7Ti0vNIfh8ABM+I1sfag/pYB3t5M5Hsje5+WJ+qD0RD7
p5RMe59EkvQw9VJhBBejUzBRMB0GA1UdDgQWBBQACYqI3McmU/IqQhIVaBJ7j15c
EzAfBgNVHSMEGDAWgBQACYqI3McmU/IqQhIVaBJ7j15cEzAPBgNVHRMBAf8EBTAD
AQH/MAoGCCqGSM49BAMCA0gAMEUCIQDlBOmNB0hLmO4mG0l5ZUOWzdmn4pbpddae
yG2QHa9rVQIgexRxA8ciWmM9Z2WyjJvZhA7DKxILDjuz9stV5J1wlkI=
-----END CERTIFICATE-----
"""
CLUSTER = {"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443"}


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text("first\n")
    return path


def test_a_token_is_read_again_each_minute(file: Path) -> None:
    clock = Clock()
    token = TokenFile(str(file), clock=clock)
    assert token.read() == "first"
    file.write_text("second")
    clock.seconds = TOKEN_SECONDS - 1
    assert token.read() == "first"
    clock.seconds = TOKEN_SECONDS
    assert token.read() == "second"


def test_a_token_that_is_not_accepted_is_read_again_at_once(file: Path) -> None:
    token = TokenFile(str(file), clock=Clock())
    assert token.read() == "first"
    assert token.other_than("first") is None
    file.write_text("second")
    assert token.other_than("first") == "second"
    assert token.other_than("first") == "second"  # a second thread's that was refused, too
    assert token.read() == "second"


@pytest.mark.parametrize("content", [None, b"", b" \n", b"\xff"])
def test_a_token_file_that_breaks_leaves_the_last_token(file: Path, content: bytes | None) -> None:
    clock = Clock()
    token = TokenFile(str(file), clock=clock)
    assert token.read() == "first"
    file.unlink() if content is None else file.write_bytes(content)
    clock.seconds = TOKEN_SECONDS
    assert token.read() == "first"
    file.write_text("second")
    assert token.read() == "first"
    clock.seconds += TOKEN_SECONDS
    assert token.read() == "second"


@pytest.mark.parametrize(
    ("content", "problem"), [(None, "No such file"), (b"\n", "the token file is empty"), (b"\xff", "can't decode")]
)
def test_no_token_ever_is_said(file: Path, content: bytes | None, problem: str) -> None:
    file.unlink() if content is None else file.write_bytes(content)
    with pytest.raises(ConfigError, match=rf"{file}: .*{problem}.* Mount the service account's token"):
        TokenFile(str(file)).read()


def test_a_pod_knows_its_server(file: Path) -> None:
    (file.parent / "ca.crt").write_text(CA)
    connection = in_cluster(CLUSTER, str(file.parent))
    assert connection.server == "https://10.96.0.1:443"
    assert connection.token() == "first"
    assert in_cluster({"KUBERNETES_SERVICE_HOST": "fd00::1"}, str(file.parent)).server == "https://[fd00::1]:443"


def test_outside_of_a_cluster_that_is_said() -> None:
    with pytest.raises(ConfigError, match=r"KUBERNETES_SERVICE_HOST is not set\. Run in a pod, or give a kubeconfig"):
        in_cluster({})


def test_a_ca_that_is_missing_is_named(file: Path) -> None:
    with pytest.raises(ConfigError, match=rf"{file.parent}/ca.crt: cannot be read .*Check the file"):
        in_cluster(CLUSTER, str(file.parent))


def test_a_token_that_is_missing_is_named(file: Path) -> None:
    (file.parent / "ca.crt").write_text(CA)
    file.unlink()
    with pytest.raises(ConfigError, match=rf"{file}: .*No such file"):
        in_cluster(CLUSTER, str(file.parent))


@pytest.mark.parametrize("ca", ["", "no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_a_ca_that_is_none_is_named(ca: str) -> None:
    with pytest.raises(ConfigError, match=r"ca\.crt: no certificate can be read .*in PEM form"):
        tls_context(ca, "ca.crt")


@pytest.mark.parametrize("server", ["10.96.0.1:443", "https://", "ftp://a", "https://a"])
def test_a_server_that_cannot_be_spoken_to_is_refused(server: str) -> None:
    with pytest.raises(ValueError, match="https with TLS or http without"):
        Connection(server)


def test_without_a_token_we_are_nobody() -> None:
    nobody = Connection("http://127.0.0.1")
    assert nobody.token() is None
    assert nobody.token_other_than(None) is None
    assert Connection("http://127.0.0.1", token=FixedToken("x")).token_other_than("x") is None
