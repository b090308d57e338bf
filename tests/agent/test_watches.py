"""What is known of the cluster, and since when it is not."""

from __future__ import annotations

from typing import Any

from memguard.agent.watches import FRESH_SECONDS, Watches
from memguard.errors import GoneError, TooLargeError
from memguard.kube.codec import Listing


class Server:
    """Lists once; what there is by then it cannot list, nor go on from where it was."""

    def __init__(self) -> None:
        self.clock = 0.0
        self.lists = 0
        self.watches = Watches(
            self,  # type: ignore[arg-type]
            "node-a",
            pods_changed=lambda _change, _first: None,
            own_changed=lambda: None,
            advised=lambda: None,
            clock=lambda: self.clock,
        )
        self.stale: list[bool] = []

    def list_all(self, *_: Any, **__: Any) -> Listing[Any]:
        self.lists += 1
        if self.lists == 1:
            return Listing(items=(), resource_version="1")
        self.stale.append("memoryguardpolicies" in self.watches.stale)
        if self.lists == 3:
            self.watches.stop()
        raise TooLargeError("GET", "/policies", "the answer is larger than all memory", remedy="")

    def watch(self, *_: Any, **__: Any) -> Any:
        self.stale.append("memoryguardpolicies" in self.watches.stale)
        self.clock = FRESH_SECONDS + 1
        raise GoneError("GET", "/policies", "too old", remedy="")


def test_what_can_no_longer_be_listed_is_not_known() -> None:
    server = Server()
    assert "memoryguardpolicies: not listed yet" in server.watches.problem
    server.watches.policies.run()
    assert server.stale == [False, True, True]
    assert "memoryguardpolicies: GET /policies: the answer is larger than all memory" in server.watches.problem
