"""One loader at a time: a lock in the control table that its owner renews, so that no clocks are compared."""

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
SAFE = 0.5  # of the TTL: later than that after a renewal no request is begun
LONGEST_REQUEST = TTL * (1 - SAFE)
"""
Seconds. A request begun under the lock has ended, or failed, before another
loader may begin: else it could put an old chunk over what that one has loaded.
"""
_FIX = "wait until it has ended, or end it, then run the load again: it goes on with the open chunks"


class LoaderLock:
    """Held by one loader. `check` is asked before every write."""

    def __init__(
        self, control: ControlTable, ttl: float = TTL, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.control = control
        self.ttl = ttl
        self.clock = clock
        self.owner = _new_owner()
        self._renewed = clock()
        self._naming = threading.Lock()

    def acquire(self, sleep: Callable[[float], None], tell: Callable[[str], None]) -> None:
        """
        Takes the lock. One that was not given back is watched for its TTL: Refused when its owner lives.
        """
        found = self.control.get(LOADER)
        if found and not found["released"]:
            pause = found["ttl_ms"] / 1000
            tell(f"the last loader has not given its lock back: watching {pause:.0f} s for signs of life")
            sleep(pause)
            if self.control.get(LOADER).get("renewals") != found["renewals"]:
                raise Refused("another loader is at work", _FIX)
        started = self.clock()
        try:
            self.control.update(
                LOADER,
                set={"owner": self.owner, "ttl_ms": int(self.ttl * 1000), "released": False},
                add={"renewals": 1},
                only_if={"renewals": found.get("renewals")},
            )
        except ConditionFailed as error:
            raise Refused("another loader began at the same moment", _FIX) from error
        self._renewed = started

    def renew(self) -> None:
        """Shows that the owner lives. LeaseLost when another loader has taken the lock."""
        started = self.clock()
        try:
            with self._naming:
                self.control.update(LOADER, add={"renewals": 1}, only_if={"owner": self.owner})
        except ConditionFailed as error:
            self._renewed = float("-inf")
            raise LeaseLost("another loader has taken over", _FIX) from error
        self._renewed = started

    def pass_on(self) -> None:
        """
        Goes on under another name, so that who follows the old one writes no more; nothing where it is lost.
        """
        name = _new_owner()
        with self._naming:
            try:
                self.control.update(LOADER, set={"owner": name}, only_if={"owner": self.owner})
            except ConditionFailed:
                return
            self.owner = name

    def check(self) -> None:
        """LeaseLost when the last renewal is so long ago that another loader may be at work."""
        refuse_late(self.clock(), self._renewed, self.ttl)

    @property
    def renewed(self) -> float:
        """When it was last renewed, by the clock."""
        return self._renewed

    def release(self) -> None:
        """Gives the lock back; when it was lost meanwhile, there is nothing to give back."""
        with suppress(ConditionFailed):
            self.control.update(LOADER, set={"released": True}, only_if={"owner": self.owner})

    @contextmanager
    def held(
        self, tell: Callable[[str], None], sleep: Callable[[float], None] = time.sleep
    ) -> Iterator[None]:
        """Holds the lock and renews it from a thread."""
        self.acquire(sleep, tell)
        ended = threading.Event()
        heart = threading.Thread(target=self._beat, args=(ended,), name="loader-lock", daemon=True)
        heart.start()
        try:
            yield
        finally:
            ended.set()
            heart.join()
            self.release()

    def _beat(self, ended: threading.Event) -> None:
        while not ended.wait(self.ttl / 4):
            try:
                self.renew()
            except LeaseLost:
                return  # `check` tells the workers
            except (ClientError, BotoCoreError):
                continue  # until `check` says that it has been too long


def _new_owner() -> str:
    return f"{gethostname()}:{uuid.uuid4().hex[:12]}"


def refuse_late(now: float, renewed: float, ttl: float) -> None:
    """LeaseLost when the last renewal is so long ago that another loader may be at work."""
    if now - renewed > ttl * SAFE:
        raise LeaseLost(
            "this loader could not renew its lock", "run the load again: it goes on with the open chunks"
        )
