import pytest

from ferry.context import source_address
from rowferry.errors import Refused


@pytest.mark.parametrize("text", ["mysql://u@h:abc", "mysql://u@h:99999", "mysql://u@[::1", "mysql://u@h:-1"])
def test_an_address_that_is_none_is_refused_with_the_fix(text: str) -> None:
    with pytest.raises(Refused, match=r"not understood.*write mysql://rowferry@db.example.com:3306"):
        source_address(text, None, {})


def test_the_port_is_that_of_mysql_unless_given() -> None:
    assert source_address("mysql://u@h", None, {}).port == 3306
    assert source_address("mysql://u@[::1]:3307", None, {}).port == 3307
    with pytest.raises(Refused, match="port 0"):
        source_address("mysql://u@h:0", None, {})
