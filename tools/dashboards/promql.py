"""The queries that more than one dashboard asks, and what their expressions are made of.

`cluster` is a label that whoever has several clusters adds (external_labels, Thanos, Mimir); where there is one it is
empty, and its variable's "All" selects that, too. `node` is what our PodMonitor adds. Nothing here knows a job's name.
"""

from __future__ import annotations

from typing import NamedTuple

CLUSTER = 'cluster=~"$cluster"'
NODE = 'cluster=~"$cluster", node=~"$node"'
#: Wide enough for the scrape interval, at least one point.
WINDOW = "$__rate_interval"
RANGE = "$__range"
#: What tells that a process is there: an agent's, and an operator's.
AGENT, OPERATOR = "memguard_guard_connected", "memguard_operator_leading"
#: How a node's series is called, and a replica's of the operator.
NODE_NAME, REPLICA = "{{node}} {{cluster}}", "{{pod}} {{cluster}}"


class Query(NamedTuple):
    """An expression and how its series are called."""

    expression: str
    legend: str = ""


def select(metric: str, scope: str = CLUSTER, *matchers: str) -> str:
    """One metric's series in that scope."""
    return f"{metric}{{{', '.join((scope, *matchers))}}}"


def by_node(function: str, series: str) -> str:
    """One series a node, whichever pods it had."""
    return f"{function} by (cluster, node) ({series})"


def rate(series: str) -> str:
    """Per second."""
    return f"rate({series}[{WINDOW}])"


def increase(series: str, window: str = WINDOW) -> str:
    """How much a counter rose that stands at 0 from the start."""
    return f"increase({series}[{window}])"


def new(series: str, window: str = WINDOW, beside: str = AGENT) -> str:
    """How much a counter rose whose series begins with its first event: `increase` does not see a series begin.

    A series is new if it was not there a window ago, and its process was scraped without it since, as a metric tells
    that is always there (`beside`): else each gap in the scraping would tell of all that ever happened.
    """
    seen, scraped = (f"count_over_time({one}[{window}])" for one in (series, select(beside)))
    fewer = f"{seen} < on (cluster, instance) group_left () {scraped}"
    return f"(({series} unless {series} offset {window} and {fewer}) or {increase(series, window)})"


def share(part: str, whole: str) -> str:
    """`part` of `whole`, nothing where that is 0."""
    return f"{part} / ({whole} > 0)"


def or_nothing(expression: str) -> str:
    """0 where nothing of the kind ever happened."""
    return f"{expression} or vector(0)"


def of_process(metric: str, beside: str) -> str:
    """A figure of Python's own (process_*), of the processes that also export `beside`."""
    return f"{select(metric)} and on (cluster, instance) {select(beside)}"


def each(function: str, labels: str, series: str, legend: str = "") -> Query:
    """A line for every value of the labels, as in "action, outcome"; called by them, unless `legend` says otherwise."""
    called = legend or " ".join(f"{{{{{label}}}}}" for label in labels.split(", "))
    return Query(f"{function} by ({labels}) ({series})", called)


def kernel_kills(scope: str = CLUSTER) -> str:
    """Processes that the kernel's OOM killer ended."""
    return select("memguard_kernel_oom_kills_total", scope)


def missed(scope: str = CLUSTER) -> Query:
    """The same over time, by whose they were."""
    return each("sum", "namespace, scope", new(kernel_kills(scope)), "{{namespace}} ({{scope}})")


def most(series: str, legend: str = NODE_NAME, count: int = 10) -> Query:
    """The largest of them."""
    return Query(f"topk({count}, {series})", legend)


def least(series: str) -> Query:
    """The smallest ten of the nodes'."""
    return Query(f"bottomk(10, {series})", NODE_NAME)


def quantiles(buckets: str) -> tuple[Query, ...]:
    """Of a histogram: how long half of them took at most, and 99 of 100."""
    return tuple(
        Query(f"histogram_quantile({part}, sum by (le) ({rate(buckets)})) >= 0", legend)
        for part, legend in ((0.5, "half"), (0.99, "99 of 100"))
    )
