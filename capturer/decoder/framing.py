"""
Event headers, checksums and the small events.

https://dev.mysql.com/doc/dev/mysql-server/latest/classbinary__log_1_1Binary__log__event.html
Readers take the event's bytes with its header, without the OK byte before it and the checksum after it.
"""

import struct
import zlib
from enum import IntEnum

from capturer.decoder.events import FormatDescription
from capturer.decoder.wire import damaged, fixed_int, packed_bytes, packed_int, taken

HEADER = 19
CHECKSUM = 4
ARTIFICIAL = 0x20
"""Flag of an event that the server made for the reader: it is in no file."""
IGNORABLE = 0x80
"""Flag of an event that a reader may skip if it does not know its type."""
HARMLESS = frozenset([3, 5, 9, 11, 13, 14, 17, 28, 29, 35, 36, 37, 160, 161, 163, 164])
"""
Types that change no rows: end of file, variables, parts of LOAD DATA, notes, GTID sets, encryption.

https://dev.mysql.com/doc/dev/mysql-server/latest/namespacemysql_1_1binlog_1_1event.html (Log_event_type);
from 160 on https://mariadb.com/kb/en/2-binlog-event-header/
"""
_SERVER_VERSION = 50
_XA_IDENTIFIER = 64
_XA_PREPARE = struct.Struct("<BIII")


class EventType(IntEnum):
    """Codes of the events that are used here; MariaDB's own from 160."""

    QUERY = 2
    ROTATE = 4
    FORMAT_DESCRIPTION = 15
    XID = 16
    EXECUTE_LOAD_QUERY = 18
    TABLE_MAP = 19
    WRITE_ROWS_V1, UPDATE_ROWS_V1, DELETE_ROWS_V1 = 23, 24, 25
    INCIDENT = 26
    HEARTBEAT = 27
    ROWS_QUERY = 29
    WRITE_ROWS, UPDATE_ROWS, DELETE_ROWS = 30, 31, 32
    GTID, ANONYMOUS_GTID = 33, 34
    XA_PREPARE = 38
    PARTIAL_UPDATE_ROWS = 39
    TRANSACTION_PAYLOAD = 40
    HEARTBEAT_V2 = 41
    TAGGED_GTID = 42
    ANNOTATE_ROWS = 160
    MARIADB_GTID = 162
    START_ENCRYPTION = 164
    QUERY_COMPRESSED = 165
    WRITE_ROWS_COMPRESSED_V1, UPDATE_ROWS_COMPRESSED_V1, DELETE_ROWS_COMPRESSED_V1 = 166, 167, 168
    WRITE_ROWS_COMPRESSED, UPDATE_ROWS_COMPRESSED, DELETE_ROWS_COMPRESSED = 169, 170, 171


unpack_frame = struct.Struct("<4xB4xIIH").unpack_from
"""(bytes, offset) to type, size, end (32 bit), flags. struct.error if cut off."""
unpack_checksum = struct.Struct("<I").unpack_from
unpack_header = struct.Struct("<IBIIIH").unpack_from
"""(bytes, offset) to timestamp (s), type, server id, size, end (32 bit), flags. struct.error if cut off."""


def is_verified(data: bytes, at: int = 0) -> bool:
    """Whether the event from `at` on ends in the CRC32 of the bytes before it."""
    return zlib.crc32(memoryview(data)[at:-CHECKSUM]) == int.from_bytes(data[-CHECKSUM:], "little")


def format_description(data: bytes) -> FormatDescription:
    """
    Reads the event with its checksum, which this type has even if checksums are off.

    Raises ValueError for another format.
    """
    fixed = HEADER + 2 + _SERVER_VERSION + 4
    version, at = fixed_int(data, HEADER, 2)
    server, _ = taken(data, at, _SERVER_VERSION)
    tail = len(data) - CHECKSUM - 1
    if version != 4 or tail <= fixed or data[fixed] != HEADER:
        damaged("not the binlog format 4")
    algorithm = data[tail]
    if algorithm > 1:  # 0: none, 1: CRC32
        damaged(f"checksum algorithm {algorithm}")
    if not is_verified(data):
        damaged("its checksum differs")
    created = unpack_header(data)[0]  # not the event's own field, which the server clears when it sends it
    return FormatDescription(server.rstrip(b"\0").decode(), algorithm == 1, data[fixed + 1 : tail], created)


def rotate(data: bytes) -> tuple[str, int]:
    """Name of the next file, and the offset in it."""
    offset, at = fixed_int(data, HEADER, 8)
    if at == len(data):
        damaged("no file name")
    return data[at:].decode(), offset


def xa_prepare(data: bytes) -> tuple[bool, str]:
    """Whether it is XA COMMIT ... ONE PHASE, and the XID as statements in the binlog have it."""
    one_phase, form, gtrid, bqual = _XA_PREPARE.unpack_from(data, HEADER)
    at = HEADER + _XA_PREPARE.size
    if one_phase > 1 or max(gtrid, bqual) > _XA_IDENTIFIER or len(data) != at + gtrid + bqual:
        damaged("not an XA identifier")
    first, second = data[at : at + gtrid].hex(), data[at + gtrid :].hex()
    return bool(one_phase), f"X'{first}',X'{second}',{form}"


def heartbeat_v2(data: bytes) -> tuple[str, int]:
    """File name and 64 bit offset, from tagged fields."""
    name, offset, at = "", 0, HEADER
    while data[at]:
        tag = data[at]
        value, at = packed_bytes(data, at + 1)
        if tag == 1:
            name = value.decode()
        elif tag == 2:
            offset, _ = packed_int(value, 0)
    return name, offset


def incident(data: bytes) -> str:
    text, _ = taken(data, HEADER + 3, data[HEADER + 2])  # the incident's number takes two bytes before
    return text.decode(errors="replace")
