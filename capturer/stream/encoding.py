"""A row change as bytes in its lane. Pure."""

import zlib
from collections.abc import Sequence

from capturer.stream.lanes import MAX_RECORD
from rowferry.change import Kind, RowChange, encode_change
from rowferry.errors import UnusableChange
from rowferry.items.effects import by_lane, table_of
from rowferry.mapping import Mapping
from rowferry.values import Value

LONGEST_NAME = 32_768
"""
Characters or bytes of one value: three of them, escaped as JSON in the worst way, stay below MAX_RECORD.
"""


def encoded(change: RowChange, mapping: Mapping, lanes: int) -> list[tuple[int, bytes]]:
    """
    The lanes of a change, each with its encoded part; two if the row moves to another item.

    Never raises for a change that cannot be applied: it is sent as it is, and the consumer quarantines it.
    Each part fits into a record; one that would not is sent as its key alone (Kind.OVERSIZED).
    """
    return [(lane, _content(part, mapping)) for lane, part in _lanes_of(change, mapping, lanes)]


def _content(change: RowChange, mapping: Mapping) -> bytes:
    # The encoded size decides: escapes and base64 make it larger than the row.
    content = encode_change(change)
    return content if len(content) <= MAX_RECORD else encode_change(_key_only(change, mapping))


def _lanes_of(change: RowChange, mapping: Mapping, lanes: int) -> Sequence[tuple[int, RowChange]]:
    """
    A row without a usable key belongs to no item: it is sent in any lane, and the consumer quarantines it. If
    only the new image lacks a key, the row is still removed from its old item, in that item's lane.
    """
    try:
        return by_lane(change, mapping, lanes)
    except UnusableChange:
        if change.kind is not Kind.UPDATE:
            # crc32, not hash(), which differs in each process: a change that is read again keeps its lane.
            return [(zlib.crc32((change.position or "").encode()) % lanes, change)]
        left = change._replace(kind=Kind.DELETE, after=None)
        entered = change._replace(kind=Kind.INSERT, before=None)
        return [*_lanes_of(left, mapping, lanes), *_lanes_of(entered, mapping, lanes)]


def _key_only(change: RowChange, mapping: Mapping) -> RowChange:
    """
    What is sent of a change that is larger than a record: enough to find the row in MySQL, and its item.

    A value that is itself too long for a key is left out, so that the result always fits.
    """
    table, image = table_of(change, mapping), change.image
    # With a hook, only the hook knows which columns the key is made of.
    names = [name for name in table.place_columns if name in image] if table.hook is None else list(image)
    longest = LONGEST_NAME * 3 // max(3, len(names))
    key = {name: value for name in names if not _is_long(value := image[name], longest)}
    return change._replace(kind=Kind.OVERSIZED, before=key, after=None)


def _is_long(value: Value, longest: int) -> bool:
    return isinstance(value, str | bytes) and len(value) > longest
