"""JSON as the server stores it, against an encoder written here from the format's description."""

import struct

import pytest

from capturer.decoder.values.jsonbinary import document


def array(*entries: tuple[int, int], tail: bytes = b"") -> bytes:
    size = 4 + 3 * len(entries) + len(tail)
    return (
        b"\x02"
        + struct.pack("<HH", len(entries), size)
        + b"".join(struct.pack("<BH", *e) for e in entries)
        + tail
    )


def test_json_values_inside_the_entry() -> None:
    assert document(array((5, 0xFFFF), (6, 0xFFFF), (4, 0), (4, 1), (4, 2))) == [-1, 65535, None, True, False]


def test_json_that_unfolds_without_end_is_refused_at_once() -> None:
    """Forty arrays, each twice in the one around it: 2 ** 40 values in 400 bytes, which would never end."""
    nested = b""
    for _ in range(40):
        nested = array((2, 10), (2, 10), tail=nested[1:] if nested else struct.pack("<HH", 0, 4))
    with pytest.raises(ValueError, match="holds itself"):
        document(nested)


@pytest.mark.parametrize(
    "data", [array((2, 0)), array((2, 4)), array((12, 90)), b"\x02\xff\xff\x07\x00\x00\x00", b"\x09\0"]
)
def test_json_that_points_elsewhere_is_refused(data: bytes) -> None:
    with pytest.raises((ValueError, IndexError, struct.error)):
        document(data)


def test_json_of_no_bytes_is_null() -> None:
    assert document(b"") is None
