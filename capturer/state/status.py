"""The state of capture as commands see it: counters, and its status with the fix."""

from dataclasses import dataclass

from rowferry.errors import CaptureStopped, RowferryError


@dataclass(frozen=True, slots=True)
class Counters:
    """What the stream has accepted: changes, records, bytes of records."""

    changes: int = 0
    records: int = 0
    bytes: int = 0

    def __add__(self, other: "Counters") -> "Counters":
        return Counters(self.changes + other.changes, self.records + other.records, self.bytes + other.bytes)


NOTHING = Counters()


START_OVER = (
    "turn the switch off, start the capturer once with a new word for --reset WORD (in the stack: the "
    "parameter CapturerReset), empty the targets, run `ferry load`, turn the switch on"
)
"""
The fix if changes are lost for good, or may be: capture and load both begin again, under the next epoch.
"""


@dataclass(frozen=True, slots=True)
class CaptureStatus:
    """
    The state of capture: `capturing`, `waiting` or `stopped`, and for the last two the reason and the fix.

    `remedy`, `again` (its `tables`) and `at` are those of CaptureStopped. It is as old as the checkpoint: a
    capturer that was killed is still `capturing` here.
    """

    state: str = "capturing"
    reason: str = ""
    fix: str = ""
    remedy: str = ""
    again: tuple[str, ...] = ()
    at: str = ""

    @classmethod
    def of(cls, state: str, error: RowferryError) -> "CaptureStatus":
        """The status after an error."""
        if isinstance(error, CaptureStopped):
            return cls(state, error.found, error.fix, error.remedy, tuple(error.tables), error.at)
        return cls(state, error.found, error.fix)
