"""
What a task needs to write into a table.

A task may outlive its driver. So it writes only while it sees the loader's lock being renewed by the driver
that started it, and each Python process of Spark looks at lock and limits for all of its tasks.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from bulkload.dynamodb.batch_writer import Writer
from bulkload.from_files.steps import Refusals
from bulkload.from_files.table_sink import Put
from bulkload.lock import refuse_late
from bulkload.shuffle.assembly import Assembled
from bulkload.throttle.controller import EVERY, Governor
from bulkload.throttle.shared_counters import Board
from bulkload.throttle.worker_limiter import Meter
from rowferry.control_table import LOADER, ControlTable
from rowferry.errors import LeaseLost
from rowferry.mapping import TableMapping
from rowferry.renewals import RenewalWatch

_GONE = LeaseLost("the load's driver has ended", "run the load again: it goes on")


class Follower:
    """
    Tells whether the lock's `owner` lives. `ttl` is the lock's, in seconds; `clock` does not go back.

    When the lock was renewed is not known, but that it was later than the look before the one that shows it.
    """

    def __init__(
        self, control: ControlTable, owner: str, ttl: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._control = control
        self._owner = owner
        self._ttl = ttl
        self._clock = clock
        self._looked = float("-inf")
        self._watch = RenewalWatch()
        self.gone = False
        """Another owner has the lock, or it was given back: nothing may be written any more."""

    def look(self) -> None:
        """One look at the lock."""
        before, self._looked = self._looked, self._clock()
        found = self._control.get(LOADER)
        if found.get("owner") != self._owner or found["released"]:
            self.gone = True
        else:
            self._watch.look(found["renewals"], before)

    @property
    def alive(self) -> bool:
        """It has been seen to renew the lock."""
        return self._watch.since > float("-inf")

    def check(self) -> None:
        """LeaseLost when another loader may be at work."""
        if self.gone:
            raise _GONE
        refuse_late(self._clock(), self._watch.since, self._ttl)


@dataclass(frozen=True)
class ExecutorParts:
    """
    What the driver tells its tasks. `client` makes the DynamoDB client, `control` is the control table,
    `owner` and `ttl` are the lock's; so many tasks as `share` write at once, with `requests` each.
    """

    client: Callable[[], Any]
    control: str
    owner: str
    ttl: float
    share: int
    requests: int


class Executor:
    """A Python process of Spark, for as long as it works for this driver."""

    def __init__(self, means: ExecutorParts) -> None:
        self.client = means.client()
        control = ControlTable(self.client, means.control)
        self._follower = Follower(control, means.owner, means.ttl)
        board = Board(1)
        self._governor = Governor(board, 1, control, share=means.share)
        self.meter = Meter(board, 0, self._follower.check)
        self.check = self._follower.check
        threading.Thread(target=self._look, name="follower", daemon=True).start()

    def _look(self) -> None:
        while not self._follower.gone:
            with contextlib.suppress(ClientError, BotoCoreError):  # until `check` says it has been too long
                self._follower.look()
            self._governor.look()
            time.sleep(EVERY)

    def wait(self) -> None:
        """Until something may be written. LeaseLost when the driver is gone."""
        while not self._follower.alive or self._governor.held:
            if self._follower.gone:
                raise _GONE
            time.sleep(0.1)


@cache
def executor(means: ExecutorParts) -> Executor:
    """This process's."""
    return Executor(means)


@dataclass(frozen=True)
class PutFrom:
    """A sink: the target's table, in whichever process."""

    means: ExecutorParts
    table: TableMapping

    @property
    def place(self) -> str:
        """The table, as from this machine: what was put from there is put."""
        return f"table {self.table.target}"

    def take(self, partition: int, items: Iterable[Assembled], refusals: Refusals) -> dict[str, Any]:
        """Writes the partition's items as `Put` does."""
        here = executor(self.means)
        here.wait()
        writer = Writer(here.client, self.table.target, here.check, meter=here.meter)
        return Put(writer, self.table, self.means.requests).take(partition, items, refusals)
