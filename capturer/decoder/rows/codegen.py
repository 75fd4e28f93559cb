"""
Generates the Python code that reads one image of a row.

Straight-line code that knows every column: no loop over columns, no call for integers, ASCII text and bytes.
Adjacent columns of fixed size, and the length that follows them, are read by one `struct` call.
"""

import struct
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

from capturer.decoder.rows.columns import Fixed, Plan, Sized
from capturer.decoder.rows.table_schema import TableMap
from capturer.decoder.rows.types import ColumnType

_LENGTH_CODES = {1: "B", 2: "H", 4: "I"}
_LENGTHS = {
    1: "data[pos]",
    2: "(data[pos] | data[pos + 1] << 8)",
    3: "from_bytes(data[pos:pos + 3], 'little')",
    4: "from_bytes(data[pos:pos + 4], 'little')",
}


class RowCode:
    """
    The code for a table's rows. `names` are the globals that it needs besides `data`, `text` and `pos`.

    Values are left in variables named `PREFIX + column number`.
    """

    def __init__(self, table: TableMap, plans: Sequence[Plan], wanted: Sequence[bool]) -> None:
        self.names: dict[str, Any] = {f"h{number}": plan.helper for number, plan in enumerate(plans)}
        self._table = table
        self._plans = plans
        self._wanted = wanted
        self._json = [n for n, column in enumerate(table.columns) if column.type is ColumnType.JSON]

    def image(self, prefix: str, *, partial: bool = False) -> Iterator[str]:
        """
        Lines that read one image, in two branches, so that rows without NULLs pay nothing for them.

        With `partial`, JSON documents whose bit in the variable `partial` is set are changes to image `b`.
        """
        count = len(self._plans)
        size = (count + 7) // 8
        everything = range(count)
        bitmap = _LENGTHS.get(size, f"from_bytes(data[pos:pos + {size}], 'little')")
        yield f"nulls = {bitmap} & {(1 << count) - 1}"  # bits after the last column have no meaning
        yield f"pos += {size}"
        yield "if nulls:"
        yield from _indented(self._with_nulls(prefix, everything, partial=partial))
        yield "else:"
        yield from _indented(self._straight(prefix, everything, partial=partial))

    def mapping(self, prefix: str) -> str:
        """The expression of an image: a dictionary of the wanted columns."""
        items = (
            f"{column.name!r}: {prefix}{n}" for n, column in enumerate(self._table.columns) if self._wanted[n]
        )
        return f"{{{', '.join(items)}}}"

    def partial_bits(self) -> Iterator[str]:
        """Lines that read which JSON documents are sent as changes."""
        size = (len(self._json) + 7) // 8
        yield "options, pos = packed_int(data, pos)"
        yield "partial = 0"
        yield "if options & 1:"
        yield f"    partial = from_bytes(data[pos:pos + {size}], 'little')"
        yield f"    pos += {size}"

    def _with_nulls(self, prefix: str, numbers: Iterable[int], *, partial: bool) -> Iterator[str]:
        columns = self._table.columns
        never = sum(1 << n for n in numbers if not columns[n].nullable)
        if never:
            yield f"if nulls & {never}:"
            yield "    damaged('NULL in a column that is NOT NULL')"
        for nullable, run in groupby(numbers, lambda n: columns[n].nullable):
            if not nullable:
                yield from self._straight(prefix, run, partial=partial)
                continue
            for n in run:
                yield f"if nulls & {1 << n}:"
                yield f"    {prefix}{n} = None"
                yield "else:"
                yield from _indented(self._straight(prefix, [n], partial=partial))

    def _straight(self, prefix: str, numbers: Iterable[int], *, partial: bool) -> Iterator[str]:
        group: list[int] = []
        for n in numbers:
            place = self._plans[n]
            if isinstance(place, Fixed):
                group.append(n)
                continue
            yield from self._group(prefix, group, place)
            yield from self._sized(prefix, n, place, partial=partial)
            group = []
        yield from self._group(prefix, group, None)

    def _group(self, prefix: str, group: Sequence[int], after: Sized | None) -> Iterator[str]:
        """A run of fixed columns and, if `struct` has a letter for it, the length of what follows."""
        plans = [(n, place) for n in group if isinstance(place := self._plans[n], Fixed)]
        size = sum(place.size for _, place in plans)
        read = [(n, place) for n, place in plans if self._wanted[n]]
        letter = _LENGTH_CODES.get(after.prefix) if after and read else None
        if read:
            code = "<" + "".join(place.code if self._wanted[n] else f"{place.size}x" for n, place in plans)
            targets = [f"{prefix}{n}" for n, _ in read] + ["size"] * bool(letter)
            yield f"{', '.join(targets)}, = {self._unpacker(code + (letter or ''))}(data, pos)"
        yield from self._advance(size, after, letter)
        for n, place in read:
            if place.make != "{raw}":
                yield f"{prefix}{n} = {place.make.format(raw=f'{prefix}{n}', use=f'h{n}')}"

    @staticmethod
    def _advance(size: int, after: Sized | None, letter: str | None) -> Iterator[str]:
        if after and letter:
            yield f"p = pos + {size + after.prefix}"
            # Here, `size` is a name in the generated code: the length that struct has read.
            yield "pos = p + size"
            return
        if size:
            yield f"pos += {size}"
        if after:
            yield f"p = pos + {after.prefix}"
            yield f"pos = p + {_LENGTHS[after.prefix]}"

    def _sized(self, prefix: str, n: int, place: Sized, *, partial: bool) -> Iterator[str]:
        if not self._wanted[n]:
            return
        made = place.make.format(bytes="data[p:pos]", text="text[p:pos]", use=f"h{n}")
        if partial and n in self._json:
            made = f"patched(b{n}, data[p:pos]) if partial & {1 << self._json.index(n)} else {made}"
        yield f"{prefix}{n} = {made}"

    def _unpacker(self, code: str) -> str:
        name = f"u{code[1:]}"
        self.names[name] = struct.Struct(code).unpack_from
        return name


def _indented(lines: Iterable[str]) -> Iterator[str]:
    empty = True
    for line in lines:
        empty = False
        yield f"    {line}"
    if empty:
        yield "    pass"
