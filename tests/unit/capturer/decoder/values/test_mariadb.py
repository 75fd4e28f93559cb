"""MariaDB's compressed columns."""

import zlib

import pytest

from capturer.decoder.values.mariadb import inflated


def test_compressed_columns_that_lie_about_their_length() -> None:
    assert inflated(b"\0plain") == b"plain"
    assert inflated(b"\x81\x03" + zlib.compress(b"abc")) == b"abc"
    with pytest.raises(ValueError, match="another length"):
        inflated(b"\x81\x05" + zlib.compress(b"abc"))
