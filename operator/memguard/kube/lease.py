"""One of several holds a lease, renews it, and gives it back when it goes.

The defaults fail over within the lease: client-go's 15 s cannot, since others only begin to count when they first see
it. Times in the lease are never compared with our clock: what counts is how long we have seen it unchanged.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from random import SystemRandom

from memguard.errors import AlreadyExistsError, ConflictError, KubeError, NotFoundError
from memguard.kube.client import Client
from memguard.kube.objects import Lease, LeaseSpec, ObjectMeta, micro_time
from memguard.kube.resources import LEASES

LEASE_SECONDS = 10
#: Whoever could not renew for so long stops acting, three seconds before another may begin.
RENEW_SECONDS = 7.0
RETRY_SECONDS = 2.0


class Elector:
    """Tries to hold the lease `namespace`/`name` as `identity`. `run` it in a thread of its own.

    Whoever acts asks `leading` each time: it turns false by itself when the lease could not be renewed in time. Give it
    a client of its own with a short timeout, so that a hanging request leaves time for another. `trouble` hears why one
    failed.
    """

    def __init__(
        self,
        client: Client,
        name: str,
        namespace: str,
        identity: str,
        *,
        trouble: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._name = name
        self._namespace = namespace
        self._identity = identity
        self._trouble, self._clock = trouble, clock
        self._stopped = threading.Event()
        self._renewed_at: float | None = None
        self._seen: tuple[str, float] = ("", 0.0)

    def leading(self) -> bool:
        """Do we hold it, and renewed it lately?"""
        renewed_at = self._renewed_at
        return renewed_at is not None and self._clock() - renewed_at < RENEW_SECONDS

    def stop(self) -> None:
        """End `run` soon."""
        self._stopped.set()

    def run(self) -> None:
        """Acquire, renew, and acquire again when it was lost; give it back at the end. Raises no KubeError."""
        while not self._stopped.is_set():
            try:
                self.step()
            except KubeError as error:
                self._trouble(str(error))
            self._stopped.wait(RETRY_SECONDS * SystemRandom().uniform(0.8, 1.2))
        self.release()

    def step(self) -> bool:
        """Try once; returns whether we hold it now. Raises KubeError, after which `leading` may still be true."""
        asked_at = self._clock()
        try:
            held = self._take(self._client.get(LEASES, self._name, self._namespace))
        except NotFoundError:
            held = self._create()
        self._renewed_at = asked_at if held else None
        return held

    def release(self) -> None:
        """Give it back, so that another need not wait; where that fails it runs out."""
        if not self.leading():
            return
        self._renewed_at = None
        try:
            lease = self._client.get(LEASES, self._name, self._namespace)
            if lease.spec.holder_identity == self._identity:
                self._write(lease, {"holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": self._micro_time()})
        except KubeError as error:
            self._trouble(str(error))

    def _take(self, lease: Lease) -> bool:
        spec = lease.spec
        ours = spec.holder_identity == self._identity
        if not ours and not self._free(lease):
            return False
        changes: dict[str, object] = {"renewTime": self._micro_time(), "leaseDurationSeconds": LEASE_SECONDS}
        if not ours:
            changes["holderIdentity"] = self._identity
            changes["acquireTime"] = changes["renewTime"]
            changes["leaseTransitions"] = spec.lease_transitions + 1
        try:
            self._write(lease, changes)
        except ConflictError:
            if ours:  # it is still ours: somebody changed something else of it
                raise
            return False
        return True

    def _free(self, lease: Lease) -> bool:
        """Has nobody it, or somebody who did not renew it as long as we have looked?"""
        if not lease.spec.holder_identity:
            return True
        version = lease.metadata.resource_version
        if version != self._seen[0]:
            self._seen = (version, self._clock())
        return self._clock() - self._seen[1] >= lease.spec.lease_duration_seconds

    def _write(self, lease: Lease, changes: dict[str, object]) -> None:
        """Change it only if it is still what was read."""
        body = {"metadata": {"resourceVersion": lease.metadata.resource_version}, "spec": changes}
        self._client.merge_patch(LEASES, self._name, body, self._namespace)

    def _create(self) -> bool:
        now = self._micro_time()
        spec = LeaseSpec(
            holder_identity=self._identity,
            lease_duration_seconds=LEASE_SECONDS,
            acquire_time=now,
            renew_time=now,
        )
        lease = Lease(api_version=LEASES.api_version, kind=LEASES.kind, metadata=ObjectMeta(name=self._name), spec=spec)
        try:
            self._client.create(LEASES, lease, self._namespace)
        except AlreadyExistsError:
            return False
        return True

    def _micro_time(self) -> str:
        return micro_time(datetime.now(UTC))
