"""How capture is doing, as others see it: counters, and its status with the fix."""

from dataclasses import dataclass

from rowferry.errors import CaptureStopped, RowferryError


@dataclass(frozen=True, slots=True)
class Counters:
    """What has been accepted by the stream: changes, records, bytes of records."""

    changes: int = 0
    records: int = 0
    bytes: int = 0

    def __add__(self, other: "Counters") -> "Counters":
        return Counters(self.changes + other.changes, self.records + other.records, self.bytes + other.bytes)


NOTHING = Counters()


AFRESH = (
    "turn the switch off, start the capturer once with a new word for --anew WORD (in the stack: the "
    "parameter CapturerAnew), empty the targets, run `ferry load`, turn the switch on"
)
"""The fix where changes are lost for good, or may be: both roads begin again, under the next epoch."""


@dataclass(frozen=True, slots=True)
class CaptureStatus:
    """
    How capture stands: `capturing`, `waiting` or `stopped`, and for the last two why and what to do.

    `remedy`, `again` (source tables) and `at` as CaptureStopped has them.
    """

    state: str = "capturing"
    reason: str = ""
    fix: str = ""
    remedy: str = ""
    again: tuple[str, ...] = ()
    at: str = ""

    @classmethod
    def of(cls, state: str, error: RowferryError) -> "CaptureStatus":
        """The standing that an error brings."""
        if isinstance(error, CaptureStopped):
            return cls(state, error.found, error.fix, error.remedy, tuple(error.tables), error.at)
        return cls(state, error.found, error.fix)
