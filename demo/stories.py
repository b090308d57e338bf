"""What is played: three short stories, each a cell of the test machine, all with the same neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tests.machine.guest.cgroups import Names
from tests.machine.guest.spec import MIB, Action, Cell, Guard, Job

MEMORY_MB = 1024
NAMESPACE = "shop"
#: Before anything grows, so that the picture has a beginning. The clocks are compared meanwhile.
LEAD_SECONDS = 0.3

#: The journal has wall time, the timeline seconds from the cell's start: this prints the wall time minus the monotonic
#: one, and the monotonic time of the timeline's first row, in nanoseconds.
CLOCKS = """
python3 -c '
import os, struct, time
rows = open(os.environ["MG_RUN"] + "/samples", "rb").read(1 << 16)
_, width = struct.unpack_from("2q", rows)
print(time.time_ns() - time.monotonic_ns(), struct.unpack_from("q", rows, 8 * width)[0])
'
"""

Ends = Literal["killed", "stopped", "kernel"]


@dataclass(frozen=True, kw_only=True)
class Role:
    """A container of the cell, and who it is in the stories. Requests are what a careful team would have asked for."""

    cell_name: str  # the test machine's own name for it
    pod: str
    name: str
    request_mib: int

    @property
    def title(self) -> str:
        """As memguard writes it."""
        return f"{NAMESPACE}/{self.pod}/{self.name}"

    @property
    def short(self) -> str:
        """As the pictures call it."""
        return self.pod.partition("-")[0]

    def identity(self) -> str:
        """Its lines in memguard's configuration: without Kubernetes somebody must say who a cgroup is."""
        return (
            f'[[containers]]\ncgroup = "{Names(self.cell_name).container()}"\nnamespace = "{NAMESPACE}"\n'
            f'pod = "{self.pod}"\nname = "{self.name}"\nrequestBytes = {self.request_mib * MIB}\n'
        )


SEARCH = Role(cell_name="service", pod="search-0", name="app", request_mib=420)
ORDERS = Role(cell_name="database", pod="orders-0", name="db", request_mib=112)
WEB = Role(cell_name="lat", pod="web-5c4", name="app", request_mib=32)
CART = Role(cell_name="hog", pod="cart-7d9", name="app", request_mib=64)
REPORT = Role(cell_name="hog", pod="report-6b8", name="app", request_mib=64)
INNOCENTS = (SEARCH, ORDERS, WEB)


@dataclass(frozen=True, kw_only=True)
class Story:
    """One story: `ends` is how it ends if all goes well, `culprit` who must be the one that dies."""

    title: str
    plot: str
    culprit: Role
    ends: Ends
    cell: Cell

    @property
    def name(self) -> str:
        """Also the cell's name."""
        return self.cell.name


def configuration(culprit: Role, *, mode: str = "Enforce", guard_limit: bool = False, grace_seconds: float = 0) -> str:
    """memguard's configuration file; @...@ is filled in by the machine. The reserve is the cell's: 100 MiB.

    Without PSI: these stories are about the line, and a stall may ring a few milliseconds before it, now and then.
    """
    return (
        f'mode = "{mode}"\nrunDirectory = "@RUN@/memguard"\n'
        "[tuning]\npsi = false\n[settings]\nreserveRatio = 0.5\nreserveCapBytes = @RESERVE@\n"
        f"[[rules]]\nguardLimit = {str(guard_limit).lower()}\ngraceSeconds = {grace_seconds}\n"
        + "".join(role.identity() for role in (culprit, *INNOCENTS))
    )


def _cell(name: str, config: str, **changes: object) -> Cell:
    return Cell(
        name=name,
        guard=Guard(kind="memguard", config=config),
        service_bytes=SEARCH.request_mib * MIB,
        hog_delay_seconds=LEAD_SECONDS,
        settle_seconds=0.2,
        actions=(Action(at_seconds=0, script=CLOCKS),),
        keep_timeline=2000,
        **changes,  # type: ignore[arg-type]
    )


#: As fast as it goes, which is 250 MB/s beside the others on one CPU of a billion instructions a second.
LEAK: dict[str, object] = {"processes": 2}

STORIES = (
    Story(
        title="The node runs dry",
        plot="cart leaks as fast as it can; search is larger and steady, orders fills the page cache",
        culprit=CART,
        ends="killed",
        cell=_cell("node", configuration(CART), **LEAK),
    ),
    Story(
        title="A container runs into its own limit",
        plot="report needs more than the 256 MiB of its container and pod, and a moment to clean up; it gets 300 ms",
        culprit=REPORT,
        ends="stopped",
        cell=_cell(
            "limit",
            configuration(REPORT, guard_limit=True, grace_seconds=0.3),
            domain="container",
            limit_bytes=256 * MIB,
            rate_mib_s=50,
            term_ms=200,
        ),
    ),
    Story(
        title="The same leak, only observed",
        plot="as the first, but memguard may only say what it would do",
        culprit=CART,
        ends="kernel",
        cell=_cell("observe", configuration(CART, mode="Observe"), **LEAK),
    ),
)


def job(stories: tuple[Story, ...] = STORIES) -> Job:
    """All of them in one boot."""
    return Job(cells=tuple(story.cell for story in stories))
