"""Types that only MariaDB has: addresses, UUIDs, compression of columns and events."""

import zlib
from ipaddress import IPv4Address, IPv6Address
from uuid import UUID

from capturer.decoder.wire import damaged

MAX_ROW = 1 << 30
"""Bytes; the largest max_allowed_packet."""


def inet4(data: bytes) -> str:
    """INET4 as SELECT prints it."""
    return str(IPv4Address(data))


def inet6(data: bytes) -> str:
    """INET6 as SELECT prints it."""
    if not any(data[:12]) and any(data[12:14]):
        return f"::{IPv4Address(data[12:])}"  # ::192.0.2.1, which Python prints as ::c000:201
    text = str(IPv6Address(data))
    groups = text.split(":")
    if "" in groups or "0" not in groups:
        return text
    place = groups.index("0")  # Python does not shorten a single zero group
    return f"{':'.join(groups[:place])}::{':'.join(groups[place + 1 :])}"


def uuid(data: bytes) -> str:
    """UUID as SELECT prints it."""
    return str(UUID(bytes=data))


def inflated(data: bytes) -> bytes:
    """
    Decompresses what MariaDB compressed: a byte with the method and the length's size, the length, then zlib.

    https://mariadb.com/kb/en/storage-engine-independent-column-compression/
    Raises ValueError or zlib.error if damaged.
    """
    if not data or data[0] == 0:
        return data[1:]
    size = data[0] & 7
    expected = int.from_bytes(data[1 : 1 + size], "big")
    if data[0] & 0x80 == 0 or expected > MAX_ROW:
        damaged("not MariaDB's compression")
    inflater = zlib.decompressobj(-zlib.MAX_WBITS if data[0] & 8 else zlib.MAX_WBITS)
    plain = inflater.decompress(data[1 + size :], expected + 1)  # one byte more shows that there are more
    if len(plain) != expected or not inflater.eof:
        damaged("compressed bytes of another length")
    return plain
