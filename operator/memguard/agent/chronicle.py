"""Everything that the guard tells, taken in once: on the disk first, then counted, then to be written and published.

What is on the disk is the spool (what waits to be written) and the ledger (what is remembered of all of it). News that
are in the spool but not in the ledger, because the process ended in between, are entered at the next start.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

import msgspec

from memguard.agent.census import Census
from memguard.agent.disk import read_back, write_whole
from memguard.agent.entries import Amended, Told, namespace_of
from memguard.agent.ledger import Ledger, answered, come, decided, is_known, killed, passed, resumed
from memguard.agent.metrics import Metrics
from memguard.agent.oom import Death, OomKills
from memguard.agent.spool import Spool
from memguard.api.node_memory import NodeScorecard, OrderAnswer
from memguard.core.decision import Decision, Victim
from memguard.core.link import News
from memguard.kube.objects import Pod


class Chronicle:
    """Any thread may tell it something. `ledger` is replaced, never changed.

    `policy_of`: by which policy a container is treated. `short`: is the node short of memory just now? `told`: there is
    something to write or to publish.
    """

    def __init__(
        self,
        path: str,
        begun: Ledger,
        spool: Spool,
        census: Census,
        metrics: Metrics,
        *,
        system_namespace: str,
        policy_of: Callable[[Victim], str],
        short: Callable[[], bool],
        told: Callable[[], None],
        trouble: Callable[[str], None],
    ) -> None:
        self._path, self._spool, self._census, self._metrics = path, spool, census, metrics
        self._system_namespace = system_namespace
        self._policy_of, self._short, self._told, self._trouble = policy_of, short, told, trouble
        self._lock = threading.Lock()
        self._oom = OomKills()
        self.ledger = read_back(path, msgspec.json.Decoder(Ledger), trouble) or begun
        self._saved: Ledger | None = self.ledger
        self._catch_up()

    def news(self, session: str, news: News) -> None:
        """From the guard; what was told before is passed over."""
        with self._lock:
            if is_known(self.ledger, session, news.number):
                return
            told = self._entry(session, news)
            self._enter(told, self._spool.add(told))
            self._save()
        self._told()

    def kept(self, session: str) -> int:
        """Up to which number the news of this series are on the disk."""
        with self._lock:
            known = self.ledger.session == session and self._spool.saved and self._saved is self.ledger
            return self.ledger.number if known else 0

    def pods(self, pods: Iterable[Pod], now: float, *, first: bool) -> None:
        """From the API server: containers that the kernel ended show it in their status."""
        with self._lock:
            self._died(self._oom.seen(pods, now, first=first))
            self._save()

    def answered(self, answers: Iterable[OrderAnswer]) -> None:
        """Orders that need not trouble the guard, or that were answered by the agent before us."""
        with self._lock:
            before = self.ledger
            self._answer(answers)
            self._save()
        if self.ledger is not before:
            self._told()

    def resumed(self, published: NodeScorecard) -> None:
        """The scorecard that the agent before us left in the node's report."""
        with self._lock:
            self.ledger = resumed(self.ledger, published)
            self._save()

    def pass_time(self, now: float) -> None:
        """Nothing happened until now, seconds since the epoch; and what the disk did not take is tried again."""
        with self._lock:
            before = self.ledger
            self._died(self._oom.passed(now))
            self._step(*passed(self.ledger, now))
            self._spool.save()
            self._save()
        if self.ledger is not before:
            self._told()

    def _catch_up(self) -> None:
        self._spool.begin_after(self.ledger.entry)
        for number in self._spool.waiting():
            entry = self._spool.read(number) if number > self.ledger.entry else None
            if isinstance(entry, Told):
                self._enter(entry, number)
        self._save()

    def _entry(self, session: str, news: News) -> Told:
        policy = self._policy_of(news.victim) if news.victim else ""
        offender = news.decision is not None and self._offends(news.decision)
        return Told(session=session, news=news, policy=policy, offender=offender)

    def _offends(self, decision: Decision) -> bool:
        """Did it reach its own limit, or use more than it asked for?"""
        if not decision.shared:
            return True
        known = self._census.find(decision.victim.id)
        return known is not None and decision.expected_bytes > (known.request_bytes or 0)

    def _enter(self, told: Told, entry: int) -> None:
        """Into ledger and metrics, each once."""
        news, at = told.news, told.news.at.timestamp()
        if news.decision is not None:
            title = f"{namespace_of(news.decision.victim, self._system_namespace)}/{news.decision.id}"
            self._metrics.decided(news.decision, told.policy)
            self._step(*decided(self.ledger, news.decision, title, told.policy, at))
        if news.outcome is not None:
            self._metrics.finished(news.outcome)
        if news.kernel_kill is not None:
            self._died(self._oom.heard(news.kernel_kill, at))
        if news.alarm is not None:
            self._metrics.alarmed(news.alarm.kind)
        if news.answer is not None:
            one = news.answer
            answer = OrderAnswer(
                id=one.order, accepted=one.accepted, at=news.at, reason=one.reason, decision=one.decision
            )
            self._answer((answer,))
        self.ledger = come(self.ledger, told.session, news.number, entry)

    def _answer(self, answers: Iterable[OrderAnswer]) -> None:
        before = self.ledger
        self.ledger = answered(before, answers)
        for answer in self.ledger.answers:
            if answer not in before.answers:
                self._metrics.ordered(accepted=answer.accepted)

    def _died(self, deaths: Iterable[Death]) -> None:
        for death in deaths:
            policy = self._policy_of(death.victim) if death.victim else ""
            self._metrics.killed(death)
            self._step(*killed(self.ledger, death, policy, shared=self._short()))

    def _step(self, ledger: Ledger, amended: tuple[Amended, ...]) -> None:
        for entry in amended:
            self._spool.add(entry)
        self.ledger = ledger

    def _save(self) -> None:
        if self._saved == self.ledger:
            self._saved = self.ledger
            return
        try:
            write_whole(self._path, msgspec.json.encode(self.ledger))
        except OSError as error:
            self._trouble(f"{self._path} cannot be written: {error.strerror}")
        else:
            self._saved = self.ledger
