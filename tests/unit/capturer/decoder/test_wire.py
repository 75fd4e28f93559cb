"""Numbers as the protocol packs them."""

import pytest

from capturer.decoder.wire import packed_int


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"\xfa", 250),
        (b"\xfc\x01\x02", 513),
        (b"\xfd\1\0\1", 65537),
        (b"\xfe" + b"\1" * 8, 0x0101010101010101),
    ],
)
def test_packed_integers(data: bytes, value: int) -> None:
    assert packed_int(data, 0) == (value, len(data))
