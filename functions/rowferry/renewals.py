"""
Whether the owner of a lock or lease is alive, as others see it. Clocks of two machines are never compared.
"""

from dataclasses import dataclass


@dataclass(slots=True)
class RenewalWatch:
    """
    Another owner's renewals, as reads of the control table show them.

    To take over, pass the time AFTER a read: the owner, which counts from before it renewed, has had its
    whole time by then. To rely on the owner, pass the time of the PREVIOUS read: it had not renewed by then,
    so its time begins there at the earliest.
    """

    since: float = float("-inf")
    """The time that was passed with the first read that showed the current renewal."""
    _seen: object = None

    def look(self, renewal: object, at: float) -> float:
        """
        Seconds up to `at` for which `renewal`, any value that changes with each renewal, has been the same.
        """
        if renewal != self._seen:
            self._seen, self.since = renewal, at
        return at - self.since
