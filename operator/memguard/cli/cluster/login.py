"""Who we are to which cluster: as kubectl finds it, with the kubernetes package doing what kubectl does.

Contexts, exec plugins, OIDC, client certificates, proxies: all of that is the package's. Here its troubles, some of
which it only logs, become one line with a remedy.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any, NamedTuple

from memguard.cli.cluster.impersonation import impersonation
from memguard.cli.cluster.transport import Urllib3Transport
from memguard.errors import MemguardError
from memguard.kube.client import Client
from memguard.kube.connection import SERVICE_ACCOUNT, in_cluster
from memguard.kube.wire import Wire

USUAL_PLACE = "~/.kube/config"
NOWHERE = (
    "there is no kubeconfig. Give one with --kubeconfig FILE or in $KUBECONFIG, or let your cluster's tool write one."
)


class Login(NamedTuple):
    """A cluster that can be asked, and the namespace that its context is in."""

    client: Client
    namespace: str = "default"


class Access(NamedTuple):
    """Which cluster a command line names, and whom to be there; what is None is as the kubeconfig says."""

    kubeconfig: str | None = None
    context: str | None = None
    as_user: str | None = None
    as_groups: Sequence[str] | None = None


def log_in(access: Access) -> Login:
    """The cluster of this kubeconfig's context; without any kubeconfig that of the pod that this runs in.

    Raises MemguardError where there is none or nobody can log in.
    """
    kubeconfig = access.kubeconfig
    files = kubeconfig or os.environ.get("KUBECONFIG") or USUAL_PLACE
    if any(os.path.exists(os.path.expanduser(file)) for file in files.split(os.pathsep) if file):
        return _from_files(files, access)
    if kubeconfig:
        raise MemguardError(f"{kubeconfig}: there is no such file. Give the path of a kubeconfig.")
    if "KUBERNETES_SERVICE_HOST" in os.environ:
        if access.as_user or access.as_groups:
            raise MemguardError("--as needs a kubeconfig: a pod's own service account impersonates nobody here.")
        return Login(Client(Wire(in_cluster())), _own_namespace())
    raise MemguardError(NOWHERE)


def _own_namespace() -> str:
    """Of the pod that this runs in."""
    try:
        with open(f"{SERVICE_ACCOUNT}/namespace", encoding="utf-8") as file:
            return file.read().strip() or "default"
    except OSError:
        return "default"


def context_names(kubeconfig: str | None = None) -> list[str]:
    """Of a kubeconfig. Raises MemguardError."""
    from kubernetes import config

    files = kubeconfig or os.environ.get("KUBECONFIG") or USUAL_PLACE
    with _said_in_one_line(files):
        contexts, _ = config.list_kube_config_contexts(files)  # type: ignore[no-untyped-call]
        return [one["name"] for one in contexts]


def _from_files(files: str, access: Access) -> Login:
    from kubernetes import client, config

    configuration = client.Configuration()
    with _said_in_one_line(files):
        chosen = _chosen(config, files, access.context)
        config.load_kube_config(  # type: ignore[no-untyped-call]
            files, chosen["name"], client_configuration=configuration
        )
        pool = client.ApiClient(configuration).rest_client.pool_manager
        whom = impersonation(_user(files, chosen["context"]["user"]), access.as_user, access.as_groups or ())
    transport = Urllib3Transport(configuration, pool, whom.headers)
    return Login(Client(transport), chosen["context"].get("namespace") or "default")


def _user(files: str, name: str) -> Any:
    """The user of this name, as the files together say."""
    from kubernetes.config.kube_config import KubeConfigMerger

    users = KubeConfigMerger(files).config["users"]  # type: ignore[no-untyped-call]
    return users.get_with_name(name)["user"].value


def _chosen(config: Any, files: str, name: str | None) -> dict[str, Any]:
    """The context of this name, or the current one."""
    contexts, current = config.list_kube_config_contexts(files)
    if name is None:
        chosen: dict[str, Any] = current
        return chosen
    found = next((one for one in contexts if one["name"] == name), None)
    if found is None:
        names = [one["name"] for one in contexts]
        near = get_close_matches(name, names, n=3, cutoff=0.3) or names[:5]
        raise MemguardError(f"{files}: there is no context {name!r}. There are for example {', '.join(near)}.")
    return dict(found)


@contextmanager
def _said_in_one_line(files: str) -> Iterator[None]:
    """What the package raises, and what it only logs: that an exec plugin failed it does not raise."""
    import yaml
    from kubernetes.config import ConfigException

    heard = _Heard()
    logger = logging.getLogger()
    logger.addHandler(heard)
    try:
        yield
    except (ConfigException, yaml.YAMLError, OSError, TypeError, ValueError, AttributeError) as error:
        remedy = "Compare with `kubectl config view`, and try `kubectl get nodes`."
        raise MemguardError(f"{files}: {_line(error)}. {remedy}") from None
    finally:
        logger.removeHandler(heard)
    if heard.words:
        remedy = "Does `kubectl get nodes` work? The program that logs you in is named in the kubeconfig."
        raise MemguardError(f"{files}: nobody could be logged in ({'; '.join(heard.words)}). {remedy}")


class _Heard(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.words: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.words.append(_line(record.getMessage()))


def _line(words: object) -> str:
    return " ".join(str(words).split()).rstrip(".")
