"""Whether the owner of a lock or lease lives, seen from outside. No clock of another machine is compared."""

from dataclasses import dataclass


@dataclass(slots=True)
class RenewalWatch:
    """
    Somebody else's renewals, as looks at the control table show them.

    Whoever wants to take over gives the time AFTER a look: the owner, who counts from before it renewed, has
    had its whole time by then. Whoever relies on the owner gives the time of the look BEFORE: it had not
    renewed by then, so it has at least its time from there.
    """

    since: float = float("-inf")
    """The time that was given with the first look that showed the present renewal."""
    _seen: object = None

    def look(self, renewal: object, at: float) -> float:
        """Seconds up to `at` for which the renewal, any value that changes with each, has been the same."""
        if renewal != self._seen:
            self._seen, self.since = renewal, at
        return at - self.since
