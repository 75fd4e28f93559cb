"""
The kinds of statements, by the lines of the tables in docs/ddl.md.

A statement is a list of words; {T} is the mapped table, {O} another one, {S} its schema, {C} a column that
travels, {N} one that does not, {W} a name that is not taken, {D} one that only looks like the mapped table's.
"""

from dataclasses import dataclass

MYSQL, MARIADB = "mysql", "mariadb"


@dataclass(frozen=True, slots=True)
class StatementKind:
    """
    One line of a table in the document. `outcome` is its word there.

    `statements` run on both servers, `mysql` and `mariadb` on one of them. With `as_statement`, what changes
    rows is logged as a statement.
    """

    line: str
    outcome: str
    statements: tuple[str, ...]
    mysql: tuple[str, ...] = ()
    mariadb: tuple[str, ...] = ()
    as_statement: bool = False
    missing: bool = False
    """The mapped table is dropped first, outside of the binlog."""

    @property
    def names_mapped(self) -> bool:
        """Whether its statements are about a mapped table."""
        return self.outcome != "passes"

    def on(self, flavor: str) -> tuple[str, ...]:
        return self.statements + (self.mysql if flavor == MYSQL else self.mariadb)


KINDS = (
    StatementKind(
        "indexes, constraints, options, defaults for later rows, new or reorganised partitions",
        "followed",
        (
            "ALTER TABLE {T} ADD INDEX {W} ( {C} )",
            "CREATE INDEX {W} ON {T} ( {C} )",
            "ALTER TABLE {T} ADD CONSTRAINT {W} CHECK ( id > -5 )",
            "ALTER TABLE {T} COMMENT {X}",
            "ALTER TABLE {T} COMMENT = {X} , ENGINE = InnoDB ROW_FORMAT DYNAMIC",
            "ALTER TABLE {T} ALTER COLUMN {C} SET DEFAULT 5",
            "ALTER TABLE {T} ALTER {N} DROP DEFAULT",
            "ALTER TABLE {T} AUTO_INCREMENT = 7 , ADD UNIQUE KEY ( id )",
            "ALTER TABLE {T} PARTITION BY HASH ( id ) PARTITIONS 3",
            "ALTER TABLE {T} DEFAULT CHARACTER SET latin1",
            "ALTER TABLE {T} FORCE , ADD FULLTEXT INDEX ( {N} )",
            "OPTIMIZE TABLE {T}",
            "ANALYZE TABLE {T}",
        ),
        mysql=("ALTER TABLE {T} ADD INDEX {W} ( ( {C} + 1 ) ) INVISIBLE",),
        mariadb=(
            "ALTER TABLE IF EXISTS {T} WAIT 3 ADD INDEX {W} ( {C} )",
            "SET STATEMENT lock_wait_timeout=5 FOR ALTER TABLE {T} ADD KEY ( {C} )",
            "ALTER ONLINE TABLE {T} COMMENT {X}",
            "SET STATEMENT sql_mode = '' FOR ALTER TABLE {T} ADD KEY ( id )",
        ),
    ),
    StatementKind(
        "columns that do not travel: added, dropped, renamed, changed",
        "followed",
        (
            "ALTER TABLE {T} DROP COLUMN {N}",
            "ALTER TABLE {T} DROP {N} , COMMENT {X}",
            "ALTER TABLE {T} RENAME COLUMN {N} TO {W}",
            "ALTER TABLE {T} CHANGE {N} {W} INT",
            "ALTER TABLE {T} MODIFY {N} VARCHAR(30) FIRST",
            "ALTER TABLE {T} ADD COLUMN {W} INT DEFAULT 5 AFTER {N}",
            "ALTER TABLE {T} ADD ( {W} INT , KEY ( {W} ) )",
        ),
        mariadb=(
            "ALTER TABLE {T} DROP COLUMN IF EXISTS {Q} . {N}",
            "ALTER TABLE {T} MODIFY COLUMN {Q} . {N} TEXT",
            "ALTER TABLE {T} ADD {Q} . {W} INT DEFAULT 4",
        ),
    ),
    StatementKind(
        "a new column that travels: NULL in every existing row, and NULL is left out",
        "followed",
        (
            "ALTER TABLE {T} ADD COLUMN {W} INT",
            "ALTER TABLE {T} ADD {W} VARCHAR(9) NULL COMMENT {X}",
            "ALTER TABLE {T} ADD ( {W} INT NULL , KEY ( {W} ) )",
        ),
    ),
    StatementKind(
        'a new column that travels: any other; or `null = "attribute"`; or a hook',
        "stops",
        (
            "ALTER TABLE {T} ADD COLUMN {W} INT NOT NULL",
            "ALTER TABLE {T} ADD {W} INT DEFAULT 5",
            "ALTER TABLE {T} ADD {W} INT AS ( id + 1 ) STORED",
            "ALTER TABLE {T} ADD {W} INT NOT NULL AUTO_INCREMENT UNIQUE",
            "ALTER TABLE {T} ADD ( {W} DATETIME DEFAULT CURRENT_TIMESTAMP )",
        ),
    ),
    StatementKind(
        "MODIFY, CHANGE without a new name, a primary key, that cannot change a value",
        "followed",
        (
            "ALTER TABLE {T} MODIFY {C} BIGINT",
            "ALTER TABLE {T} CHANGE COLUMN {C} {C} BIGINT",
            "ALTER TABLE {T} MODIFY {C} INT COMMENT {X}",
            "ALTER TABLE {T} DROP PRIMARY KEY , ADD PRIMARY KEY ( id )",
        ),
        mariadb=("ALTER TABLE {T} MODIFY {Q} . {C} BIGINT",),
    ),
    StatementKind(
        "MODIFY, CHANGE, a primary key otherwise; CONVERT TO CHARACTER SET; AUTO_INCREMENT given to a column",
        "stops",
        (
            "ALTER TABLE {T} MODIFY {C} TINYINT",
            "ALTER TABLE {T} MODIFY COLUMN {C} VARCHAR(20)",
            "ALTER TABLE {T} CHANGE {C} {C} DECIMAL(10,2)",
            "ALTER TABLE {T} MODIFY {C} INT NOT NULL",
            "ALTER TABLE {T} CONVERT TO CHARACTER SET latin1",
            "ALTER TABLE {T} DROP PRIMARY KEY , ADD PRIMARY KEY ( id , {C} )",
        ),
        mariadb=(
            "ALTER TABLE {T} MODIFY COLUMN {Q} . {C} TINYINT",
            "ALTER TABLE {T} CHANGE {Q} . {C} {Q} . {C} TINYINT",
            "ALTER TABLE {T} NOWAIT MODIFY . {C} TINYINT",
        ),
    ),
    StatementKind(
        "a column that travels dropped or renamed",
        "stops",
        (
            "ALTER TABLE {T} DROP COLUMN {C}",
            "ALTER TABLE {T} COMMENT {X} , DROP {C}",
            "ALTER TABLE {T} RENAME COLUMN {C} TO {W}",
            "ALTER TABLE {T} CHANGE {C} {W} INT",
        ),
        mariadb=("ALTER TABLE {T} DROP COLUMN {Q} . {C}", "ALTER TABLE {T} CHANGE {Q} . {C} {Q} . {W} INT"),
    ),
    StatementKind(
        "TRUNCATE, DROP, RENAME, CREATE OR REPLACE, DROP DATABASE",
        "stops",
        (
            "TRUNCATE {T}",
            "TRUNCATE TABLE {T}",
            "DROP TABLE {T}",
            "DROP TABLE IF EXISTS {O} , {T}",
            "RENAME TABLE {T} TO {S} . {W}",
            "RENAME TABLE {O} TO {S} . {W} , {T} TO {O}",
            "ALTER TABLE {T} RENAME TO {S} . {W}",
            "ALTER TABLE {T} COMMENT {X} , RENAME AS {S} . {W}",
            "DROP DATABASE {M}",
            "DROP SCHEMA IF EXISTS {M}",
        ),
        mariadb=(
            "CREATE OR REPLACE TABLE {T} ( id INT )",
            "CREATE OR REPLACE SEQUENCE {T}",
            "CREATE OR REPLACE DATABASE {M}",
            "RENAME TABLE IF EXISTS {T} WAIT 3 TO {S} . {W}",
            "SET STATEMENT max_statement_time=9 FOR TRUNCATE {T}",
        ),
    ),
    StatementKind(
        "DROP, TRUNCATE, EXCHANGE, CONVERT PARTITION; IMPORT TABLESPACE",
        "stops",
        (
            "ALTER TABLE {T} TRUNCATE PARTITION p0",
            "ALTER TABLE {T} DROP PARTITION p0",
            "ALTER TABLE {T} DISCARD TABLESPACE",
            "ALTER TABLE {T} IMPORT TABLESPACE",
            "ALTER TABLE {T} EXCHANGE PARTITION p0 WITH TABLE {O}",
        ),
    ),
    StatementKind(
        "an engine that may keep no rows, or other values: BLACKHOLE, MERGE, CSV, ...",
        "stops",
        ("ALTER TABLE {T} ENGINE = MERGE", "ALTER TABLE {T} COMMENT {X} ENGINE MRG_MYISAM"),
        mysql=("ALTER TABLE {T} ENGINE BLACKHOLE", "ALTER TABLE {T} COMMENT {X} , ENGINE = BLACKHOLE"),
    ),
    StatementKind(
        "ALTER IGNORE",
        "stops",
        (),
        mariadb=(
            "ALTER IGNORE TABLE {T} ADD UNIQUE ( {C} )",
            "ALTER IGNORE TABLE {T} ADD CHECK ( id > 1 )",
            "ALTER ONLINE IGNORE TABLE {T} COMMENT {X}",
        ),
    ),
    StatementKind(
        "CREATE TABLE of one that is missing",
        "followed",
        ("CREATE TABLE IF NOT EXISTS {T} ( id INT PRIMARY KEY )", "CREATE TABLE {T} LIKE {O}"),
        missing=True,
    ),
    StatementKind(
        "the same with SELECT, TABLE, VALUES or WITH, logged as a statement",
        "stops",
        (
            "CREATE TABLE IF NOT EXISTS {T} SELECT * FROM {O}",
            "CREATE TABLE IF NOT EXISTS {T} ( id INT ) ( SELECT 5 AS id )",
        ),
        mysql=("CREATE TABLE {T} ( PRIMARY KEY ( id ) ) TABLE {O}", "CREATE TABLE {T} AS VALUES ROW(1)"),
        mariadb=("CREATE TABLE {T} ( id INT ) VALUES ( 1 )", "CREATE TABLE {T} VALUES ( 1 )"),
        as_statement=True,
        missing=True,
    ),
    StatementKind(
        "INSERT, UPDATE, DELETE, LOAD DATA, CALL, ... logged as a statement",
        "stops",
        (
            "INSERT INTO {T} ( id ) VALUES ( 91 )",
            "REPLACE {T} ( id ) VALUES ( 92 )",
            "UPDATE {T} SET id = id + 1000 ORDER BY id DESC",
            "DELETE FROM {T}",
            "DELETE FROM {T} WHERE id = 1",
            "UPDATE {O} a , {T} b SET b.id = b.id + 2000",
            "DELETE b FROM {O} a , {T} b",
            "INSERT IGNORE {T} ( id ) SELECT id + 70 FROM {O}",
        ),
        mysql=("WITH x AS ( SELECT 1 ) DELETE FROM {T}",),
        as_statement=True,
    ),
    StatementKind(
        "DDL of another table, also with mapped names for its columns, indexes and partitions",
        "passes",
        (
            "ALTER TABLE {O} RENAME COLUMN {L} TO {W}",
            "ALTER TABLE {O} RENAME INDEX {L} TO {W}",
            "ALTER TABLE {O} DROP COLUMN {L} , COMMENT {X}",
            "ALTER TABLE {O} ADD {D} INT DEFAULT 5",
            "ALTER TABLE {O} CHANGE {L} {D} BIGINT",
            "ALTER TABLE {O} COMMENT {X}",
            "TRUNCATE {O}",
            "DROP TABLE {O}",
            "DROP TABLE IF EXISTS {O} , {S} . {W} , {S} . {D}",
            "RENAME TABLE {O} TO {S} . {D}",
            "ALTER TABLE {O} RENAME TO {S} . {D}",
            "CREATE TABLE {S} . {D} ( {D} INT COMMENT {X} )",
            "CREATE VIEW {S} . {D} AS SELECT * FROM {T}",
            "DROP VIEW IF EXISTS {S} . {D}",
            "CREATE TABLE {S} . {D} LIKE {T}",
            "ALTER DATABASE {M} CHARACTER SET utf8mb4",
            "CREATE TEMPORARY TABLE {S} . {D} ( id INT )",
        ),
        mariadb=(
            "CREATE OR REPLACE TABLE {O} ( {D} INT )",
            "ALTER TABLE {O} DROP COLUMN {P} . {L}",
            "DROP TABLE `#mysql50#nothing`",
            "CREATE SEQUENCE {S} . {D}",
        ),
    ),
    StatementKind(
        "another table that takes a mapped one's name or rows: RENAME, EXCHANGE, CONVERT",
        "stops",
        (
            "RENAME TABLE {T} TO {S} . {W} , {O} TO {T}",
            "ALTER TABLE {S} . parts EXCHANGE PARTITION p0 WITH TABLE {T}",
        ),
        mariadb=("ALTER TABLE {S} . parts CONVERT TABLE {T} TO PARTITION p9 VALUES LESS THAN ( 9999 )",),
    ),
    StatementKind(
        "rows of other tables, logged as a statement; it may read every table",
        "passes",
        (
            "INSERT INTO {O} ( id ) VALUES ( 91 )",
            "INSERT INTO {O} ( id ) SELECT id + 500 FROM {T}",
            "REPLACE INTO {O} ( id , {L} ) VALUES ( 93 , 1 )",
            "UPDATE {O} SET {L} = {L} + 1",
            "DELETE FROM {O}",
            "CREATE TABLE {S} . {W} AS SELECT * FROM {O}",
            "CREATE TABLE {S} . {W} SELECT id , {X} AS a FROM {T}",
        ),
        as_statement=True,
    ),
    StatementKind(
        "the same where a view, trigger, routine or foreign key leads to a mapped table",
        "stops",
        (
            "INSERT INTO {S} . led ( id ) VALUES ( 1 )",
            "UPDATE {S} . view SET id = id + 3000",
            "DELETE FROM {S} . view",
            "INSERT INTO {O} ( id ) VALUES ( {S} . routine() )",
        ),
        as_statement=True,
    ),
    StatementKind(
        "a statement that is not understood and has a mapped table's or schema's name in it",
        "stops",
        ("FROBNICATE {T}", "ALTER TABLE {T} FROBNICATE"),
    ),
)
