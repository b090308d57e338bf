"""The real Prometheus (Debian's package) as a process of ours: what it scrapes, and what it answers."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest

#: Of a question, by https://prometheus.io/docs/prometheus/latest/querying/api/; while it begins it answers 503.
NOT_UNDERSTOOD = (400, 422)


class Target(NamedTuple):
    """Where something exports metrics, as in "127.0.0.1:40123", and the labels that a PodMonitor would add."""

    address: str
    labels: Mapping[str, str] = {}


class Prometheus:
    """One server on a loopback port of its own, for as long as the context lasts; its data is in `directory`.

    As under the chart's PodMonitor a target's own labels win (honor_labels). `rules`: a rule file that it evaluates.
    """

    def __init__(
        self, directory: Path, targets: Iterable[Target], *, every_seconds: int = 1, rules: Path | None = None
    ) -> None:
        self.every_seconds = every_seconds
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{probe.getsockname()[1]}"
        config = directory / "prometheus.yml"
        config.write_text(json.dumps(_configuration(targets, every_seconds, rules)))
        self._log = (directory / "prometheus.log").open("wb")
        self._process = subprocess.Popen(
            (
                "prometheus", f"--config.file={config}", f"--storage.tsdb.path={directory / 'data'}",
                f"--web.listen-address={self.address}", "--enable-feature=exemplar-storage",
            ),
            stdout=self._log,
            stderr=self._log,
        )  # fmt: skip

    def __enter__(self) -> Prometheus:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._log.close()

    def ask(self, what: str, **parameters: object) -> Any:
        """The data of an answer of /api/v1/WHAT. A question that it does not understand fails the test, with why."""
        try:
            with urlopen(f"http://{self.address}/api/v1/{what}?{urlencode(parameters)}", timeout=30) as answer:
                return json.load(answer)["data"]
        except HTTPError as error:
            if error.code not in NOT_UNDERSTOOD:
                raise
            pytest.fail(f"{parameters}: {json.load(error)['error']}")

    def query(self, expression: str, at: float | None = None) -> list[dict[str, Any]]:
        """What an expression gives at a time, or now: series with `metric` and `value`."""
        found = self.ask("query", query=expression, **({} if at is None else {"time": at}))
        return [found] if found["resultType"] == "scalar" else list(found["result"])

    def query_range(self, expression: str, start: float, end: float, step: float) -> list[dict[str, Any]]:
        """The same at each step: series with `metric` and `values`."""
        return list(self.ask("query_range", query=expression, start=start, end=end, step=step)["result"])

    def value(self, expression: str) -> float | None:
        """Of the one series that it gives; None for none or several, or where nobody answers yet."""
        try:
            series = self.query(expression)
        except OSError:
            return None  # it begins
        return float(series[0]["value"][1]) if len(series) == 1 else None


def _configuration(targets: Iterable[Target], every_seconds: int, rules: Path | None) -> dict[str, Any]:
    every = f"{every_seconds}s"
    known = [{"targets": [one.address], "labels": dict(one.labels)} for one in targets]
    scrape = {"job_name": "memguard", "scrape_interval": every, "scrape_timeout": every, "honor_labels": True}
    return {
        "global": {"evaluation_interval": every},
        "rule_files": [str(rules)] if rules else [],
        "scrape_configs": [scrape | {"static_configs": known}],
    }
