"""QUERY events: the text of statements."""

import struct
from functools import lru_cache

from capturer.decoder.errors import UnreadableColumn
from capturer.decoder.framing import HEADER
from capturer.decoder.values.charsets import charset_of, reader
from capturer.decoder.values.mariadb import inflated
from capturer.decoder.wire import taken

_CONTENT = HEADER + 8
"""Offset after the session's id and the seconds that the statement took."""
_FIXED = struct.Struct("<BHH")
_LOAD_HEAD = 13
_SHORT = 300
"""Bytes. Only shorter events are cached, which bounds the memory."""
_CHARSET_VARIABLE = 4
_SIZES = {0: 4, 1: 8, 3: 4, 8: 2, 7: 2}
"""Status variables of a fixed size that may precede the character set."""
_CATALOG, _CATALOG_WITHOUT_ZERO, _TIME_ZONE = 2, 6, 5


def load_query(data: bytes) -> tuple[str, str]:
    """As `query`, for LOAD DATA, where three numbers and a flag precede the status variables."""
    fixed = HEADER + 8 + _FIXED.size
    return query(data[:fixed] + data[fixed + _LOAD_HEAD :])


def query(data: bytes, *, compressed: bool = False) -> tuple[str, str]:
    """The default schema and the statement, decoded from its character set; invalid bytes are replaced."""
    parse = _parsed if len(data) > _SHORT else _parsed_once  # cached: BEGIN is in every transaction
    return parse(data[_CONTENT:], compressed)


def _parsed(content: bytes, compressed: bool) -> tuple[str, str]:
    schema_size, _, status_size = _FIXED.unpack_from(content)
    status, at = taken(content, _FIXED.size, status_size)
    schema, at = taken(content, at, schema_size)
    _, at = taken(content, at, 1)  # the zero after the schema's name
    sql = inflated(content[at:]) if compressed else content[at:]
    return schema.decode(), sql.decode() if sql.isascii() else _decoded(sql, status)


_parsed_once = lru_cache(64)(_parsed)


def _decoded(sql: bytes, status: bytes) -> str:
    try:
        return reader(charset_of(_collation(status)))(sql)
    except (UnreadableColumn, ValueError):
        return sql.decode(errors="replace")


def _collation(status: bytes) -> int:
    """character_set_client of the session; utf8mb4 if the event does not have it."""
    at = 0
    while at < len(status):
        code = status[at]
        at += 1
        if code == _CHARSET_VARIABLE:
            return int.from_bytes(status[at : at + 2], "little")
        if code in _SIZES:
            at += _SIZES[code]
        elif code in (_CATALOG, _CATALOG_WITHOUT_ZERO, _TIME_ZONE):
            # The older form ends in a zero that its length does not count.
            at += 1 + status[at] + (code == _CATALOG)
        else:
            break  # of unknown size: nothing after it can be found
    return 255  # utf8mb4_0900_ai_ci
