"""
Every error that Rowferry raises on purpose.

* RowferryError
  + UnusableChange        can never be applied as it is: goes to the quarantine
    - MalformedRecord
    - UnknownTable
    - MissingColumn
    - EmptyKey
    - ReservedName
    - ValueOutOfRange
    - OversizedItem
    - OversizedChange
    - HookFailed
  + Unapplied             the same change may succeed next time
  + MappingError          the mapping file is wrong
  + SourceNotReady        the source server, or access to it, must be mended first
  + CaptureStopped        the binlog holds something that cannot be carried
  + LeaseLost             another capturer has taken over
  + Refused               the operator asked for something that is not safe now

The class decides what happens; the message says what was found and what was
expected and ends in the fix. Messages never hold row values.
"""

from collections.abc import Iterable
from typing import Self


class RowferryError(Exception):
    """Base of all. `fix` is the sentence that tells the operator what to do."""

    def __init__(self, found: str, fix: str) -> None:
        super().__init__(f"{found}: {fix}")
        self.found = found
        self.fix = fix

    def __reduce__(self) -> tuple[type[Self], tuple[str, str]]:
        return type(self), (self.found, self.fix)  # from one process to another


class UnusableChange(RowferryError):
    """A change that can never be applied as it is."""


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
    """DynamoDB has no place for the value."""


class OversizedItem(UnusableChange):
    """The item would be larger than 400 KB."""


class OversizedChange(UnusableChange):
    """The change is larger than a stream record may be; the record carries its key only."""


class HookFailed(UnusableChange):
    """The user's hook raised, or gave what is no row."""


class Unapplied(RowferryError):
    """The write did not happen, and may the next time."""


class MappingError(RowferryError):
    """The mapping file cannot be used."""


class SourceNotReady(RowferryError):
    """The source cannot be read as it is."""


PASS, LOAD = "pass", "load"


class CaptureStopped(RowferryError):
    """
    Capture stands still at the position before something that it cannot carry.

    `remedy` is PASS where the transaction may be passed over once the source tables in `tables` have been
    loaded again, LOAD where capture then goes on by itself; empty where only the fix helps. `at` is the
    place, FILE:OFFSET.
    """

    def __init__(
        self, found: str, fix: str, remedy: str = "", tables: Iterable[str] = (), at: str = ""
    ) -> None:
        super().__init__(found, fix)
        self.remedy = remedy
        self.tables = sorted(tables)
        self.at = at


class LeaseLost(RowferryError):
    """This capturer may not send any more."""


class Refused(RowferryError):
    """The command would endanger the data now."""
