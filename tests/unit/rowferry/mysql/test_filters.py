import pytest

from rowferry.mysql.filters import binlog_leaves_out, replica_leaves_out


@pytest.mark.parametrize(
    ("do", "ignore", "left_out"),
    [
        ("", "", False),
        ("", "other", False),
        ("", "test", True),
        ("", "other,test", True),
        ("", "testing", False),
        ("", "Test", False),
        ("test", "", False),
        ("other", "", True),
        ("other,test", "", False),
        ("test", "test", False),
    ],
)
def test_schemas_that_a_binlog_lacks(do: str, ignore: str, left_out: bool) -> None:
    assert bool(binlog_leaves_out(do, ignore, "test")) is left_out


def test_a_name_with_a_comma() -> None:
    assert binlog_leaves_out("", "x,a,b", "a,b") and not binlog_leaves_out("a,b", "", "a,b")


@pytest.mark.parametrize(
    ("filters", "left_out"),
    [
        ({}, ""),
        ({"replicate_rewrite_db": "(test,other)"}, "replicate_rewrite_db ((test,other))"),
        ({"replicate_rewrite_db": "(other,test),(test,gone)"}, ""),
        ({"replicate_rewrite_db": "test->other"}, "replicate_rewrite_db (test->other)"),
        ({"replicate_rewrite_db": "other->test"}, ""),
        ({"replicate_wild_do_table": "other.%,te%.%"}, ""),
        ({"replicate_wild_do_table": r"test.purchas\_"}, r"replicate_wild_do_table (test.purchas\_)"),
        ({"replicate_do_table": "test.a,test.b"}, "replicate_do_table (test.a,test.b)"),
    ],
)
def test_tables_that_a_replica_leaves_out(filters: dict[str, str], left_out: str) -> None:
    """The other filters are compared with what real replicas do, in the integration tests."""
    assert replica_leaves_out(filters, "test", "purchase") == left_out
