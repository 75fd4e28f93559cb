"""Statements in the binlog of real servers, read as the server read them: what stops capture."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from capturer.source.reach import sees_everything
from lab.database import database
from lab.server import Server
from rowferry.errors import CaptureStopped
from rowferry.mapping import Mapping
from tests.support.databases import empty
from tests.support.mappings import PURCHASE
from tests.support.matrix_bed import rows_as_items, run, server
from tests.support.rows_to_items import Place, bulk_road, changes, stream_road

__all__ = ["server"]
pytestmark = pytest.mark.integration

MAPPING = Mapping.parse(PURCHASE)
CREATE = (
    "CREATE TABLE test.purchase (customerid VARCHAR(9) NOT NULL, orderid VARCHAR(9) NOT NULL,"
    " productid VARCHAR(9) NOT NULL, quantity INT, note VARCHAR(9))"
)
INSERT = "INSERT INTO test.purchase VALUES ('a', 'b', 'c', 1000, 'n')"
LOOSE = "SET sql_mode = ''"
OTHER = (
    "DROP DATABASE IF EXISTS other",
    "CREATE DATABASE other",
    "CREATE TABLE other.x (id INT PRIMARY KEY, b INT)",
)
AS_STATEMENT = "SET SESSION binlog_format = STATEMENT"


@pytest.fixture(autouse=True)
def nothing_else(server: Server) -> Iterator[None]:
    yield
    empty(server)  # first: a foreign key may refer to the other schema
    run(server, "DROP DATABASE IF EXISTS other", "DROP DATABASE IF EXISTS `my.shop`")


def stopped(server: Server, start: Place, mapping: Mapping = MAPPING) -> str:
    """Why capture stops; empty if it does not."""
    try:
        list(changes(server, start, mapping))
    except CaptureStopped as error:
        return error.found
    return ""


def of_table(name: str) -> Mapping:
    (table,) = MAPPING.tables
    return Mapping((replace(table, table=name),))


@pytest.mark.parametrize("name", ["t€", "ลูกค้า", "a·b", "a\u00a0b", "日本\u3000語", "é"])
def test_a_table_with_an_unquoted_name_of_any_alphabet_is_seen(server: Server, name: str) -> None:
    run(server, CREATE.replace("purchase", name), f"CREATE TABLE {name}2 (id INT)")
    start = run(server, f"TRUNCATE TABLE {name}")
    assert f"TRUNCATE of test.{name}" in stopped(server, start, of_table(name))
    start = run(server, f"TRUNCATE\vTABLE\f{name}2 -- {name}", f"DROP TABLE {name}2")
    assert stopped(server, start, of_table(name)) == ""


@pytest.mark.parametrize(
    ("mode", "name", "drop"),
    [
        ("ANSI_QUOTES", "b\\", 'DROP TABLE "b\\"'),
        ("ANSI_QUOTES", "b", 'ALTER TABLE b COMMENT \'"\', DROP COLUMN "quantity"'),
        ("NO_BACKSLASH_ESCAPES", "b", "ALTER TABLE b COMMENT '\\', DROP COLUMN quantity, COMMENT ''"),
        ("", "b", "ALTER TABLE b COMMENT \"\\\"'\", DROP COLUMN quantity, COMMENT '\\''"),
        ("", "b", "/*!50000 TRUNCATE */ /* TABLE x */ `b` -- x"),
        ("", "b", "TRUNCATE /*!999999 x, /* y */ z */ b"),
    ],
)
def test_quotes_and_comments_are_the_sessions(server: Server, mode: str, name: str, drop: str) -> None:
    run(server, CREATE.replace("test.purchase", f"`{name}`"))
    start = run(server, f"SET sql_mode = '{mode}'", drop)
    assert f"test.{name}" in stopped(server, start, of_table(name))


@pytest.mark.parametrize(
    "change",
    [
        "MODIFY COLUMN purchase.quantity TINYINT",
        "MODIFY test . purchase.`Quantity` TINYINT",
        "MODIFY .quantity TINYINT",
        "CHANGE purchase.note purchase.note2 INT, CHANGE purchase.quantity test.purchase.quantity TINYINT",
        "DROP COLUMN purchase.quantity",
    ],
)
def test_a_column_may_be_named_with_its_table(mariadb: Server, change: str) -> None:
    run(mariadb, CREATE, INSERT)
    start = run(mariadb, LOOSE, f"ALTER TABLE purchase {change}")
    assert "column quantity" in stopped(mariadb, start)


ROWS = "SELECT COUNT(*), COUNT(quantity), SUM(quantity) FROM test.purchase"


def content(server: Server) -> Any:
    with server.connect() as connection, connection.cursor() as cursor:
        try:
            cursor.execute(ROWS)
        except Exception as error:  # noqa: BLE001 - the table is gone or is another one
            return type(error)
        return cursor.fetchall()


BOTH, ONE, MARIA = ("mysql", "mariadb"), ("mysql",), ("mariadb",)


@pytest.mark.parametrize(
    ("flavors", "change"),
    [
        (ONE, "ALTER TABLE purchase COMMENT 'x' ENGINE=BLACKHOLE"),
        (BOTH, "ALTER TABLE purchase ENGINE MERGE"),
        (BOTH, "ALTER TABLE purchase ADD PRIMARY KEY (customerid, quantity)"),
        (BOTH, "ALTER TABLE purchase ADD (x INT, PRIMARY KEY (quantity, customerid))"),
        (MARIA, "ALTER IGNORE TABLE purchase ADD CONSTRAINT c CHECK (quantity > 2000)"),
        (MARIA, "ALTER IGNORE TABLE purchase PARTITION BY LIST (quantity) (PARTITION p VALUES IN (5))"),
        (MARIA, "ALTER IGNORE TABLE purchase MODIFY note CHAR(0)"),
        (MARIA, "DROP TABLE `#mysql50#purchase`"),
        (MARIA, "CREATE OR REPLACE SEQUENCE purchase"),
        (MARIA, "TRUNCATE .purchase"),
    ],
)
def test_what_changes_rows_without_a_row_event_stops(
    server: Server, flavors: tuple[str, ...], change: str
) -> None:
    if server.flavor not in flavors:
        pytest.skip(f"{server.flavor} does not have it")
    run(
        server,
        CREATE,
        "ALTER TABLE test.purchase ENGINE=MyISAM",
        *(["ALTER TABLE test.purchase ADD UNIQUE (note)"] if "note" in change else []),
        INSERT,
        "INSERT INTO test.purchase VALUES ('a', 'b', 'd', NULL, 'm')",
    )
    before = content(server)
    start = run(
        server, LOOSE, change, "FLUSH TABLES"
    )  # MariaDB keeps a table open that is dropped by its file
    assert content(server) != before, "the case shows nothing"
    assert stopped(server, start)


@pytest.mark.parametrize(
    "query",
    [
        "TABLE src",
        "(TABLE src)",
        "VALUES ROW('a', 'b', 'c', 1)",
        "WITH x AS (TABLE src) SELECT * FROM x",
        "SELECT * FROM src",
    ],
)
def test_a_table_that_is_created_with_rows(server: Server, query: str) -> None:
    """Logged as one statement, its rows are nowhere else."""
    columns = "customerid VARCHAR(9), orderid VARCHAR(9), productid VARCHAR(9), quantity INT"
    if server.flavor == "mariadb":
        query = query.replace("TABLE src", "SELECT * FROM src").replace("ROW(", "(")
    run(server, f"CREATE TABLE src ({columns})", "INSERT INTO src VALUES ('a', 'b', 'c', 1)")
    named = "" if "VALUES" not in query else f"({columns})"
    statement = f"CREATE TABLE test.purchase {named} {query}"
    if named and server.flavor == "mysql":
        statement = "CREATE TABLE test.purchase AS VALUES ROW('a', 'b', 'c', 1)"
    start = run(server, AS_STATEMENT, statement)
    assert "was logged without rows" in stopped(server, start)
    run(server, "DROP TABLE test.purchase")
    if not named:
        assert stopped(server, run(server, statement)) == ""  # in row format its rows are row events


ELSEWHERE = [
    ("REPLACE INTO other.x VALUES (1, 1)",),
    ("USE other", "UPDATE x SET b = 2", "DELETE FROM x"),
    ("USE other", "INSERT INTO x SELECT 5, COUNT(*) FROM test.purchase"),  # as pt-table-checksum does
    ("USE other", "CREATE TABLE purchase (id INT)", "INSERT INTO purchase VALUES (1)", "TRUNCATE purchase"),
    ("CREATE TABLE other.m (id INT, purchase INT)", "ALTER TABLE other.m RENAME COLUMN purchase TO shop"),
    ("CREATE TABLE other.k (id INT, KEY purchase (id))", "ALTER TABLE other.k RENAME INDEX purchase TO test"),
    ("CREATE TABLE other.y AS SELECT * FROM other.x",),
    ("CREATE TABLE unmapped (id INT)", "INSERT INTO unmapped VALUES (1)"),
    ("CREATE TABLE Purchase (id INT)", "TRUNCATE Purchase"),
    ("CREATE VIEW other.w AS SELECT * FROM other.x", "INSERT INTO other.w VALUES (7, 7)"),
    ("CREATE TABLE other.l (a VARCHAR(9))", "LOAD DATA INFILE '{file}' INTO TABLE other.l"),
]  # fmt: skip


@pytest.mark.parametrize("statements", ELSEWHERE)
def test_statements_about_other_tables_go_on(server: Server, statements: tuple[str, ...]) -> None:
    file = server.folder / "files" / "rows.txt"
    file.write_text("purchase\n")
    run(server, CREATE, INSERT, *OTHER)
    start = run(server, AS_STATEMENT, *(one.format(file=file) for one in statements))
    file.unlink()
    assert stopped(server, start) == ""


def test_tables_that_mariadb_always_logs_as_statements_go_on(mariadb: Server) -> None:
    run(mariadb, CREATE, *OTHER)
    start = run(
        mariadb,
        "CREATE TABLE other.v (id INT PRIMARY KEY, a INT, s BIGINT UNSIGNED GENERATED ALWAYS AS ROW START,"
        " e BIGINT UNSIGNED GENERATED ALWAYS AS ROW END, PERIOD FOR SYSTEM_TIME (s, e))"
        " WITH SYSTEM VERSIONING",
        "INSERT INTO other.v (id, a) VALUES (1, 1)",
        "UPDATE other.v SET a = 2",
    )
    assert stopped(mariadb, start) == ""


FUNCTION = (
    "CREATE FUNCTION other.f() RETURNS INT DETERMINISTIC"
    " BEGIN UPDATE test.purchase SET quantity = 4; RETURN 1; END"
)
LEADS = {
    "trigger": (
        "CREATE TRIGGER other.g AFTER INSERT ON other.x FOR EACH ROW UPDATE test.purchase SET quantity = 2",
        "INSERT INTO other.x VALUES (1, 1)",
    ),
    "trigger through a view": (
        "CREATE TRIGGER other.g AFTER INSERT ON other.x FOR EACH ROW UPDATE test.purchase SET quantity = 2",
        "CREATE VIEW other.w AS SELECT * FROM other.x",
        "INSERT INTO other.w VALUES (1, 1)",
    ),
    "view": ("CREATE VIEW other.w AS SELECT * FROM test.purchase", "UPDATE other.w SET quantity = 3"),
    "view in another mode": (
        "SET sql_mode = 'ANSI_QUOTES'",
        'CREATE VIEW other."w\\" AS SELECT * FROM test.purchase',
        "UPDATE other.`w\\` SET quantity = 3",
    ),
    "routine": (
        FUNCTION,
        "INSERT INTO other.x VALUES (other.F(), 1)",
    ),
    "trigger with a routine": (
        "CREATE PROCEDURE other.p() UPDATE test.purchase SET quantity = 5",
        "CREATE TRIGGER other.g AFTER INSERT ON other.x FOR EACH ROW CALL p()",
        "INSERT INTO other.x VALUES (1, 1)",
    ),
    "foreign key": (
        "INSERT INTO other.x VALUES (1000, 1)",
        "ALTER TABLE test.purchase ADD FOREIGN KEY (quantity) REFERENCES other.x (id) ON DELETE CASCADE",
        "DELETE FROM other.x",
    ),
    "routine in a table's query": (
        FUNCTION,
        "CREATE TABLE other.y AS SELECT other.f()",
    ),
}


@pytest.mark.parametrize("lead", LEADS)
def test_statements_that_lead_to_a_mapped_table_stop(server: Server, lead: str) -> None:
    run(server, CREATE, INSERT, *OTHER)
    before = content(server)
    try:
        *before_it, statement = LEADS[lead]
        run(server, *before_it)
        start = run(server, AS_STATEMENT, statement)
    except Exception:
        if server.flavor == "mysql" and "query" in lead:
            pytest.skip("MySQL refuses it")
        raise
    assert content(server) != before, "the case shows nothing"
    assert "it leads to test.purchase by the" in stopped(server, start)


def test_what_was_dropped_since_proves_nothing(server: Server) -> None:
    run(server, CREATE, INSERT, *OTHER)
    start = run(server, AS_STATEMENT, LEADS["trigger"][0], LEADS["trigger"][1], "DROP TRIGGER other.g")
    assert "dropped or replaced" in stopped(server, start)


def test_without_the_rights_to_see_it_capture_stops_and_says_so(server: Server) -> None:
    run(server, CREATE, INSERT, *OTHER)
    start = run(server, AS_STATEMENT, "INSERT INTO other.x VALUES (1, 1)")
    login = f"`{server.capture.user}`@'127.0.0.1'"
    run(server, "SET sql_log_bin = 0", f"REVOKE TRIGGER ON *.* FROM {login}")
    try:
        assert "GRANT SELECT, TRIGGER, SHOW VIEW" in stopped(server, start)
    finally:
        run(server, "SET sql_log_bin = 0", f"GRANT TRIGGER ON *.* TO {login}")
    assert stopped(server, start) == ""
    with server.connect() as connection:
        assert sees_everything(connection)


def test_names_that_differ_in_case_are_one_where_the_server_says_so(tmp_path: Path) -> None:
    with database(tmp_path, "mariadb", options=["--lower-case-table-names=1"]) as lower:
        run(lower, CREATE, INSERT)
        start = run(lower, "INSERT INTO PURCHASE VALUES ('a', 'b', 'd', 1, 'n')")
        assert stopped(lower, start) == ""
        assert [change.table for change in changes(lower, start, of_table("Purchase"))] == ["Purchase"]
        assert stopped(lower, run(lower, "ALTER TABLE Test.Purchase DROP COLUMN QUANTITY"))
        assert stopped(lower, run(lower, "TRUNCATE PurChase")).endswith("TRUNCATE of test.purchase")


@pytest.mark.parametrize(
    ("schema", "table"),
    [
        ("my.shop", "t`1"),
        ("my.shop", "a.b"),
        ("test", "1e5"),
        ("test", "50% #1/2"),
        ("test", "ลูก ค้า€"),
        ("test", "a\\b\"'"),
    ],
)
def test_every_schema_and_table_can_be_named(server: Server, schema: str, table: str) -> None:
    named = ".".join(f"`{part.replace('`', '``')}`" for part in (schema, table))
    empty(server)
    start = run(
        server,
        f"CREATE DATABASE IF NOT EXISTS `{schema}`",
        f"CREATE TABLE {named} (id INT PRIMARY KEY, a VARCHAR(9))",
        f"INSERT INTO {named} VALUES (1, 'x'), (2, 'y')",
        f"UPDATE {named} SET a = 'z' WHERE id = 2",
    )
    text = rows_as_items(["t"]).replace("test.t", named.replace("\\", "\\\\").replace('"', '\\"'))
    mapping = Mapping.parse(text)
    assert bulk_road(server, mapping).items == stream_road(server, start, mapping).items
    assert len(bulk_road(server, mapping).items["t"]) == 2
    found = stopped(server, run(server, f"TRUNCATE {named}"), mapping)
    assert found.endswith(f": TRUNCATE of {mapping.tables[0].source}")
