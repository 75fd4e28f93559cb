"""
The expression that selects each column, so that a SELECT gives exactly the value that the binlog has.

It needs a session opened as `rowferry.mysql.session` says, in utf8mb4, and a driver that makes numbers and
temporal values from their text and returns binary strings as bytes.
"""

import re
import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from rowferry.errors import SourceNotReady
from rowferry.values import Value
from rowferry.values.document import Json, parse
from rowferry.values.numeric import MAX_DIGITS

_HALF = re.compile("[\ud800-\udfff]")

type Convert = Callable[[Any], Value]


@dataclass(frozen=True, slots=True)
class SourceColumn:
    """
    One column of a source table, as information_schema has it.

    `type` is its data_type in lower case; `charset` and `collation` are None unless it is text; `digits` is
    numeric_precision, None unless it is a number.
    """

    name: str
    type: str
    charset: str | None = None
    collation: str | None = None
    nullable: bool = False
    digits: int | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """
    How one column is read: `expression` selects the column at `{}`, `convert` turns what the driver returns
    into the value (None: it is the value already).
    """

    expression: str = "{}"
    convert: Convert | None = None


@dataclass(frozen=True, slots=True)
class Selection:
    """
    The columns `names`, the select list `listed`, and the conversions by the column's index.

    Used by everything that reads rows with a SELECT (load, export, `ferry mapping check`), so that all read
    alike.
    """

    names: tuple[str, ...]
    listed: str
    conversions: tuple[tuple[int, Convert], ...] = ()

    def values(self, fetched: Iterable[Sequence[Any]]) -> Iterable[Sequence[Value]]:
        """The values of rows as the driver returned them."""
        return map(self._converted, fetched) if self.conversions else fetched

    def _converted(self, row: Sequence[Any]) -> Sequence[Value]:
        made = list(row)
        for place, convert in self.conversions:
            if made[place] is not None:
                made[place] = convert(made[place])
        return made


class _Labels(dict[str, tuple[str, ...]]):
    """
    Cache from the printed text of a SET to its labels, which cannot hold a comma; an empty label is dropped.
    """

    def __missing__(self, text: str) -> tuple[str, ...]:
        if len(self) > 4096:  # bounds the memory: a SET may have 2^64 values
            self.clear()
        self[text] = tuple(filter(None, text.split(",")))
        return self[text]


def _single(value: float) -> float:
    return float(f"{value:.6g}")  # what a SELECT of a FLOAT prints: FLT_DIG digits


def _document(text: str) -> Json:
    return Json(parse(text))


def _ucs2(data: bytes) -> str:
    """ucs2 has no surrogate pairs: two adjacent halves stay two halves."""
    return without_halves("".join(map(chr, struct.unpack(f">{len(data) // 2}H", data))))


def without_halves(text: str) -> str:
    """Replaces each half of a surrogate pair, which servers store but UTF-8 lacks, by U+FFFD."""
    return _HALF.sub("\N{REPLACEMENT CHARACTER}", text)


_PLAIN = Reading()
_BYTES = Reading("CAST({} AS BINARY)")
_READINGS: dict[str, Reading] = {
    **dict.fromkeys(["tinyint", "smallint", "mediumint", "int", "bigint", "decimal", "year"], _PLAIN),
    **dict.fromkeys(["date", "datetime", "timestamp", "time"], _PLAIN),
    **dict.fromkeys(["char", "varchar", "tinytext", "text", "mediumtext", "longtext", "enum"], _PLAIN),
    **dict.fromkeys(["binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"], _PLAIN),
    **dict.fromkeys(["geometry", "point", "linestring", "polygon", "multipoint"], _PLAIN),
    **dict.fromkeys(["multilinestring", "multipolygon", "geomcollection", "geometrycollection"], _PLAIN),
    **dict.fromkeys(["inet4", "inet6", "uuid"], _PLAIN),
    # * 1e0: all digits, also where FLOAT(M,D) and DOUBLE(M,D) print D decimals; -0 stays -0
    "double": Reading("{} * 1e0"),
    "float": Reading("{} * 1e0", _single),
    "bit": Reading("{} + 0"),  # as a number; without, drivers return bytes
    "json": Reading(convert=_document),
    "vector": _BYTES,  # the protocol has a type of its own for it, which drivers take for text
}
"""By information_schema's data_type. `reading` handles SET, and text in ucs2."""
_UCS2 = Reading(_BYTES.expression, _ucs2)  # half surrogates would arrive as bytes that are not UTF-8

CHARSETS = frozenset([
    "armscii8", "ascii", "big5", "binary", "cp1250", "cp1251", "cp1256", "cp1257", "cp850", "cp852",
    "cp866", "cp932", "dec8", "eucjpms", "euckr", "gb18030", "gb2312", "gbk", "geostd8", "greek",
    "hebrew", "hp8", "keybcs2", "koi8r", "koi8u", "latin1", "latin2", "latin5", "latin7", "macce",
    "macroman", "sjis", "swe7", "tis620", "ucs2", "ujis", "utf16", "utf16le", "utf32", "utf8",
    "utf8mb3", "utf8mb4",
])  # fmt: skip
"""Character sets that a SELECT and the binlog decoder read alike."""


def quoted(name: str) -> str:
    """The name quoted for SQL; percent signs are doubled for the driver's parameters."""
    return "`" + name.replace("`", "``").replace("%", "%%") + "`"


def reading(column: SourceColumn) -> Reading | None:
    """How the column is selected; None if its type or character set is not supported."""
    if column.charset is not None and column.charset not in CHARSETS:
        return None
    if column.type in ("enum", "set") and column.charset in (None, "binary"):
        return None  # labels that are bytes are not text
    if column.type == "set":
        return Reading(convert=_Labels().__getitem__)
    textual = column.type in ("char", "varchar", "tinytext", "text", "mediumtext", "longtext")
    return _UCS2 if textual and column.charset == "ucs2" else _READINGS.get(column.type)


def selection(columns: Sequence[SourceColumn]) -> Selection:
    """The select list for these columns. Raises SourceNotReady for a column that is not supported."""
    readings = [(column, reading(column)) for column in columns]
    listed, conversions = [], []
    for place, (column, found) in enumerate(readings):
        if found is None:
            raise SourceNotReady(f"column {column.name} is {described(column)}", NOT_CARRIED)
        listed.append(found.expression.format(quoted(column.name)))
        if found.convert is not None:
            conversions.append((place, found.convert))
    return Selection(tuple(column.name for column in columns), ", ".join(listed), tuple(conversions))


NOT_CARRIED = "leave the column out of the mapping (exclude), or convert it to another type or character set"


def described(column: SourceColumn) -> str:
    """The column's type and character set, for messages."""
    charset = column.charset or ("binary" if column.type in ("enum", "set") else None)
    return column.type + (f" in {charset}" if charset else "")


def note(column: SourceColumn) -> str | None:
    """What the operator should know about a supported column; None if nothing."""
    if column.type == "decimal" and (column.digits or 0) > MAX_DIGITS:
        return f"{column.name} has {column.digits} digits: with more than {MAX_DIGITS} it becomes text (S)"
    return None
