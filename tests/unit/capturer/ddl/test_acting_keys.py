import pytest

from capturer.ddl.statements import judge
from rowferry.mapping import Mapping
from rowferry.mysql.dialect import SqlDialect
from tests.support.mappings import PURCHASE

MAPPING = Mapping.parse(PURCHASE)
CHILD = "ALTER TABLE purchase ADD "
KEY = "FOREIGN KEY (orderid) REFERENCES orders (id) "


def acting(text: str, dialect: SqlDialect = SqlDialect()) -> set[str]:  # noqa: B008 - immutable
    return {action for _, action in judge(text, "test", MAPPING, dialect).acting}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (CHILD + KEY + "ON DELETE CASCADE", {"ON DELETE CASCADE"}),
        (CHILD + "CONSTRAINT k " + KEY + "ON UPDATE SET NULL", {"ON UPDATE SET NULL"}),
        (CHILD + KEY + "on delete set /* */ default", {"ON DELETE SET DEFAULT"}),
        (CHILD + KEY + "ON DELETE RESTRICT ON UPDATE CASCADE", {"ON UPDATE CASCADE"}),
        (CHILD + KEY + "ON DELETE NO ACTION", set()),
        (CHILD + KEY, set()),
        (CHILD + "FOREIGN KEY (note) REFERENCES n (id) ON DELETE SET NULL", set()),
        (CHILD + "FOREIGN KEY (note) REFERENCES n (id) ON DELETE CASCADE", {"ON DELETE CASCADE"}),
        (CHILD + "at TIMESTAMP ON UPDATE CURRENT_TIMESTAMP", set()),
        (CHILD + "x INT DEFAULT 1 COMMENT 'ON DELETE CASCADE'", set()),
        (CHILD + "x INT REFERENCES n (id) ON DELETE CASCADE", {"ON DELETE CASCADE"}),
        ("CREATE TABLE purchase (orderid INT, " + KEY + "ON DELETE CASCADE)", {"ON DELETE CASCADE"}),
        ("ALTER TABLE other ADD FOREIGN KEY (a) REFERENCES purchase (orderid) ON DELETE CASCADE", set()),
        ("ALTER TABLE elsewhere.purchase ADD " + KEY + "ON DELETE CASCADE", set()),
    ],
)
def test_keys_that_act_on_rows_of_a_mapped_table(text: str, expected: set[str]) -> None:
    assert acting(text) == expected


def test_mysql_before_9_makes_no_key_of_an_inline_reference() -> None:
    text = CHILD + "x INT REFERENCES n (id) ON DELETE CASCADE"
    assert acting(text, SqlDialect("mysql", (8, 4, 0))) == set()
    assert acting(text, SqlDialect("mariadb", (10, 11, 6))) == {"ON DELETE CASCADE"}


@pytest.mark.parametrize(
    ("text", "asks"),
    [
        ("ALTER TABLE purchase ADD INDEX (orderid)", True),
        ("CREATE TRIGGER t AFTER INSERT ON other FOR EACH ROW DELETE FROM purchase", True),
        ("CREATE TABLE m (a INT) ENGINE=MERGE UNION=(test.purchase)", True),
        ("ALTER TABLE other ADD FOREIGN KEY (a) REFERENCES purchase (orderid) ON DELETE CASCADE", True),
        ("ALTER TABLE other ADD INDEX (orderid)", False),
        ("GRANT SELECT ON purchase TO somebody", False),
    ],
)
def test_ddl_after_which_the_demands_on_a_mapped_table_are_asked_again(text: str, asks: bool) -> None:
    assert bool(judge(text, "test", MAPPING, SqlDialect()).asks) is asks
