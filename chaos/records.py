"""What a virtual machine tells, as it tells it: an interrupted boot loses only what it had not told yet."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue

from tests.kernel.boots import Boot
from tests.machine.qemu import Record


def records(boot: Boot) -> Iterator[Record]:
    """One JSON object for each piece that was done. Raises MachineError when the machine hung or died."""
    told: SimpleQueue[Record | None] = SimpleQueue()
    with ThreadPoolExecutor(1) as pool:
        booted = pool.submit(boot.run, told.put)
        booted.add_done_callback(lambda _: told.put(None))
        while (record := told.get()) is not None:
            yield record
        booted.result()
