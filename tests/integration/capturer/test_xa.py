"""XA transactions as servers write them, read by the capturer's reading half. All real."""

import pytest

from lab.database import Server
from tests.integration.values.test_shapes import Reading, reading, run, server
from tests.support.move_bed import context_of

__all__ = ["reading", "server"]
pytestmark = pytest.mark.integration


def xa(name: str, *statements: str) -> list[str]:
    """The whole of it, over one session."""
    ends = [f"XA {verb} '{name}'" for verb in ("END", "PREPARE", "COMMIT")]
    return [f"XA START '{name}'", *statements, *ends]


def test_what_changes_nothing_passes_and_a_name_is_used_again(server: Server, reading: Reading) -> None:
    run(server, "CREATE TABLE t (id INT PRIMARY KEY, v INT)")
    reader = reading(server)
    run(server, *xa("r", "SELECT * FROM t"), *xa("r"), *xa("r", "UPDATE t SET v = 1 WHERE id = 5"))
    run(server, *xa("same", "INSERT INTO t VALUES (1, 1)"), *xa("same", "INSERT INTO t VALUES (2, 1)"))
    back = ["SAVEPOINT a", "INSERT INTO t VALUES (4, 1)", "ROLLBACK TO a"]
    run(server, *xa("r", "INSERT INTO t VALUES (3, 1)", *back))
    assert [row["id"] for _, row in reader.up_to()] == [1, 2, 3]


def test_compressed_and_larger_than_a_portion(mysql: Server, reading: Reading) -> None:
    run(mysql, "CREATE TABLE t (id INT PRIMARY KEY, v INT)")
    many = ",".join(f"({number}, 1)" for number in range(3000))
    back = ["SAVEPOINT a", "UPDATE t SET v = 2 WHERE id < 5", "ROLLBACK TO a"]
    with context_of(mysql, binlog_transaction_compression="ON"):
        reader = reading(mysql)
        run(mysql, *xa("c", f"INSERT INTO t VALUES {many}", *back), *xa("d", "DELETE FROM t WHERE id = 7"))
    assert len(reader.up_to()) == 3001
