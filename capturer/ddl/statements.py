"""
What an SQL statement in the binlog means for the mapped tables. Pure.

Row changes arrive as row events, so a statement matters only if it changes rows or the table without any:
then capture stops. The rules, as docs/ddl.md has them for the operator:

stops      TRUNCATE, DROP, RENAME of a mapped table or onto its name; DROP of its schema; CREATE OR REPLACE
stops      ALTER that changes carried values without a row event (`alter_table` has its rules)
stops      INSERT, UPDATE, DELETE, REPLACE, LOAD, CALL, SELECT f(), CREATE TABLE ... SELECT logged as a
           statement, unless it changes other tables and leads to no mapped one (`writes` and `reads`)
stops      a statement that is not understood and mentions a mapped table or schema
continues  every other statement
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from capturer.ddl.acting_keys import acting_keys
from capturer.ddl.alter_table import alteration, renamed
from capturer.ddl.row_statements import has_query, target
from capturer.ddl.sql_tokens import (
    Name,
    NotUnderstood,
    Token,
    TokenReader,
    meant,
    mentioned,
    names,
    opening,
    split,
    tokens,
)
from capturer.ddl.verdicts import (
    CORRECT_COLUMNS,
    HARMLESS,
    LOG_ROWS,
    RELOAD,
    RESTORE,
    Meaning,
    Verdict,
    stop,
)
from rowferry.mapping import Mapping, TableMapping
from rowferry.mysql.dialect import ANSI_QUOTES, NO_BACKSLASH_ESCAPES, SqlDialect

_CONTROL = {
    ("BEGIN",): Meaning.BEGIN,
    ("START", "TRANSACTION"): Meaning.BEGIN,
    ("COMMIT",): Meaning.COMMIT,
    ("ROLLBACK", "TO"): Meaning.ROLLBACK_TO,
    ("ROLLBACK",): Meaning.ROLLBACK,
    ("SAVEPOINT",): Meaning.SAVEPOINT,
    ("XA", "END"): Meaning.HARMLESS,
    ("XA", "START"): Meaning.XA_BEGIN,
    ("XA", "BEGIN"): Meaning.XA_BEGIN,
    ("XA", "COMMIT"): Meaning.XA_COMMIT,
    ("XA", "ROLLBACK"): Meaning.XA_ROLLBACK,
}
_ROW_VERBS = frozenset([
    "CALL", "DELETE", "DO", "HANDLER", "IMPORT", "INSERT", "LOAD", "MERGE", "REPLACE", "SELECT", "TABLE",
    "UPDATE", "VALUES", "WITH",
])  # fmt: skip
_OWN = frozenset(["mysql", "sys"])  # the server's own schemas; a hosted server's heartbeat writes to one
# Statements that never change a table's rows.
_VERBS = frozenset([
    "ANALYZE", "CHECK", "FLUSH", "GRANT", "INSTALL", "KILL", "OPTIMIZE", "PURGE", "RELEASE", "REPAIR",
    "REVOKE", "UNINSTALL", "USE", "XA",
])  # fmt: skip
_DDL = frozenset(["ALTER", "CREATE", "DROP", "RENAME", "SET"])  # SET STATEMENT ... FOR precedes one
_ACCOUNT_SETTINGS = ("PASSWORD", "DEFAULT", "ROLE")
_XID = re.compile(r"X'[0-9a-f]*',X'[0-9a-f]*',\d+")
_MODE = re.compile("sql_mode", re.IGNORECASE)
_MODES = (0, ANSI_QUOTES, NO_BACKSLASH_ESCAPES, ANSI_QUOTES | NO_BACKSLASH_ESCAPES)


def judge(text: str, schema: str, mapping: Mapping, dialect: SqlDialect) -> Verdict:
    """
    What the statement means, run with this default schema. Called for every statement that is not a plain
    BEGIN.

    Never raises: a statement that is not understood is harmless unless it mentions a mapped table or schema.
    """
    if text == "BEGIN":
        return Verdict(Meaning.BEGIN)
    if dialect.mariadb and _MODE.search(text):
        # SET STATEMENT sql_mode=... FOR: the binlog has that mode, but the text is read in the session's.
        return _together([_judged(text, schema, mapping, dialect.under(mode)) for mode in _MODES])
    return _judged(text, schema, mapping, dialect)


def _judged(text: str, schema: str, mapping: Mapping, dialect: SqlDialect) -> Verdict:
    try:
        parsed = tokens(text, dialect)
    except NotUnderstood:
        return _Judge([], text, schema, mapping, dialect).not_understood(names(text))
    has_body = bool(parsed) and parsed[0].word in ("CREATE", "ALTER")  # of a routine, with semicolons in it
    parts = [parsed] if has_body else list(split(parsed, ";"))
    if len(parts) == 1 and (control := _control(parts[0], text)):
        return control
    return _together([_Judge(part, text, schema, mapping, dialect).verdict() for part in parts])


def _control(parsed: Sequence[Token], text: str) -> Verdict | None:
    words = tuple(token.word for token in parsed[:2])
    meaning = _CONTROL.get(words) or _CONTROL.get(words[:1])  # two words first: ROLLBACK TO is no ROLLBACK
    return Verdict(meaning, name=_name(text, parsed)) if meaning else None


def _name(text: str, parsed: Sequence[Token]) -> str:
    """
    Name of a savepoint, or of an XA transaction in the one form in which servers write it to the binlog.
    """
    xid = _XID.search(text)
    return xid[0] if xid else parsed[-1].text.lower()


def _together(verdicts: Sequence[Verdict]) -> Verdict:
    """The verdict on several statements in one text, or on one text read in several ways."""
    stops = list(dict.fromkeys(verdict for verdict in verdicts if verdict.meaning is Meaning.STOP))
    if len(stops) < 2:
        return next(iter([*stops, *verdicts]), HARMLESS)
    unconditional = [verdict for verdict in stops if not (verdict.writes or verdict.retypes)]
    if unconditional or any(verdict.retypes for verdict in stops):
        return replace([*unconditional, *stops][0], retypes=frozenset(), writes=frozenset())
    writes, reads = (
        frozenset().union(*found) for found in zip(*((v.writes, v.reads) for v in stops), strict=True)
    )
    return replace(stops[0], writes=writes, reads=reads)


class _Judge:
    """Judges one statement. Names compare as the server compares them."""

    def __init__(
        self, parsed: Sequence[Token], text: str, schema: str, mapping: Mapping, dialect: SqlDialect
    ) -> None:
        self.parsed = parsed
        self.text = text
        self.words = TokenReader(parsed)
        self.dialect = dialect
        self.comparable = dialect.name
        self.schema = dialect.name(schema)
        self.tables = {(dialect.name(one.schema), dialect.name(one.table)): one for one in mapping.tables}

    def verdict(self) -> Verdict:
        try:
            return self._asking(self._verdict())
        except NotUnderstood:
            return self.not_understood(mentioned(self.parsed))

    def _asking(self, verdict: Verdict) -> Verdict:
        """DDL that mentions mapped tables may change what preflight demands of them."""
        if not _DDL & {token.word for token in self.parsed[:1]}:
            return verdict
        named = meant(self.parsed, self.schema, self.comparable) & self.tables.keys()
        return replace(verdict, asks=frozenset(self.tables[name].source for name in named))

    def _keyed(self, table: TableMapping) -> frozenset[tuple[str, str]]:
        inline = self.dialect.mariadb or self.dialect.version >= (9, 0)
        found = acting_keys(self.words.rest, table.travels, inline=inline)
        return frozenset((table.source, action) for action in found)

    def not_understood(self, found: Iterable[str]) -> Verdict:
        """The verdict on a text of which only the names in it are known."""
        compared = {self.comparable(name) for name in found}
        touched = [table.source for name, table in self.tables.items() if compared.intersection(name)]
        if not touched:
            return HARMLESS
        what = f"a statement that mentions {touched[0]} and is not understood ({opening(self.text)})"
        return stop(what, touched, reshapes=True)

    def _verdict(self) -> Verdict:
        while self.words.skip("("):  # (SELECT ...)
            pass
        if self.words.skip("SET"):
            if self.words.word in _ACCOUNT_SETTINGS:
                return HARMLESS
            self._skip_settings()
        if not self.words:
            return HARMLESS
        verb = self.words.next().word
        readers: dict[str, Callable[[], Verdict]] = {
            "TRUNCATE": self._truncate,
            "DROP": self._drop,
            "RENAME": self._rename,
            "ALTER": self._alter,
            "CREATE": self._create,
        }
        if verb in readers:
            return readers[verb]()
        if verb in _ROW_VERBS:
            return self._rows(verb, target(verb, self.words, self.schema, self.comparable))
        if verb in _VERBS:
            return HARMLESS
        raise NotUnderstood

    def _skip_settings(self) -> None:
        """Reads MariaDB's SET STATEMENT variable=value, ... FOR, which precedes the statement."""
        if not self.words.skip("STATEMENT"):
            raise NotUnderstood
        depth = 0
        while depth or not self.words.skip("FOR"):
            word = self.words.next().word
            depth += (word == "(") - (word == ")")

    def _truncate(self) -> Verdict:
        self.words.skip("TABLE")
        return self._gone([self._name()], "TRUNCATE", reshapes=False)

    def _drop(self) -> Verdict:
        if self.words.skip("TEMPORARY"):
            return HARMLESS
        if self.words.skip("DATABASE", "SCHEMA"):
            self.words.skip_exists()
            return self._schema_gone("DROP DATABASE")
        if not self.words.skip("TABLE", "TABLES", "SEQUENCE"):
            return HARMLESS
        self.words.skip_exists()
        found = [self._name()]
        while self.words.skip(","):
            found.append(self._name())
        return self._gone(found, "DROP TABLE")

    def _rename(self) -> Verdict:
        if not self.words.skip("TABLE", "TABLES"):
            return HARMLESS
        self.words.skip_exists()
        found = [self._name()]
        while self.words:
            self.words.skip_wait()
            if not self.words.skip("TO", ","):
                raise NotUnderstood
            found.append(self._name())
        return self._gone(found, "RENAME TABLE")

    def _create(self) -> Verdict:
        replaces = self.words.skip("OR") and self.words.skip("REPLACE")
        if self.words.skip("DATABASE", "SCHEMA"):
            return self._schema_gone("CREATE OR REPLACE DATABASE") if replaces else HARMLESS
        temporary = self.words.skip("TEMPORARY")
        # MariaDB replaces a table by a sequence of its name.
        if not self.words.skip("TABLE", "SEQUENCE"):
            return HARMLESS
        self.words.skip_exists()
        name = self._name()
        if replaces and not temporary and name in self.tables:
            return self._gone([name], "CREATE OR REPLACE TABLE")
        if has_query(self.words.rest):
            return self._created_with_rows(name, temporary)
        if temporary or name not in self.tables:
            return HARMLESS
        table = self.tables[name]
        return Verdict(Meaning.HARMLESS, reshapes=frozenset([table.source]), acting=self._keyed(table))

    def _created_with_rows(self, name: Name, temporary: bool) -> Verdict:
        if name in self.tables and not temporary:
            source = self.tables[name].source
            return stop(f"CREATE TABLE {source} ... SELECT was logged without rows", [source], reshapes=True)
        return self._rows("CREATE TABLE ... SELECT", ("", "") if temporary else name)

    def _alter(self) -> Verdict:
        ignore = False
        while self.words.word in ("ONLINE", "OFFLINE", "IGNORE"):
            ignore |= self.words.next().word == "IGNORE"
        if self.words.skip("DATABASE", "SCHEMA"):
            upgrades = any(token.word == "UPGRADE" for token in self.parsed)
            return self._schema_gone("ALTER DATABASE ... UPGRADE") if upgrades else HARMLESS
        if not self.words.skip("TABLE"):
            return HARMLESS
        self.words.skip_exists()
        name = self._name()
        self.words.skip_wait()
        table = self.tables.get(name)
        if table is None:
            moved = [*renamed(self.words.rest, self.schema, self.comparable)]
            return self._gone(moved, "ALTER TABLE of another table in exchange")
        found = alteration(self.words.rest, table, ignore=ignore)
        if found.change:
            text = f"ALTER TABLE {table.source} {found.change}"
            stopping = stop(text, [table.source], CORRECT_COLUMNS, reshapes=True)
            return replace(stopping, retypes=found.retypes, acting=self._keyed(table))
        reshapes = frozenset([table.source] if found.reshapes else [])
        return Verdict(Meaning.HARMLESS, reshapes=reshapes, acting=self._keyed(table))

    def _rows(self, verb: str, written: Name | None) -> Verdict:
        """The verdict on a statement about rows; `written` is the one table that it names to change it."""
        named = meant(self.parsed, self.schema, self.comparable)
        writes = named if written is None else frozenset([written])
        if not writes.intersection(self.tables):
            schemas = {owner for owner, _ in named} - {""}
            if schemas and schemas <= _OWN:
                return HARMLESS
        found = stop(
            f"{verb} was logged as a statement and not as rows",
            [table.source for table in self.tables.values()],
            LOG_ROWS,
        )
        # A view, trigger or routine of any schema may change mapped rows: the server is asked.
        return found if writes.intersection(self.tables) else replace(found, writes=writes, reads=named)

    def _gone(self, found: Iterable[Name], what: str, *, reshapes: bool = True) -> Verdict:
        sources = [self.tables[name].source for name in found if name in self.tables]
        fix = RESTORE if reshapes else RELOAD
        return stop(f"{what} of {sources[0]}", sources, fix, reshapes=reshapes) if sources else HARMLESS

    def _schema_gone(self, what: str) -> Verdict:
        schema = self.words.identifier()
        compared = self.comparable(schema)
        sources = [table.source for (owner, _), table in self.tables.items() if owner == compared]
        return stop(f"{what} {schema}", sources, RESTORE, reshapes=True) if sources else HARMLESS

    def _name(self) -> Name:
        return self.words.table(self.schema, self.comparable)
