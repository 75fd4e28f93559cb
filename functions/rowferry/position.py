"""Where a change is in the binlog."""

from typing import NamedTuple, Self


class Position(NamedTuple):
    """
    Position of a row change: totally ordered within one source, and ordered the same way as stored text.

    `offset` is where the change's TRANSACTION starts in binlog file number `file`, `row` counts the
    transaction's row changes from 1. So the rows of a transaction are adjacent even if the server gives them
    one offset (compressed transactions), and a position with row 0 is a boundary: greater than everything
    that ended before it, less than everything that starts there. `epoch` rises when capture begins on another
    source, or again on the same one.
    """

    # The order of the fields is the order of positions, as tuples and in the text.
    epoch: int
    file: int
    offset: int
    row: int = 0

    def __str__(self) -> str:
        """
        Text of fixed width, 39 characters: DynamoDB compares it as one value.

        >>> str(Position(1, 12, 123456, 42))
        '0001.0000000c.000000000001e240.0000002a'
        """
        return f"{self.epoch:04x}.{self.file:08x}.{self.offset:016x}.{self.row:08x}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The position that `str` wrote. Raises ValueError if the text is not one."""
        epoch, file, offset, row = text.split(".")
        # A shorter text would sort in another place.
        if tuple(map(len, (epoch, file, offset, row))) != (4, 8, 16, 8):
            raise ValueError(f"not a position: {text!r}")
        return cls(int(epoch, 16), int(file, 16), int(offset, 16), int(row, 16))

    @property
    def boundary(self) -> Self:
        """The start of this change's transaction."""
        return self._replace(row=0)


FIRST_EVENT = 4
"""Offset of a file's first event, after its magic number."""


def file_number(name: str) -> int:
    """
    The number of a binlog file: `binlog.000012` is 12.

    Raises ValueError if the name does not end in a number.
    """
    return int(name.rpartition(".")[2])


def base_name(name: str) -> str:
    """
    What all binlog files of a server are named like: `binlog` of `binlog.000012`.

    The server's option --log-bin; with another one, its files are numbered from 1 again.
    """
    return name.rpartition(".")[0]


def file_name(base: str, number: int) -> str:
    """The binlog file of that number; MySQL pads to six digits, and numbers above 999999 have more."""
    return f"{base}.{number:06d}"


class BinlogOffset(NamedTuple):
    """
    A position between two transactions of the binlog: file name and byte offset.

    Reading may only resume at such a position: inside a transaction, the rows whose table map was written
    before it would be lost. A snapshot's watermark is one, too.
    """

    file: str
    offset: int

    def __str__(self) -> str:
        return f"{self.file}:{self.offset}"

    @property
    def order(self) -> tuple[int, int]:
        """Sort key for offsets. File names do not sort as text: numbers may outgrow their padding."""
        return file_number(self.file), self.offset

    def position(self, epoch: int) -> Position:
        """Greater than every change before this offset, less than every change that starts at or after it."""
        return Position(epoch, *self.order)

    @classmethod
    def of(cls, position: Position, file: str) -> Self:
        """The offset of a position in the binlog whose files are named like `file`."""
        return cls(file_name(base_name(file), position.file), position.offset)

    @classmethod
    def parse(cls, text: str) -> Self:
        """The offset in `binlog.000012:345`. Raises ValueError if the text is not one."""
        file, _, offset = text.partition(":")
        if not (file.rpartition(".")[2].isdecimal() and offset.isdecimal()):
            raise ValueError(f"not FILE:OFFSET: {text!r}")
        return cls(file, int(offset))
