"""Where the API server is and who we are to it.

kubelet renews a pod's token long before it ends, and a CA can be replaced while we run: both are read again, the token
each minute, and both when the server does not accept us or we do not accept it.
"""

from __future__ import annotations

import os
import ssl
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from http.client import HTTPConnection, HTTPSConnection
from typing import Protocol
from urllib.parse import urlsplit

from memguard.errors import ConfigError

SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
#: kubelet renews a token at 80 % of its hour: a minute later than that is still early.
TOKEN_SECONDS = 60.0


class Token(Protocol):
    """Who we are, as a bearer token."""

    def read(self) -> str:
        """The token to send now."""
        ...

    def other_than(self, refused: str) -> str | None:
        """This one was not accepted: is there another by now?"""
        ...


class FixedToken:
    """A token that somebody wrote into a kubeconfig."""

    def __init__(self, token: str) -> None:
        self._token = token

    def read(self) -> str:
        """The token."""
        return self._token

    def other_than(self, refused: str) -> str | None:  # noqa: ARG002 - what every token can be asked
        """There is no other."""
        return None


class TokenFile:
    """A token in a file that is replaced from time to time; the last good one stays in use while it is unreadable."""

    def __init__(self, path: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._token = ""
        self._read_at = 0.0

    def read(self) -> str:
        """The token, at most a minute old. Raises ConfigError when there never was one."""
        if not self._token or self._clock() - self._read_at >= TOKEN_SECONDS:
            self._load()
        return self._token

    def other_than(self, refused: str) -> str | None:
        """What the file holds now, if that is another one; another thread may have read it meanwhile."""
        if self._token == refused:
            self._load()
        return self._token if self._token != refused else None

    def _load(self) -> None:
        try:
            with open(self._path, encoding="ascii") as file:
                token = file.read().strip()
        except (OSError, UnicodeDecodeError) as error:
            token, problem = "", str(error)
        else:
            problem = "the token file is empty"
        if not token and not self._token:
            remedy = "Mount the service account's token, or give a kubeconfig."
            raise ConfigError(self._path, problem, remedy=remedy)
        self._token = token or self._token
        self._read_at = self._clock()


class Connection:
    """Opens connections to one API server. Raises ConfigError when token or CA cannot be read: at once, not later.

    `tls` makes the context, again after a certificate was not accepted; None for a server without TLS.
    """

    def __init__(
        self, server: str, *, tls: Callable[[], ssl.SSLContext] | None = None, token: Token | None = None
    ) -> None:
        url = urlsplit(server)
        if not url.hostname or (url.scheme, tls is None) not in {("https", False), ("http", True)}:
            raise ValueError(f"{server}: https with TLS or http without is what can be spoken")
        self.server = server
        self.prefix = url.path.rstrip("/")
        self._host = url.hostname
        self._port = url.port or (443 if tls else 80)
        self._tls = tls
        self._context = tls() if tls else None
        self._token = token
        self.token()

    def open(self, timeout_seconds: float) -> HTTPConnection:
        """A new connection, TLS and all. Raises OSError."""
        if self._context is None:
            connection = HTTPConnection(self._host, self._port, timeout=timeout_seconds)
        else:
            connection = HTTPSConnection(self._host, self._port, timeout=timeout_seconds, context=self._context)
        try:
            connection.connect()
        except ssl.SSLCertVerificationError:
            self._read_ca_again()
            raise
        return connection

    def _read_ca_again(self) -> None:
        """For the next attempt; a CA that cannot be read just now does not take the old one away."""
        with suppress(ConfigError):
            self._context = self._tls() if self._tls else None

    def token(self) -> str | None:
        """Who we are; None for nobody."""
        return self._token.read() if self._token else None

    def token_other_than(self, refused: str | None) -> str | None:
        """We were not accepted: who else are we by now?"""
        return self._token.other_than(refused) if self._token and refused else None


def tls_context(ca: str, source: str) -> ssl.SSLContext:
    """A context that trusts this CA (PEM) and nothing else. Raises ConfigError naming `source`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cadata=ca)
    except (ssl.SSLError, ValueError) as error:
        remedy = "It is to hold the cluster's CA in PEM form."
        raise ConfigError(source, f"no certificate can be read ({error})", remedy=remedy) from None
    return context


def read_pem(path: str) -> str:
    """A file with certificates or keys. Raises ConfigError."""
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(path, f"cannot be read ({error})", remedy="Check the file and its permissions.") from None


def in_cluster(environ: Mapping[str, str] = os.environ, root: str = SERVICE_ACCOUNT) -> Connection:
    """The connection that every pod with a service account has. Raises ConfigError outside of a cluster."""
    host, port = environ.get("KUBERNETES_SERVICE_HOST"), environ.get("KUBERNETES_SERVICE_PORT", "443")
    if not host:
        remedy = "Run in a pod, or give a kubeconfig."
        raise ConfigError("environment", "KUBERNETES_SERVICE_HOST is not set", remedy=remedy)
    if ":" in host:
        host = f"[{host}]"
    ca_file = os.path.join(root, "ca.crt")
    token = TokenFile(os.path.join(root, "token"))
    return Connection(f"https://{host}:{port}", tls=lambda: tls_context(read_pem(ca_file), ca_file), token=token)
