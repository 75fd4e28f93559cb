"""
Every error that Rowferry raises on purpose.

* RowferryError
  + UnusableChange        can never be applied as it is: goes to the quarantine (a dead-letter queue)
    - MalformedRecord
    - UnknownTable
    - MissingColumn
    - EmptyKey
    - ReservedName
    - ValueOutOfRange
    - OversizedItem
    - OversizedChange
    - HookFailed
  + Unapplied             not applied now, a retry may succeed
  + MappingError          the mapping file is wrong
  + SourceNotReady        the source server, or access to it, must be fixed first
  + CaptureStopped        the binlog holds something that cannot be captured
  + LeaseLost             another capturer has taken over
  + BadPart               a file of an export cannot be loaded as it is
  + Refused               the operator asked for something that is not safe now
    - NotCaptured         the server at hand is not the one that is captured now

The class decides what happens; the message says what was found and what was
expected and ends in the fix. Messages never hold row values.
"""

from collections.abc import Iterable
from typing import Self


class RowferryError(Exception):
    """
    Base of all errors that are raised on purpose.

    `found` says what was found and what was expected, `fix` what the operator can do about it.
    Neither may hold row values or secrets: both are logged.
    """

    def __init__(self, found: str, fix: str) -> None:
        super().__init__(f"{found}: {fix}")
        self.found = found
        self.fix = fix

    def __reduce__(self) -> tuple[type[Self], tuple[str, str]]:
        return type(self), (self.found, self.fix)  # pickled between the load's processes


class UnusableChange(RowferryError):
    """A change that can never be applied as it is, however often it is retried: it is quarantined."""


class MalformedRecord(UnusableChange):
    """The stream record is not what the capturer writes."""


class UnknownTable(UnusableChange):
    """The mapping has no entry for the change's table."""


class MissingColumn(UnusableChange):
    """The row lacks a column that the mapping names."""


class EmptyKey(UnusableChange):
    """A key attribute or a member name would be empty, or is longer than DynamoDB takes."""


class ReservedName(UnusableChange):
    """A member's name is that of a key attribute or of Rowferry's own attributes."""


class ValueOutOfRange(UnusableChange):
    """DynamoDB cannot store the value."""


class OversizedItem(UnusableChange):
    """The item would be larger than 400 KB."""


class OversizedChange(UnusableChange):
    """The change is larger than a stream record may be; the record carries its key only."""


class HookFailed(UnusableChange):
    """The user's hook raised an exception, or returned something that is not a row."""


class Unapplied(RowferryError):
    """
    The write did not happen now, and a retry may succeed.

    Raised by stores and quarantines; the consumer then reports the record, and the stream delivers it again.
    """


class MappingError(RowferryError):
    """The mapping file cannot be used."""


class SourceNotReady(RowferryError):
    """The source cannot be read as it is."""


PASS, LOAD = "pass", "load"


class CaptureStopped(RowferryError):
    """
    Capture stopped at the position before something that it cannot capture.

    `remedy` is PASS if the transaction may be skipped once the source tables in `tables` have been loaded
    again, LOAD if capture continues by itself after that load, and empty if only the fix helps. `at` is the
    position of the stop, FILE:OFFSET.
    """

    def __init__(
        self, found: str, fix: str, remedy: str = "", tables: Iterable[str] = (), at: str = ""
    ) -> None:
        super().__init__(found, fix)
        self.remedy = remedy
        self.tables = sorted(tables)
        self.at = at


class LeaseLost(RowferryError):
    """This capturer must not send any more: another one may hold the lease."""


class BadPart(RowferryError):
    """A file of an export is missing, damaged or not what it should be; nothing of it may be used."""


class Refused(RowferryError):
    """A command of the operator that would endanger the data in the present state."""


class NotCaptured(Refused):
    """
    The server at hand, or its binlog, is not the one that is captured. Right after a failover that changes by
    itself: capture follows.
    """
