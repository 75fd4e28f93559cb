"""One loader at a time: a lock in the control table that its owner renews. No two clocks are compared."""

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from socket import gethostname

from botocore.exceptions import BotoCoreError, ClientError

from rowferry.control_table import LOADER, ConditionFailed, ControlTable
from rowferry.errors import LeaseLost, Refused

TTL = 15.0  # seconds
SAFE = 0.5  # of the TTL: no request is begun later than that after a renewal
LONGEST_REQUEST = TTL * (1 - SAFE)
"""
Seconds. A request begun under the lock has ended, or failed, before another
loader may begin: else it could overwrite that loader's items with an old chunk.
"""
_FIX = "wait until it has ended, or end it, then run the load again: it resumes with the open chunks"


class LoaderLock:
    """
    Held by one loader: `ferry load`, and whatever must not run beside it. Call `check` before every write.

    Raises Refused when another loader has it, LeaseLost when it was lost meanwhile.
    """

    def __init__(
        self, control: ControlTable, ttl: float = TTL, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.control = control
        self.ttl = ttl
        self.clock = clock
        self.owner = _new_owner()
        self._renewed = clock()
        self._naming = threading.Lock()

    def acquire(self, sleep: Callable[[float], None], report: Callable[[str], None]) -> None:
        """
        Takes the lock. One that was not released is watched for its TTL: raises Refused when its owner renews
        it.
        """
        found = self.control.get(LOADER)
        if found and not found["released"]:
            pause = found["ttl_ms"] / 1000
            report(
                f"the last loader did not release its lock: waiting {pause:.0f} s to see whether it is alive"
            )
            # All of its owner's TTL, by our own clock: the time of its last renewal is on a clock that we
            # cannot read.
            sleep(pause)
            if self.control.get(LOADER).get("renewals") != found["renewals"]:
                raise Refused("another loader is running", _FIX)
        started = self.clock()
        try:
            self.control.update(
                LOADER,
                set={"owner": self.owner, "ttl_ms": int(self.ttl * 1000), "released": False},
                add={"renewals": 1},
                # None where there is no item yet: then it must still be absent.
                only_if={"renewals": found.get("renewals")},
            )
        except ConditionFailed as error:
            raise Refused("another loader began at the same moment", _FIX) from error
        self._renewed = started

    def renew(self) -> None:
        """Shows that the owner is alive. Raises LeaseLost when another loader has taken the lock."""
        started = self.clock()
        try:
            # Else `pass_on` could change the name while a renewal under the old one is on its way, and that
            # would look as if another loader had taken over.
            with self._naming:
                self.control.update(LOADER, add={"renewals": 1}, only_if={"owner": self.owner})
        except ConditionFailed as error:
            # So that `check` raises at once, not only when the time is over.
            self._renewed = float("-inf")
            raise LeaseLost("another loader has taken over", _FIX) from error
        self._renewed = started

    def pass_on(self) -> None:
        """
        Goes on under another owner name, so that followers of the old one stop writing. Does nothing where
        the lock is lost.
        """
        name = _new_owner()
        with self._naming:
            try:
                self.control.update(LOADER, set={"owner": name}, only_if={"owner": self.owner})
            except ConditionFailed:
                return
            self.owner = name

    def check(self) -> None:
        """Raises LeaseLost when the last renewal is so long ago that another loader may be running."""
        refuse_late(self.clock(), self._renewed, self.ttl)

    @property
    def renewed(self) -> float:
        """When it was last renewed, by `clock`, in seconds: the time before the request was sent."""
        return self._renewed

    def release(self) -> None:
        """Releases the lock; does nothing when it was lost meanwhile."""
        with suppress(ConditionFailed):
            # Not deleted: the number of renewals would begin again, and could equal one that somebody has
            # seen.
            self.control.update(LOADER, set={"released": True}, only_if={"owner": self.owner})

    @contextmanager
    def held(
        self, report: Callable[[str], None], sleep: Callable[[float], None] = time.sleep
    ) -> Iterator[None]:
        """Context manager: holds the lock and renews it from a thread."""
        self.acquire(sleep, report)
        ended = threading.Event()
        heart = threading.Thread(target=self._beat, args=(ended,), name="loader-lock", daemon=True)
        heart.start()
        try:
            yield
        finally:
            ended.set()
            # First: no renewal comes after the release.
            heart.join()
            self.release()

    def _beat(self, ended: threading.Event) -> None:
        # Two attempts within the SAFE part of the TTL, so one request that fails does not end the load.
        while not ended.wait(self.ttl / 4):
            try:
                self.renew()
            except LeaseLost:
                return  # the workers' next `check` raises it
            except (ClientError, BotoCoreError):
                continue  # until `check` raises because it has been too long


def _new_owner() -> str:
    return f"{gethostname()}:{uuid.uuid4().hex[:12]}"


def refuse_late(now: float, renewed: float, ttl: float) -> None:
    """As LoaderLock.check, for workers that know only the time of the last renewal."""
    if now - renewed > ttl * SAFE:
        raise LeaseLost(
            "this loader could not renew its lock", "run the load again: it resumes with the open chunks"
        )
