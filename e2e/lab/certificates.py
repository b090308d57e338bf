"""Keys and certificates of one control plane, made with openssl: gone with its directory."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

from e2e.lab.cache import run

#: How a node's guest reaches the host's loopback (QEMU's user network), and the API server's cluster address.
HOST_SEEN_BY_NODE = "10.0.2.2"
SERVICE_ADDRESS = "10.96.0.1"
SERVER_NAMES = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")
SERVER_ADDRESSES = ("127.0.0.1", HOST_SEEN_BY_NODE, SERVICE_ADDRESS)
#: Valid before and after now, for nodes whose clock a test turns back or forward.
SPAN = dt.timedelta(days=30)
#: What `openssl ca` wants to know; it alone can date a certificate back.
SIGNING = """\
[ca]
default_ca = lab
[lab]
database = index.txt
new_certs_dir = .
rand_serial = yes
default_md = sha256
unique_subject = no
policy = any
copy_extensions = copyall
[any]
organizationName = optional
commonName = supplied
"""


@dataclass(frozen=True)
class Certificates:
    """PEM files in one directory."""

    directory: Path

    @property
    def authority(self) -> Path:
        """The CA's certificate: what clients trust, and what signs kubelet's clients."""
        return self.file("ca.crt")

    @property
    def service_account_key(self) -> Path:
        """The private key that signs service-account tokens."""
        return self.file("sa.key")

    def file(self, name: str) -> Path:
        """`NAME.crt` or `NAME.key` of "ca", "apiserver", "kubelet" (what kubelets serve with) and "kubelet-client"."""
        return self.directory / name

    def make(self) -> None:
        """Write all of them, where they are missing."""
        if self.service_account_key.exists():
            return
        self.directory.mkdir(parents=True, exist_ok=True)
        self.file("index.txt").touch()
        self.file("signing.cnf").write_text(SIGNING)
        self._issue("ca", "/CN=memguard-lab", "basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign")
        names = (*(f"DNS:{name}" for name in SERVER_NAMES), *(f"IP:{address}" for address in SERVER_ADDRESSES))
        self._issue("apiserver", "/CN=kube-apiserver", f"subjectAltName={','.join(names)}")
        # The API server does not look at names there: all kubelets share one.
        self._issue("kubelet", "/CN=kubelet", "extendedKeyUsage=serverAuth")
        # How the API server shows kubelets who it is; system:masters may do all there.
        client = "/O=system:masters/CN=kube-apiserver-kubelet-client"
        self._issue("kubelet-client", client, "extendedKeyUsage=clientAuth")
        # RS256 and not ECDSA: what every client library reads. The last one: all are there when this one is.
        self._openssl("genrsa", "-out", "sa.key", "2048")

    def _issue(self, name: str, subject: str, *extensions: str) -> None:
        """A key of its own for `name`, and a certificate signed by the CA; the CA signs itself."""
        key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", f"{name}.key")
        wanted = (word for extension in extensions for word in ("-addext", extension))
        self._openssl("req", "-new", *key, "-subj", subject, "-out", f"{name}.csr", *wanted)
        now = dt.datetime.now(dt.UTC)
        dates = ("-startdate", f"{now - SPAN:%Y%m%d%H%M%SZ}", "-enddate", f"{now + SPAN:%Y%m%d%H%M%SZ}")
        signer = ("-keyfile", "ca.key", *(("-selfsign",) if name == "ca" else ("-cert", "ca.crt")))
        files = ("-in", f"{name}.csr", "-out", f"{name}.crt", "-notext")
        self._openssl("ca", "-batch", "-config", "signing.cnf", *signer, *dates, *files)

    def _openssl(self, *command: str) -> None:
        run("openssl", *command, cwd=self.directory)
