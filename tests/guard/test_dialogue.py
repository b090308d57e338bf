"""A guard in a simulated machine whose plan and names come from a scripted agent."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.guard.conftest import Serve
from tests.guard.test_liaison import HELLO, Caller
from tests.guard.test_loop import kubepods_charges
from tests.guard.world import MIB, Duty, Load, World, highs, uid

from memguard.core.link import Hello, Mapping, NewPlan, News, Order, Receipt, Status, ToAgent
from memguard.core.model import Identity, Owner
from memguard.core.policy import Budget, Disruptions, Match, Plan, Rule, Settings
from memguard.guard.dialogue import Address
from memguard.guard.supervisor import Post

QUICK = Settings(horizon_seconds=0.1, patience_seconds=15.0)
PLAN = Plan(version="1", mode="Enforce", settings=QUICK)


def who(load: Load, number: int, **facts: object) -> Identity:
    known = {"namespace": "shop", "pod": f"p{number}", "name": "app", "pod_uid": pod(number)} | facts
    return Identity(id=f"{number:064x}", **known)  # type: ignore[arg-type]


def pod(number: int) -> str:
    return uid(number).replace("_", "-")


class Scripted:
    """A guard on duty and an agent that says what a test wants."""

    def __init__(self, duty: Duty, path: str) -> None:
        self.duty, self.path = duty, path
        self.agent = Caller(path)
        self.heard: list[ToAgent] = []

    def say(self, *messages: object) -> None:
        self.agent.say(*messages)  # type: ignore[arg-type]
        self.listen()

    def listen(self, seconds: float = 1.0) -> None:
        self.duty.run(seconds)
        self.heard += self.agent.hear() or ()

    def again(self) -> None:
        """The agent died; another comes."""
        self.agent.socket.close()
        self.duty.run(0.5)
        self.agent, self.heard = Caller(self.path), []
        self.say(HELLO)

    @property
    def status(self) -> Status:
        return [message for message in self.heard if isinstance(message, Status)][-1]

    @property
    def news(self) -> list[News]:
        return [message for message in self.heard if isinstance(message, News)]


Script = Callable[..., Scripted]


@pytest.fixture
def script(world: World, serve: Serve, tmp_path: Path) -> Iterator[Script]:
    made: list[Scripted] = []
    supervisors: list[int] = []

    def start(*messages: object, supervised: bool = True) -> Scripted:
        world.run.mkdir(exist_ok=True)
        if supervised:
            supervisors.append(_on_duty(world))
        path = str(tmp_path / "guard.sock")
        duty = serve("[tuning]\npsi = false\n", address=Address(path, os.getuid()))
        made.append(Scripted(duty, path))
        made[-1].say(HELLO, *messages)
        return made[-1]

    yield start
    for one in made:
        one.agent.socket.close()
    for pid in supervisors:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _on_duty(world: World) -> int:
    """A supervisor: its lock is another process's."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        Post(str(world.run)).take()
        os.write(writer, b"x")
        signal.pause()
        os._exit(0)
    os.read(reader, 1)
    os.close(reader)
    os.close(writer)
    return pid


def test_without_a_plan_it_observes(world: World, script: Script) -> None:
    world.container(1, anon=600 * MIB, rate=200 * MIB)
    one = script()
    one.listen(20)
    assert world.kernel_kills == 1
    assert one.status.plan is None
    assert not [line for line in one.duty.decisions() if line["mode"] == "Enforce"]


@pytest.mark.row("K1", "K3")
def test_with_plan_and_names_the_culprit_dies(world: World, script: Script) -> None:
    hog, other = world.container(1, anon=300 * MIB, rate=200 * MIB), world.container(2, anon=300 * MIB)
    one = script(NewPlan(plan=PLAN), Mapping(containers=(who(hog, 1), who(other, 2)), pods=(pod(1), pod(2))))
    assert one.status.plan == "1"
    one.listen(20)
    assert (hog.killed_by, other.alive, world.kernel_kills) == ("cgroup.kill", True, 0)
    decided = [news.decision for news in one.news if news.decision]
    ended = [news.outcome for news in one.news if news.outcome]
    assert [decision.victim.pod for decision in decided] == ["p1"]
    assert [outcome.id for outcome in ended] == [decision.id for decision in decided]
    [line] = one.duty.decisions()
    assert line["id"] == decided[0].id, "log and record carry the same id"
    assert (one.status.steps["kill"], one.status.steps["terminate"]) == (1, 0)
    assert one.status.steps["hold"] >= 1, "it stood still while it was judged"


def test_who_may_have_a_higher_limit_is_listed_with_the_time_until_it(world: World, script: Script) -> None:
    """On a calm node nobody looks at who is small: the operator could not raise its limit in time."""
    big = [world.container(number, anon=300 * MIB) for number in range(1, 4)]
    grows = world.container(9, anon=20 * MIB, rate=MIB, limit=128 * MIB)
    rules = (Rule(match=Match(pod="p9"), largest_limit_bytes=256 * MIB, actions=("resize", "kill")), Rule())
    names = Mapping(
        containers=(*(who(one, at) for at, one in enumerate(big, 1)), who(grows, 9)),
        pods=(*(pod(at) for at in range(1, 4)), pod(9)),
    )
    one = script(NewPlan(plan=Plan(version="1", mode="Enforce", settings=QUICK, rules=rules)), names)
    one.listen(65)
    [found] = [found for found in one.status.top if found.pod == "p9"]
    assert found.largest_limit_bytes == 256 * MIB
    assert found.limit_seconds is not None
    assert found.limit_seconds < 60


LOANS = {
    "one is lent": (1, {}, "cgroup.kill"),
    "nothing is lent": (0, {}, "the kernel"),
    "nothing is lent, and the policy overrides it": (0, {"override_disruption_budget": True}, "cgroup.kill"),
    "nothing was lent, and that is over": (0, {"until": datetime(2000, 1, 2, tzinfo=UTC)}, "cgroup.kill"),
}


@pytest.mark.row("K6")
@pytest.mark.parametrize(("count", "facts", "killed_by"), LOANS.values(), ids=LOANS)
def test_a_guard_spends_what_was_lent_of_a_disruption_budget(
    world: World, script: Script, count: int, facts: dict[str, Any], killed_by: str
) -> None:
    hog = world.container(1, anon=300 * MIB, rate=200 * MIB)
    rule = Rule(mode="Enforce", override_disruption_budget=facts.get("override_disruption_budget", False))
    until = facts.get("until", datetime(2100, 1, 1, tzinfo=UTC))
    lent = {"shop/p1/app": Disruptions(count=count, since=datetime(2000, 1, 1, tzinfo=UTC), until=until)}
    plan = Plan(version="1", settings=QUICK, rules=(rule,), disruptions=lent)
    one = script(NewPlan(plan=plan), Mapping(containers=(who(hog, 1),), pods=(pod(1),)))
    one.listen(20)
    assert hog.killed_by == killed_by
    assert one.status.budget_overrides == bool(rule.override_disruption_budget)


def test_who_may_never_be_chosen_is_listed_last(world: World, script: Script) -> None:
    """Else memguard's own guard, over its request on a calm node, would stand first as nearest to being chosen."""
    large, small = world.container(1, anon=300 * MIB), world.container(2, anon=30 * MIB)
    system = who(large, 1, namespace="kube-system")
    one = script(NewPlan(plan=PLAN), Mapping(containers=(system, who(small, 2)), pods=(pod(1), pod(2)), complete=True))
    one.listen(60)
    assert [standing.pod for standing in one.status.top] == ["p2", "p1"]
    assert "kube-system is protected" in (one.status.top[1].excluded or "")


def test_total_available_and_reserve_are_the_nodes_where_kubepods_is_nearer(world: World, script: Script) -> None:
    world.container(1, anon=300 * MIB)
    limit = 400 * MIB
    kubepods_charges(world, limit)
    status = script(NewPlan(plan=PLAN), Mapping(pods=(pod(1),))).status
    assert (status.total_bytes, status.available_bytes) == (world.total, world.available)
    assert status.reserve_bytes == int(world.total * QUICK.reserve_ratio)
    assert status.domain == "kubepods"
    assert status.headroom_bytes == limit - 300 * MIB - int(limit * QUICK.reserve_ratio)


def test_a_container_that_nobody_named_is_left_to_the_kernel(world: World, script: Script) -> None:
    hog = world.container(1, anon=300 * MIB, rate=200 * MIB)
    one = script(NewPlan(plan=PLAN), Mapping(pods=(pod(1),), complete=True))
    one.listen(20)
    assert hog.killed_by == "the kernel"
    one.listen(40)
    assert one.status.kernel_oom_kills == 1


def test_a_successor_with_the_same_name_is_not_its_predecessor(world: World, script: Script) -> None:
    """Joined by container id: the restarted container is unknown until the agent tells its id."""
    world.container(1, anon=300 * MIB)
    one = script(NewPlan(plan=PLAN), Mapping(containers=(who(world.loads[0], 9),), pods=(pod(1),)))
    assert one.duty.guard.ward_of(f"{1:064x}").container.mapped is False  # type: ignore[union-attr]


def test_a_name_that_comes_later_counts_from_then_on(world: World, script: Script) -> None:
    hog = world.container(1, anon=300 * MIB, limit=256 * MIB + 200 * MIB)
    rule = Rule(mode="Enforce", guard_limit=True)
    one = script(NewPlan(plan=Plan(version="1", settings=QUICK, rules=(rule,))), Mapping(pods=(pod(1),)))
    assert highs([hog]) == ["max"], "no line under what is not known"
    one.say(Mapping(containers=(who(hog, 1),), pods=(pod(1),)))
    assert highs([hog]) != ["max"]
    one.say(Mapping(gone=(f"{1:064x}",), pods=(pod(1),)))
    one.listen(12)
    assert highs([hog]) == ["max"], "nor under what is known no longer"


@pytest.mark.parametrize("supervised", [True, False])
def test_no_line_stands_without_a_supervisor(world: World, script: Script, supervised: bool) -> None:
    hog = world.container(1, anon=300 * MIB, limit=456 * MIB)
    rule = Rule(mode="Enforce", guard_limit=True)
    plan = NewPlan(plan=Plan(version="1", settings=QUICK, rules=(rule,)))
    one = script(plan, Mapping(containers=(who(hog, 1),), pods=(pod(1),)), supervised=supervised)
    one.listen(12)
    assert (highs([hog]) == ["max"]) is not supervised
    assert {c.name: c.ok for c in one.status.capabilities}["supervisor"] is supervised


def test_a_pod_that_nobody_knows_makes_the_node_unfit_after_a_while(world: World, script: Script) -> None:
    hog = world.container(1, anon=300 * MIB)
    world.container(2, anon=10 * MIB)
    one = script(NewPlan(plan=PLAN), Mapping(containers=(who(hog, 1),), pods=(pod(1),)))
    one.listen(30)
    assert (one.status.unfit, one.status.unmapped, one.status.mode) == (None, 1, "Enforce")
    one.listen(70)
    assert "no pod that is known" in (one.status.unfit or "")
    assert one.status.mode == "Observe"
    one.say(Mapping(pods=(pod(1), pod(2))))
    one.listen(50)
    assert (one.status.unfit, one.status.mode) == (None, "Enforce"), "a sandbox, or a container still to be told"


def test_a_pod_that_is_gone_before_its_processes_is_no_stranger(world: World, script: Script) -> None:
    """A forced deletion removes the object at once; the cgroup may live on for a day."""
    hog, left = world.container(1, anon=300 * MIB), world.container(2, anon=10 * MIB)
    one = script(NewPlan(plan=PLAN), Mapping(containers=(who(hog, 1), who(left, 2)), pods=(pod(1), pod(2))))
    one.say(Mapping(gone=(f"{2:064x}",), pods=(pod(1),)))
    one.listen(120)
    assert (one.status.unfit, one.status.mode, one.status.unmapped) == (None, "Enforce", 1)
    left.vanish()
    one.listen(30)
    world.container(2, anon=10 * MIB)
    one.listen(120)
    assert "no pod that is known" in (one.status.unfit or ""), "another pod that nobody told of, whatever its number"


def test_a_stranger_has_a_minute_from_when_it_became_one(world: World, script: Script) -> None:
    hog, other = world.container(1, anon=300 * MIB), world.container(2, anon=10 * MIB)
    one = script(NewPlan(plan=PLAN), Mapping(containers=(who(hog, 1),), pods=(pod(1),)))
    one.listen(45)
    other.vanish()
    world.container(3, anon=10 * MIB)
    one.listen(45)
    assert one.status.unfit is None


def test_what_is_in_no_pod_is_none_of_kubernetes(world: World, script: Script) -> None:
    hog = world.container(1, anon=300 * MIB)
    world.cgroup("system.slice", memory__max="max\n")
    world.container(4, anon=MIB, path=f"system.slice/docker-{4:064x}.scope")
    one = script(NewPlan(plan=PLAN), Mapping(containers=(who(hog, 1),), pods=(pod(1),)))
    one.listen(120)
    assert (one.status.unfit, one.status.unmapped) == (None, 1)


def test_a_plan_with_a_signal_that_is_none_is_not_taken(world: World, script: Script) -> None:
    hog = world.container(1, anon=300 * MIB)
    one = script(NewPlan(plan=PLAN), Mapping(containers=(who(hog, 1),), pods=(pod(1),)))
    one.say(NewPlan(plan=Plan(version="2", rules=(Rule(stop_signal="SIGNOPE"),))))
    assert one.duty.guard.plan.version == "1"
    assert "SIGNOPE" in one.duty.lines("trouble")[-1]["reason"]


def test_another_plan_leaves_the_lines_that_it_allows(world: World, script: Script) -> None:
    load, other = (world.container(number, anon=300 * MIB, limit=456 * MIB) for number in (1, 2))
    guarded = Rule(mode="Enforce", guard_limit=True)
    names = Mapping(containers=(who(load, 1), who(other, 2)), pods=(pod(1), pod(2)))
    one = script(NewPlan(plan=Plan(version="1", settings=QUICK, rules=(guarded,))), names)
    bells = dict(one.duty.guard.limits.bells)
    assert "max" not in highs([load, other])
    only_first = Rule(match=Match(pod="p1"), mode="Enforce", guard_limit=True, adjustment=5)
    one.say(NewPlan(plan=Plan(version="2", settings=QUICK, rules=(only_first,))))
    assert one.duty.guard.limits.bells == {path: bell for path, bell in bells.items() if path == load.path}
    assert (highs([load]) != ["max"], highs([other])) == (True, ["max"])


def test_the_plan_outlives_its_agent(world: World, script: Script) -> None:
    hog = world.container(1, anon=300 * MIB)
    one = script(NewPlan(plan=PLAN), Mapping(containers=(who(hog, 1),), pods=(pod(1),)))
    one.agent.socket.close()
    hog.rate = 200 * MIB
    one.duty.run(20)
    assert hog.killed_by == "cgroup.kill"
    one.again()
    assert [news.decision.victim.pod for news in one.news if news.decision] == ["p1"], "and the next one is told"
    one.say(Receipt(number=max(news.number for news in one.news)))
    one.again()
    assert one.news == []


def test_trouble_is_told_more_often_than_calm(world: World, script: Script) -> None:
    load = world.container(1, anon=100 * MIB)
    one = script(NewPlan(plan=Plan(version="1")), Mapping(pods=(pod(1),)))
    told = len([m for m in one.heard if isinstance(m, Status)])
    one.listen(60)
    calm = len([m for m in one.heard if isinstance(m, Status)]) - told
    load.anon += 1200 * MIB
    load.show()
    world.meminfo()
    one.listen(60)
    tight = len([m for m in one.heard if isinstance(m, Status)]) - calm - told
    assert one.status.level == "Tight"
    assert calm <= 3
    assert tight >= 10


# --- orders


def order(action: str = "kill", **facts: object) -> Order:
    known = {"id": "o1", "container_id": f"{1:064x}", "pod_uid": pod(1)} | facts
    expires = datetime.now(UTC) + timedelta(days=1)  # some are made long before their test runs
    return Order(action=action, **{"expires_at": expires} | known)  # type: ignore[arg-type]


def answers(one: Scripted) -> list[tuple[bool, str]]:
    return [(news.answer.accepted, news.answer.reason) for news in one.news if news.answer]


def test_an_order_is_carried_out_and_recorded(world: World, script: Script) -> None:
    load = world.container(1, anon=300 * MIB)
    one = script(NewPlan(plan=PLAN), Mapping(containers=(who(load, 1),), pods=(pod(1),)))
    one.say(order())
    one.listen(2)
    assert load.killed_by == "cgroup.kill"
    assert answers(one) == [(True, "")]
    decided = next(news.decision for news in one.news if news.decision)
    assert (decided.trigger, decided.mode, decided.action) == ("order", "Enforce", "kill")
    assert next(news.answer.decision for news in one.news if news.answer) == decided.id
    one.say(order(id="o2"))
    assert answers(one)[1][0] is False


@pytest.mark.parametrize(
    ("given", "plan", "identity", "why"),
    [
        (order(container_id="f" * 64), PLAN, {}, "no such container"),
        (order(pod_uid=pod(2)), PLAN, {}, "belongs to pod"),
        (order(expires_at=datetime.now(UTC) - timedelta(seconds=1)), PLAN, {}, "expired"),
        (order(), Plan(version="1"), {}, "Observe"),
        (order(), PLAN, {"static": True}, "static"),
        (order(), PLAN, {"namespace": "kube-system"}, "protected"),
        (order(), Plan(mode="Enforce", budget=Budget(per_container=0)), {}, "budget"),
        (order(), Plan(mode="Enforce", rules=(Rule(actions=("terminate",)),)), {}, "allow"),
        (order("terminate"), PLAN, {"owner": Owner(kind="Job", name="j")}, "count as success"),
    ],
)
def test_an_order_beyond_the_plan_is_refused(
    world: World, script: Script, *, given: Order, plan: Plan, identity: dict[str, object], why: str
) -> None:
    load = world.container(1, anon=300 * MIB)
    one = script(NewPlan(plan=plan), Mapping(containers=(who(load, 1, **identity),), pods=(pod(1),)))
    one.say(given)
    [(accepted, reason)] = answers(one)
    assert not accepted
    assert why in reason
    assert load.alive


def test_a_killed_child_is_told_though_its_container_lives_on(world: World, script: Script) -> None:
    load = world.container(1, anon=300 * MIB)
    one = script(NewPlan(plan=PLAN), Mapping(containers=(who(load, 1),), pods=(pod(1),)))
    load.write("memory.events", "low 0\nhigh 0\nmax 3\noom 1\noom_kill 1\noom_group_kill 0\n")
    counters = world.proc_root / "vmstat"
    world.write(counters, counters.read_text().replace("oom_kill 0", "oom_kill 2"))  # one in a cgroup that is gone
    one.listen(12)
    found = [
        (n.kernel_kill.count, n.kernel_kill.victim and n.kernel_kill.victim.pod) for n in one.news if n.kernel_kill
    ]
    assert found == [(1, "p1"), (1, None)]
    one.listen(12)
    assert len([news for news in one.news if news.kernel_kill]) == 2


def test_hello_comes_first(script: Script) -> None:
    assert isinstance(script().heard[0], Hello)
