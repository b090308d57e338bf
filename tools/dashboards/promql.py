"""The expressions that more than one dashboard asks for.

`cluster` is a label that whoever has several clusters adds (external_labels, Thanos, Mimir); where there is one it is
empty, and its variable's "All" selects that, too. `node` is what our PodMonitor adds. Nothing here knows a job's name.
"""

from __future__ import annotations

CLUSTER = 'cluster=~"$cluster"'
NODE = 'cluster=~"$cluster", node=~"$node"'
#: Wide enough for the scrape interval, at least one point.
WINDOW = "$__rate_interval"
RANGE = "$__range"
#: What tells that a process is there: an agent's, and an operator's.
AGENT, OPERATOR = "memguard_guard_connected", "memguard_operator_leading"


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
