"""What the operator tells one node: learned points, orders, and the brake on everything."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from memguard.core.model import Moment, Record
from memguard.core.policy import LEARNED_POINTS

#: More than this at once is no order, but a plan.
MOST_ORDERS = 8
#: Of points, and of loans.
MOST_ENTRIES = 128

LearnedPoints = Annotated[int, Meta(ge=-LEARNED_POINTS, le=LEARNED_POINTS)]


class AdvisedOrder(Record, frozen=True, kw_only=True):
    """The operator wants one container ended; the node's guard does it only if its own plan allows."""

    id: Annotated[
        Annotated[str, Meta(min_length=1, max_length=63)],
        Meta(description="The order's name; the same order is carried out once."),
    ]
    action: Annotated[
        Literal["terminate", "kill"], Meta(description="terminate: the stop signal first, with the policy's grace.")
    ]
    pod_uid: Annotated[
        Annotated[str, Meta(min_length=1, max_length=63)], Meta(description="The UID of the container's pod.")
    ]
    container_id: Annotated[
        Annotated[str, Meta(min_length=1, max_length=128)],
        Meta(description="The container's id, without the runtime's name before it."),
    ]
    expires_at: Annotated[Moment, Meta(description="After this the order is refused.")]


class LentDisruptions(Record, frozen=True, kw_only=True):
    """What of a PodDisruptionBudget is lent to this node: nobody else may spend it before it runs out."""

    count: Annotated[
        Annotated[int, Meta(ge=0, le=1000)],
        Meta(
            description="How many of the workload's containers may be ended. 0: none, unless its policy overrides it."
        ),
    ]
    since: Annotated[Moment, Meta(description="Ends before this were counted already.")]
    until: Annotated[Moment, Meta(description="After this it is lent no more, and nothing is known of the budget.")]
    budget: Annotated[
        Annotated[str, Meta(max_length=512)], Meta(description="The PodDisruptionBudget: namespace/name.")
    ]


class Advice(Record, frozen=True, kw_only=True):
    """What the operator tells this node; without it the node decides alone."""

    bias: Annotated[
        dict[str, LearnedPoints],
        Meta(
            max_length=MOST_ENTRIES,
            description="Learned points per workload, added to its containers' scores. Keys: "
            "namespace/kind/name/container of the owner, or namespace/pod/container without one.",
        ),
    ] = {}
    disruptions: Annotated[
        dict[str, LentDisruptions],
        Meta(
            max_length=MOST_ENTRIES,
            description="Per workload, what its PodDisruptionBudget has to spare for this node. Workloads without a "
            "budget, and all where the operator is gone, are not listed, and not held back. Keys as in bias.",
        ),
    ] = {}
    emergency_stop: Annotated[
        bool, Meta(description="Nothing is enforced on this node, whatever the policies say; orders are refused.")
    ] = False
    orders: Annotated[
        tuple[AdvisedOrder, ...], Meta(max_length=MOST_ORDERS, description="Containers to end, each once.")
    ] = ()


NO_ADVICE = Advice()
