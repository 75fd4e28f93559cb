"""
Lets a Spark task write into a table.

A task may outlive its driver. So it writes only while it sees that the driver that started it renews the
loader's lock. Each Python process of Spark watches lock and limits for all of its tasks.
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
from bulkload.throttle.controller import EVERY, RateController
from bulkload.throttle.shared_counters import SharedCounters
from bulkload.throttle.worker_limiter import WorkerLimiter
from rowferry.control_table import LOADER, ControlTable
from rowferry.errors import LeaseLost
from rowferry.mapping import TableMapping
from rowferry.renewals import RenewalWatch

_GONE = LeaseLost("the load's driver has ended", "run the load again: it resumes")


class Follower:
    """
    Watches whether the lock's `owner` is alive. `ttl` is the lock's, in seconds; `clock` is monotonic.

    The time of a renewal is not known, only that it was after the poll before the one that shows it. That
    earlier time is used, which errs on the safe side.
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
        """Another owner has the lock, or it was released: nothing may be written any more."""

    def look(self) -> None:
        """Polls the lock once."""
        before, self._looked = self._looked, self._clock()
        found = self._control.get(LOADER)
        # A driver that gives up a job takes another name (LoaderLock.pass_on): that alone ends its old tasks.
        if found.get("owner") != self._owner or found["released"]:
            self.gone = True
        else:
            self._watch.look(found["renewals"], before)

    @property
    def alive(self) -> bool:
        """Whether it was seen to renew the lock."""
        return self._watch.since > float("-inf")

    def check(self) -> None:
        """Raises LeaseLost when another loader may be running."""
        if self.gone:
            raise _GONE
        refuse_late(self._clock(), self._watch.since, self._ttl)


@dataclass(frozen=True)
class ExecutorParts:
    """
    What the driver sends to its tasks. `client` makes the DynamoDB client, `control` names the control table,
    `owner` and `ttl` are those of the lock; `share` tasks write at once, with `requests` requests each.
    """

    client: Callable[[], Any]
    control: str
    owner: str
    ttl: float
    share: int
    requests: int


class Executor:
    """The state of a Python process of Spark, shared by its tasks for one driver."""

    def __init__(self, parts: ExecutorParts) -> None:
        self.client = parts.client()
        control = ControlTable(self.client, parts.control)
        self._follower = Follower(control, parts.owner, parts.ttl)
        counters = SharedCounters(1)
        self._controller = RateController(counters, 1, control, share=parts.share)
        self.limiter = WorkerLimiter(counters, 0, self._follower.check)
        self.check = self._follower.check
        threading.Thread(target=self._look, name="follower", daemon=True).start()

    def _look(self) -> None:
        while not self._follower.gone:
            with contextlib.suppress(
                ClientError, BotoCoreError
            ):  # until `check` raises because it has been too long
                self._follower.look()
            # Not as a context manager, which would start a thread of its own for each process.
            self._controller.look()
            time.sleep(EVERY)

    def wait(self) -> None:
        """Waits until something may be written. Raises LeaseLost when the driver is gone."""
        while not self._follower.alive or self._controller.held:
            if self._follower.gone:
                raise _GONE
            time.sleep(0.1)


@cache
def executor(parts: ExecutorParts) -> Executor:
    """The executor of this process."""
    return Executor(parts)


@dataclass(frozen=True)
class PutFrom:
    """A sink that can be pickled: the target's table, written from the process that takes the items."""

    parts: ExecutorParts
    table: TableMapping

    @property
    def place(self) -> str:
        """As table_sink.Put: partitions that were put without Spark count as done."""
        return f"table {self.table.target}"

    def take(self, partition: int, items: Iterable[Assembled], refusals: Refusals) -> dict[str, Any]:
        here = executor(self.parts)
        here.wait()
        writer = Writer(here.client, self.table.target, here.check, limiter=here.limiter)
        return Put(writer, self.table, self.parts.requests).take(partition, items, refusals)
