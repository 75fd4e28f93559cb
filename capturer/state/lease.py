"""The lease: one capturer at a time."""

from collections.abc import Callable
from contextlib import suppress

from rowferry.control_table import LEASE, ConditionFailed, ControlTable, Plain
from rowferry.errors import LeaseLost
from rowferry.renewals import RenewalWatch

TTL = 15.0
"""Seconds after which a lease that is not renewed may be taken."""
MARGIN = 1 / 3
"""The holder stops sending this part of its time before the end: no request may take longer than that."""


class Lease:
    """
    The lease in the control table, with a fencing token that rises with each holder.

    Clocks of two machines are never compared. A holder counts its time from BEFORE it requested the renewal;
    a waiting capturer counts from AFTER it read a renewal, and takes the lease if nothing has changed for the
    whole time. So the holder stops before the other one starts, by `margin`.

    `owner` is unique to this process. `clock` returns seconds and never goes back. Errors of the client come
    through. Holding the lease does not mean that nobody else writes the checkpoint: the token decides that.
    """

    def __init__(
        self,
        table: ControlTable,
        owner: str,
        clock: Callable[[], float],
        *,
        ttl: float = TTL,
    ) -> None:
        self.owner = owner
        self.ttl = ttl
        self.token = 0
        """The fencing token; 0 before the lease has been acquired."""
        self.took_over = False
        """Whether the former holder did not release it: it was killed, or stands still."""
        self._table = table
        self._clock = clock
        self._renewed = float("-inf")
        self._watch = RenewalWatch()

    @property
    def margin(self) -> float:
        """
        Seconds before its end at which the lease stops being valid: the longest that a request may take.
        """
        return self.ttl * MARGIN

    @property
    def period(self) -> float:
        """Seconds between renewals: half of the time for which one is valid."""
        return self.ttl / 3

    def valid(self) -> bool:
        """Whether something may be sent now. Check it before every request."""
        return self._clock() < self._renewed + self.ttl - self.margin

    def try_acquire(self) -> bool:
        """
        Takes the lease if it is free, released, or not renewed for its time.

        While it returns False, call it again every second or so: the time is measured between these calls.
        Raises LeaseLost if another capturer takes over what an earlier attempt of this one had taken.
        """
        item = self._table.get(LEASE)
        # After the read: the holder may have renewed while the answer was on its way.
        now = self._clock()
        if not item or item["released"]:
            return self._take(item)
        if item["owner"] == self.owner:  # an earlier attempt took it, and the answer was lost
            self.token = item["token"]
            # The time of that attempt is not known; that of a renewal is.
            self.renew()
            return True
        unchanged = self._watch.look((item["token"], item["renewals"]), now)
        # The holder's time, not this one's: the two may be configured differently.
        self.took_over = unchanged >= item["ttl_ms"] / 1000 and self._take(item)
        return self.took_over

    def renew(self) -> None:
        """Extends the lease by `ttl` from now. Raises LeaseLost if another capturer has it."""
        # Before the request: the time until its answer counts against this holder.
        before = self._clock()
        try:
            # `released`: a renewal that comes after `release` must not take the lease back. Other errors come
            # through: the lease stays valid for the rest of its time, and the caller retries.
            self._table.update(LEASE, add={"renewals": 1}, only_if={"token": self.token, "released": False})
        except ConditionFailed as error:
            self._renewed = float("-inf")  # at once: no request may begin in the time that is left
            raise LeaseLost(
                f"another capturer has the lease (this one's token was {self.token})",
                "nothing to do if two are meant to run; otherwise stop the one that is not wanted",
            ) from error
        self._renewed = before

    def release(self) -> None:
        """Releases the lease, so that the next capturer need not wait. Nothing may be in flight."""
        self._renewed = float("-inf")  # before the release: the next holder may start right after it
        with suppress(ConditionFailed):
            self._table.update(LEASE, set={"released": True}, only_if={"token": self.token})

    def _take(self, item: dict[str, int]) -> bool:
        before = self._clock()
        # After a released lease, too: a token is never used twice, because it names the sender of records.
        token = item.get("token", 0) + 1
        fields: dict[str, Plain] = {
            "owner": self.owner, "token": token, "renewals": 0,
            "ttl_ms": int(self.ttl * 1000), "released": False,
        }  # fmt: skip
        # As it was read: the update fails if another capturer has taken or renewed the lease since.
        unchanged = {name: item.get(name) for name in ("token", "renewals", "released")}
        try:
            self._table.update(LEASE, set=fields, only_if=unchanged)
        except ConditionFailed:
            return False
        self.token, self._renewed = token, before
        return True
