"""The connection of a kubeconfig, for tests and for people: token, token file or client certificate.

A kubeconfig is YAML; the agent's image has no parser for it and needs none.
"""

from __future__ import annotations

import base64
import binascii
import os
import ssl
import tempfile
from typing import Any, TypeVar

import msgspec

from memguard.errors import ConfigError, problem_and_field
from memguard.kube.connection import Connection, FixedToken, Token, TokenFile, read_pem, tls_context

N = TypeVar("N", "_NamedCluster", "_NamedContext", "_NamedUser")


class _Part(msgspec.Struct, frozen=True, kw_only=True, rename="kebab"):
    """Part of a kubeconfig."""


class _Cluster(_Part, frozen=True, kw_only=True):
    server: str
    certificate_authority: str | None = None
    certificate_authority_data: str | None = None
    insecure_skip_tls_verify: bool = False


class _User(_Part, frozen=True, kw_only=True):
    token: str | None = None
    token_file: str | None = msgspec.field(default=None, name="tokenFile")
    client_certificate: str | None = None
    client_certificate_data: str | None = None
    client_key: str | None = None
    client_key_data: str | None = None
    exec: Any = None
    auth_provider: Any = None


class _Context(_Part, frozen=True, kw_only=True):
    cluster: str
    user: str


class _NamedCluster(_Part, frozen=True, kw_only=True):
    name: str
    cluster: _Cluster


class _NamedUser(_Part, frozen=True, kw_only=True):
    name: str
    user: _User


class _NamedContext(_Part, frozen=True, kw_only=True):
    name: str
    context: _Context


class _Kubeconfig(_Part, frozen=True, kw_only=True):
    clusters: tuple[_NamedCluster, ...] = ()
    users: tuple[_NamedUser, ...] = ()
    contexts: tuple[_NamedContext, ...] = ()
    current_context: str = ""


def read_kubeconfig(path: str, context: str | None = None) -> Connection:
    """The connection of one context, the current one by default. Raises ConfigError, also for what would be unsafe."""
    config = _load(path)
    chosen = _named(path, "contexts", config.contexts, context or config.current_context).context
    cluster = _named(path, "clusters", config.clusters, chosen.cluster).cluster
    user = _named(path, "users", config.users, chosen.user).user
    _check(path, chosen, cluster, user)
    paths = _Paths(path)
    token = _token(paths, user)
    if cluster.server.startswith("http://"):
        return Connection(cluster.server, token=token)
    return Connection(cluster.server, tls=lambda: _tls(paths, chosen, cluster, user), token=token)


def _load(path: str) -> _Kubeconfig:
    try:
        import yaml
    except ImportError:
        remedy = "Install memguard[cli], or run in a pod, where none is needed."
        raise ConfigError(path, "a kubeconfig is YAML, and pyyaml is not installed", remedy=remedy) from None
    try:
        with open(path, encoding="utf-8") as file:
            return msgspec.convert(yaml.safe_load(file), _Kubeconfig)
    except msgspec.ValidationError as error:
        problem, field = problem_and_field(error)
        remedy = "Compare with `kubectl config view`."
        raise ConfigError(path, problem, remedy=remedy, field=field or None) from None
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:  # a day that is none is a ValueError
        text = " ".join(str(error).split())
        raise ConfigError(path, f"cannot be read ({text})", remedy="Give the path of a kubeconfig.") from None


def _named(path: str, section: str, entries: tuple[N, ...], name: str) -> N:
    for entry in entries:
        if entry.name == name:
            return entry
    there = ", ".join(entry.name for entry in entries) or "none"
    problem = f"there is no {name!r}" if name else "no context is current"
    raise ConfigError(path, problem, remedy=f"There are: {there}.", field=section)


def _check(path: str, chosen: _Context, cluster: _Cluster, user: _User) -> None:
    """Refuse what would be unsafe, or would not work."""
    where = f"clusters[{chosen.cluster}]"
    if not cluster.server.startswith(("https://", "http://")):
        raise ConfigError(path, "the server is no URL", remedy="It begins with https://.", field=f"{where}.server")
    if cluster.insecure_skip_tls_verify:
        remedy = "Give certificate-authority-data."
        raise ConfigError(path, "TLS is not verified", remedy=remedy, field=f"{where}.insecure-skip-tls-verify")
    if cluster.server.startswith("http://") and (user.token or user.token_file):
        problem = "a token would be sent in the clear"
        raise ConfigError(path, problem, remedy="Use https.", field=f"{where}.server")
    if user.exec is not None or user.auth_provider is not None:
        remedy = "Give a token (`kubectl create token`) or a client certificate."
        raise ConfigError(path, "programs that log in are not started", remedy=remedy, field=f"users[{chosen.user}]")


class _Paths:
    """Paths in a kubeconfig are relative to it."""

    def __init__(self, kubeconfig: str) -> None:
        self.kubeconfig = kubeconfig

    def full(self, path: str) -> str:
        return os.path.join(os.path.dirname(self.kubeconfig), path)

    def pem(self, data: str | None, path: str | None, field: str) -> str | None:
        """The PEM text that is in the kubeconfig itself, or in a file."""
        if data is not None:
            try:
                return base64.b64decode(data, validate=True).decode()
            except (binascii.Error, UnicodeDecodeError) as error:
                remedy = "It is PEM in base64."
                raise ConfigError(self.kubeconfig, str(error), remedy=remedy, field=field) from None
        return None if path is None else read_pem(self.full(path))


def _token(paths: _Paths, user: _User) -> Token | None:
    if user.token:
        return FixedToken(user.token)
    return TokenFile(paths.full(user.token_file)) if user.token_file else None


def _tls(paths: _Paths, chosen: _Context, cluster: _Cluster, user: _User) -> ssl.SSLContext:
    context = _verifying(paths, f"clusters[{chosen.cluster}]", cluster)
    where = f"users[{chosen.user}]"
    certificate = paths.pem(user.client_certificate_data, user.client_certificate, f"{where}.client-certificate-data")
    key = paths.pem(user.client_key_data, user.client_key, f"{where}.client-key-data")
    if certificate is not None:
        _identify(context, certificate, key or "", paths.kubeconfig, where)
    return context


def _verifying(paths: _Paths, where: str, cluster: _Cluster) -> ssl.SSLContext:
    field = f"{where}.certificate-authority-data"
    ca = paths.pem(cluster.certificate_authority_data, cluster.certificate_authority, field)
    if ca is None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_default_certs()
        return context
    return tls_context(ca, paths.kubeconfig)


def _identify(context: ssl.SSLContext, certificate: str, key: str, source: str, where: str) -> None:
    """Show this certificate. The ssl module reads it from a file only: one that nobody else can, and not for long."""
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
        file.write(f"{certificate}\n{key}")
        file.flush()
        try:
            context.load_cert_chain(file.name)
        except ssl.SSLError as error:
            remedy = "Certificate and key are PEM and belong together."
            raise ConfigError(
                source, f"the client certificate is not taken ({error})", remedy=remedy, field=where
            ) from None
