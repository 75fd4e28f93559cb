"""
Errors that stop reading; the position stays before the event.

* CaptureStopped
  + DamagedEvent       the bytes are not an event as a server writes it
  + DecoderFault       the bytes are as the server wrote them, and reading them failed: a fault of ours
  + UnknownEvent       an event of an unknown type, which may hold rows
  + RowImageNotFull    the event leaves columns out
  + UnreadableColumn   the event alone does not say how to read a column
"""

from rowferry.errors import CaptureStopped


class DamagedEvent(CaptureStopped):
    """The bytes are not what a server writes: cut off, changed, or of a table that was never described."""

    def __init__(self, found: str) -> None:
        super().__init__(
            f"a binlog event is damaged ({found})",
            "start again from the checkpoint; if it happens again at the same place, check the server's disk "
            "with mysqlbinlog --verify-binlog-checksum",
        )


class DecoderFault(CaptureStopped):
    """
    Reading failed although the event's checksum is right: it is as the server wrote it; the fault is ours.

    `kind` is the event's type, `place` where in the code, `error` the class of the error: no text of it,
    which may hold a row's value.
    """

    def __init__(self, kind: int, error: str, place: str) -> None:
        super().__init__(
            f"a fault in Rowferry: an event of type {kind}, whose checksum is right, cannot be read"
            f" ({error} at {place})",
            "please report it with this line, the server's version and SHOW CREATE TABLE of the tables",
        )


class UnknownEvent(CaptureStopped):
    """An event of an unknown type that the server has not marked as ignorable."""

    def __init__(self, kind: int) -> None:
        super().__init__(
            f"an event of unknown type {kind} may hold changes", "use a server version that Rowferry knows"
        )


class RowImageNotFull(CaptureStopped):
    """The writer ran with binlog_row_image MINIMAL or NOBLOB: columns are missing, which is not NULL."""

    def __init__(self, table: str) -> None:
        super().__init__(
            f"a row change of {table} does not have all columns",
            "SET GLOBAL binlog_row_image=FULL, then reconnect the writers",
        )


class UnreadableColumn(CaptureStopped):
    """A column of a type, character set or metadata that cannot be read exactly."""
