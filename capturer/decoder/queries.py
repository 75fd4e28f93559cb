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
_SQL_MODE, _CHARSET_VARIABLE = 1, 4
_UTF8MB4 = 255  # utf8mb4_0900_ai_ci
_SIZES = {0: 4, _SQL_MODE: 8, 3: 4, _CHARSET_VARIABLE: 6, 8: 2, 7: 2}
"""Status variables of a fixed size, up to the character set."""
_CATALOG, _CATALOG_WITHOUT_ZERO, _TIME_ZONE = 2, 6, 5


type Read = tuple[str, str, int]
"""The default schema, the statement, the session's sql_mode."""


def load_query(data: bytes) -> Read:
    """As `query`, for LOAD DATA, where three numbers and a flag precede the status variables."""
    fixed = HEADER + 8 + _FIXED.size
    return query(data[:fixed] + data[fixed + _LOAD_HEAD :])


def query(data: bytes, *, compressed: bool = False) -> Read:
    """The statement is decoded from its character set; invalid bytes are replaced."""
    parse = _parsed if len(data) > _SHORT else _parsed_once  # cached: BEGIN is in every transaction
    return parse(data[_CONTENT:], compressed)


def _parsed(content: bytes, compressed: bool) -> Read:
    schema_size, _, status_size = _FIXED.unpack_from(content)
    status, at = taken(content, _FIXED.size, status_size)
    schema, at = taken(content, at, schema_size)
    _, at = taken(content, at, 1)  # the zero after the schema's name
    sql = inflated(content[at:]) if compressed else content[at:]
    variables = _variables(status)
    mode = int.from_bytes(variables.get(_SQL_MODE, b""), "little")
    collation = variables.get(_CHARSET_VARIABLE)
    return schema.decode(), sql.decode() if sql.isascii() else _decoded(sql, collation), mode


_parsed_once = lru_cache(64)(_parsed)


def _decoded(sql: bytes, collation: bytes | None) -> str:
    """`collation` is character_set_client of the session; utf8mb4 if the event does not have it."""
    number = _UTF8MB4 if collation is None else int.from_bytes(collation[:2], "little")
    try:
        return reader(charset_of(number))(sql)
    except (UnreadableColumn, ValueError):
        return sql.decode(errors="replace")


def _variables(status: bytes) -> dict[int, bytes]:
    """The status variables of a fixed size, up to the character set, by their codes."""
    at, found = 0, {}
    while at < len(status):
        code = status[at]
        at += 1
        if code in _SIZES:
            found[code] = status[at : at + _SIZES[code]]
            at += _SIZES[code]
        elif code in (_CATALOG, _CATALOG_WITHOUT_ZERO, _TIME_ZONE):
            # The older form ends in a zero that its length does not count.
            at += 1 + status[at] + (code == _CATALOG)
        else:
            break  # of unknown size: nothing after it can be found
    return found
