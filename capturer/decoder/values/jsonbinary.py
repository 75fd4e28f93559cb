"""
MySQL's binary JSON to documents: dict, list, str, bool, None, and numbers normalised to int or Decimal.

https://dev.mysql.com/doc/dev/mysql-server/latest/json__binary_8h.html Dates, times and other values that JSON
lacks ("opaque") are the text that a SELECT returns: `base64:type15:/wA=`. Raises ValueError, IndexError or
struct.error for bytes that are not a document, in time bounded by their number.
"""

import struct
from base64 import encodebytes
from typing import Any

from capturer.decoder.values import decimals
from capturer.decoder.values.temporal import packed_date, packed_datetime, packed_time
from capturer.decoder.wire import damaged, taken
from rowferry.values.numeric import json_number

type Document = Any

MAX_DEPTH = 100
"""JSON_DOCUMENT_MAX_DEPTH of MySQL."""
_SMALL_OBJECT, _LARGE_OBJECT, _SMALL_ARRAY, _LARGE_ARRAY, _LITERAL = 0, 1, 2, 3, 4
_DOUBLE_TYPE, _STRING, _OPAQUE = 0x0B, 0x0C, 0x0F
_NUMBERS = {
    0x05: struct.Struct("<h"),
    0x06: struct.Struct("<H"),
    0x07: struct.Struct("<i"),
    0x08: struct.Struct("<I"),
    0x09: struct.Struct("<q"),
    0x0A: struct.Struct("<Q"),
}
_DOUBLE = struct.Struct("<d")
_INLINED_ALWAYS = frozenset([0x04, 0x05, 0x06])
_INLINED_IN_LARGE = frozenset([0x07, 0x08])
_LITERALS = (None, True, False)
_NEWDECIMAL, _DATE, _TIME, _DATETIME, _TIMESTAMP = 246, 10, 11, 12, 7
_TEMPORAL = {
    _DATE: packed_date,
    _TIME: packed_time,
    _DATETIME: packed_datetime,
    _TIMESTAMP: packed_datetime,
}
_SMALL, _LARGE = struct.Struct("<HH"), struct.Struct("<II")
_SMALL_KEY, _LARGE_KEY = struct.Struct("<HH"), struct.Struct("<IH")
_SMALL_VALUE, _LARGE_VALUE = struct.Struct("<BH"), struct.Struct("<BI")


def document(data: bytes) -> Document:
    """The document in a JSON column's bytes; no bytes at all are null (INSERT IGNORE can leave that)."""
    return _Reader(data).value(data[0], 1, len(data), 1) if data else None


def _length(data: bytes, at: int) -> tuple[int, int]:
    """A length of up to five bytes, seven bits in each."""
    value = 0
    for number in range(5):
        byte = data[at + number]
        value |= (byte & 0x7F) << 7 * number
        if byte < 0x80:
            return value, at + number + 1
    return damaged("not a length in JSON")


class _Reader:
    """
    Reads one document.

    The trap: entries are offsets, so damaged bytes could make a small document unfold without end. In a real
    one nothing is shared, so no more bytes are read than there are.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._left = len(data)

    def value(self, kind: int, at: int, end: int, depth: int) -> Document:
        """The value of type `kind` that starts at `at` and must end by `end`."""
        if kind <= _LARGE_ARRAY:
            return self._container(kind, at, end, depth)
        if kind == _STRING:
            return self._text(at, end)
        if kind in _NUMBERS:
            return _NUMBERS[kind].unpack_from(self._data, at)[0]
        if kind == _DOUBLE_TYPE:
            return json_number(*_DOUBLE.unpack_from(self._data, at))
        if kind == _OPAQUE:
            return self._opaque(at, end)
        if kind == _LITERAL:
            return _LITERALS[self._data[at]]
        return damaged("not a type of JSON")

    def _spend(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            damaged("JSON that holds itself")

    def _bytes(self, at: int, size: int, end: int) -> bytes:
        self._spend(size)
        if at + size > end:
            damaged("JSON cut off")
        return self._data[at : at + size]

    def _text(self, at: int, end: int) -> str:
        size, at = _length(self._data, at)
        return self._bytes(at, size, end).decode()

    def _container(self, kind: int, at: int, end: int, depth: int) -> Document:
        if depth > MAX_DEPTH:
            damaged("JSON nested too deeply")
        large = kind in (_LARGE_OBJECT, _LARGE_ARRAY)
        head = _LARGE if large else _SMALL
        count, size = head.unpack_from(self._data, at)
        if at + size > end:
            damaged("JSON cut off")
        self._spend(count)  # each entry takes bytes: a count that is too large is refused before any is read
        entries = at + head.size
        if kind >= _SMALL_ARRAY:
            return self._values(large, count, entries, at, at + size, depth)
        keys = self._keys(large, count, entries, at, at + size)
        entries += count * (_LARGE_KEY if large else _SMALL_KEY).size
        return dict(zip(keys, self._values(large, count, entries, at, at + size, depth), strict=True))

    def _keys(self, large: bool, count: int, entries: int, start: int, end: int) -> list[str]:
        entry = _LARGE_KEY if large else _SMALL_KEY
        table, _ = taken(self._data, entries, count * entry.size)
        return [self._bytes(start + offset, size, end).decode() for offset, size in entry.iter_unpack(table)]

    def _values(
        self, large: bool, count: int, entries: int, start: int, end: int, depth: int
    ) -> list[Document]:
        entry = _LARGE_VALUE if large else _SMALL_VALUE
        inlined = _INLINED_ALWAYS | _INLINED_IN_LARGE if large else _INLINED_ALWAYS
        table, after = taken(self._data, entries, count * entry.size)
        found = []
        for number, (kind, offset) in enumerate(entry.iter_unpack(table)):
            if kind in inlined:
                at = entries + number * entry.size + 1  # the value is in the entry itself, after its type
            else:
                at = start + offset
                if at < after:  # values only come after their entries: nothing can hold itself
                    damaged("JSON that points back")
            found.append(self.value(kind, at, end, depth + 1))
        return found

    def _opaque(self, at: int, end: int) -> Document:
        kind = self._data[at]
        size, at = _length(self._data, at + 1)
        content = self._bytes(at, size, end)
        if kind == _NEWDECIMAL:
            return _decimal(content)
        if kind in _TEMPORAL:
            if size != 8:
                damaged("not a time in JSON")
            return _TEMPORAL[kind](int.from_bytes(content, "little", signed=True))
        lines = encodebytes(content).decode().rstrip("\n")  # of 76 characters, as MySQL breaks them
        return f"base64:type{kind}:{lines}"


def _decimal(content: bytes) -> Document:
    precision, scale = content[0], content[1]
    if len(content) != 2 + decimals.size(precision, scale):
        damaged("not a DECIMAL in JSON")
    return json_number(decimals.reader(precision, scale)(content[2:]))
