"""Compressed transactions (binlog_transaction_compression=ON): one event that holds the others."""

from collections.abc import Iterator
from io import BytesIO

from backports.zstd import ZstdError, ZstdFile

from capturer.decoder.framing import HEADER, unpack_header
from capturer.decoder.wire import damaged, packed_bytes, packed_int

_END, _SIZE, _COMPRESSION, _PLAIN_SIZE = 0, 1, 2, 3
_ZSTD, _NONE = 0, 255
MAX_EVENT = 1 << 31
"""
Bytes. Events are at most a little larger than max_allowed_packet (1 GiB): more is damage, not to be read.
"""


def inner_events(data: bytes) -> Iterator[bytes]:
    """
    The events inside, with their headers, without checksums; decompressed while they are consumed.

    Raises ValueError if damaged; events before the damage have been yielded by then.
    """
    fields, at = _fields(data)
    content = memoryview(data)[at:]
    if fields.get(_SIZE) != len(content):
        damaged("a compressed transaction of another length")
    compression = fields.get(_COMPRESSION)
    if compression not in (_ZSTD, _NONE):
        damaged(f"compression {compression}")
    plain = BytesIO(content) if compression == _NONE else ZstdFile(BytesIO(content))
    with plain:
        try:
            yield from _cut(plain)
        except (ZstdError, EOFError) as error:  # ZstdError is none of stream's _DAMAGE
            raise ValueError("zstd cannot read it") from error


def _cut(plain: BytesIO | ZstdFile) -> Iterator[bytes]:
    while head := plain.read(HEADER):
        _, _, _, size, *_ = unpack_header(head)
        if not HEADER <= size < MAX_EVENT:
            damaged("a compressed event of an impossible length")
        event = head + plain.read(size - HEADER)
        if len(event) != size:
            damaged("a compressed event cut off")
        yield event


def _fields(data: bytes) -> tuple[dict[int, int], int]:
    """Tagged fields up to the end mark, and the offset of the content."""
    found, at = {}, HEADER
    while data[at] != _END:
        tag, at = packed_int(data, at)
        value, at = packed_bytes(data, at)
        found[tag], _ = packed_int(value, 0)
    return found, at + 1
