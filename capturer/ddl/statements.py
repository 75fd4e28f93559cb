"""
What an SQL statement in the binlog means for the mapped tables. Pure.

Row changes arrive as row events, so a statement matters only if it changes rows or the table without any:
then capture stops. The rules:

stops      TRUNCATE, DROP, RENAME of a mapped table or onto its name; DROP of its schema; CREATE OR REPLACE
stops      ALTER that changes carried values without a row event (`alter_table` has its rules) stops
INSERT, UPDATE, DELETE, REPLACE, LOAD, CALL, SELECT f() logged as a statement, except the server's own stops
a statement that is not understood and mentions a mapped table or schema continues  every other statement
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto

from capturer.ddl.alter_table import alteration
from capturer.ddl.sql_tokens import (
    NotUnderstood,
    Token,
    TokenReader,
    mentioned,
    names,
    opening,
    split,
    tokens,
)
from rowferry.mapping import Mapping
from rowferry.mysql.dialect import SqlDialect


class Meaning(Enum):
    """Role of a statement in its transaction."""

    BEGIN = auto()
    COMMIT = auto()
    ROLLBACK = auto()
    ROLLBACK_TO = auto()
    SAVEPOINT = auto()
    XA_BEGIN = auto()
    XA_COMMIT = auto()
    XA_ROLLBACK = auto()
    HARMLESS = auto()
    STOP = auto()


@dataclass(frozen=True, slots=True)
class Verdict:
    """
    What a statement means.

    If it stops capture: what it does (`found`), what to do (`fix`, with `{at}` for the position) and the
    source tables that have to be loaded again (`tables`). `reshapes`: the mapped source tables that may have
    other columns afterwards. `retypes`: it does not stop capture if the new definitions of these columns keep
    every value. `name` is that of the savepoint, or of the XA transaction, such as X'6162',X'',1
    """

    meaning: Meaning
    found: str = ""
    fix: str = ""
    tables: frozenset[str] = frozenset()
    reshapes: frozenset[str] = frozenset()
    retypes: frozenset[str] = frozenset()
    name: str = ""


HARMLESS = Verdict(Meaning.HARMLESS)
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
    "CALL", "DELETE", "DO", "HANDLER", "IMPORT", "INSERT", "LOAD", "MERGE", "REPLACE", "SELECT", "UPDATE",
    "WITH",
])  # fmt: skip
_OWN = frozenset(["mysql", "sys"])  # the server's own schemas; a hosted server's heartbeat writes to one
# Statements that never change a table's rows.
_VERBS = frozenset([
    "ANALYZE", "CHECK", "FLUSH", "GRANT", "INSTALL", "KILL", "OPTIMIZE", "PURGE", "RELEASE", "REPAIR",
    "REVOKE", "UNINSTALL", "USE", "XA",
])  # fmt: skip
_XID = re.compile(r"X'[0-9a-f]*',X'[0-9a-f]*',\d+")
_AGAIN = "`ferry switch off`, empty {}, run `ferry load --again`, then start the capturer with --skip {{at}}"
RELOAD = _AGAIN.format("the target of the table")
RELOAD_ALL = _AGAIN.format("the targets of all mapped tables")
_COLUMNS = f"correct the mapping if it names a column that is gone; {RELOAD}"
_TABLE = f"restore the table if it is gone, or leave it out of the mapping; {RELOAD}"


def judge(text: str, schema: str, mapping: Mapping, dialect: SqlDialect) -> Verdict:
    """
    What the statement means, run with this default schema. Called for every statement that is not a plain
    BEGIN.

    Never raises: a statement that is not understood is harmless unless it mentions a mapped table or schema.
    """
    if text == "BEGIN":
        return Verdict(Meaning.BEGIN)
    try:
        parsed = tokens(text)
    except NotUnderstood:
        return _not_understood(names(text), text, mapping)
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
    """The verdict on several statements in one text: that of the first one that stops."""
    stops = (verdict for verdict in verdicts if verdict.meaning is Meaning.STOP)
    return next(stops, verdicts[0] if verdicts else HARMLESS)


def _not_understood(found: Iterable[str], text: str, mapping: Mapping) -> Verdict:
    lowered = {name.lower() for name in found}
    touched = [
        table.source
        for table in mapping.tables
        if table.table.lower() in lowered or table.schema.lower() in lowered
    ]
    if not touched:
        return HARMLESS
    return _stop(
        f"a statement that mentions {touched[0]} and is not understood ({opening(text)})",
        touched,
        reshapes=True,
    )


def _stop(found: str, tables: Iterable[str], fix: str = RELOAD, *, reshapes: bool = False) -> Verdict:
    touched = frozenset(tables)
    return Verdict(Meaning.STOP, found, fix, touched, touched if reshapes else frozenset())


class _Judge:
    """Judges one statement. Names compare without case: some servers store them in lower case."""

    def __init__(
        self, parsed: Sequence[Token], text: str, schema: str, mapping: Mapping, dialect: SqlDialect
    ) -> None:
        self.parsed = parsed
        self.dialect = dialect
        self.text = text
        self.words = TokenReader(parsed)
        self.schema = schema.lower()
        self.mapping = mapping
        self.tables = {(table.schema.lower(), table.table.lower()): table for table in mapping.tables}
        self.schemas = {table.schema.lower() for table in mapping.tables}

    def verdict(self) -> Verdict:
        try:
            return self._verdict()
        except NotUnderstood:
            return _not_understood(mentioned(self.parsed), self.text, self.mapping)

    def _verdict(self) -> Verdict:
        while self.words.skip("("):  # (SELECT ...)
            pass
        if self.words.skip("SET"):
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
            return self._rows(verb)
        if verb in _VERBS:
            return HARMLESS
        raise NotUnderstood

    def _skip_settings(self) -> None:
        """Reads MariaDB's SET STATEMENT variable=value, ... FOR, which precedes the statement."""
        if not self.words.skip("STATEMENT"):
            raise NotUnderstood
        while not self.words.skip("FOR"):
            self.words.next()

    def _truncate(self) -> Verdict:
        self.words.skip("TABLE")
        return self._gone([self._name()], "TRUNCATE", reshapes=False)

    def _drop(self) -> Verdict:
        if self.words.skip("TEMPORARY"):
            return HARMLESS
        if self.words.skip("DATABASE", "SCHEMA"):
            self.words.skip_exists()
            return self._schema_gone("DROP DATABASE")
        if not self.words.skip("TABLE", "TABLES"):
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
        if self.words.skip("TEMPORARY") or not self.words.skip("TABLE"):
            return HARMLESS
        self.words.skip_exists()
        name = self._name()
        if replaces:
            return self._gone([name], "CREATE OR REPLACE TABLE")
        if name not in self.tables:
            return HARMLESS
        source = self.tables[name].source
        if any(token.word == "SELECT" for token in self.words.rest):
            return _stop(f"CREATE TABLE {source} ... SELECT was logged without rows", [source], reshapes=True)
        return Verdict(Meaning.HARMLESS, reshapes=frozenset([source]))

    def _alter(self) -> Verdict:
        ignore = False
        while self.words.word in ("ONLINE", "OFFLINE", "IGNORE"):
            ignore |= self.words.next().word == "IGNORE"
        if not self.words.skip("TABLE"):
            return HARMLESS
        self.words.skip_exists()
        name = self._name()
        self.words.skip_wait()
        table = self.tables.get(name)
        if table is None:
            return self._alter_other()
        found = alteration(self.words.rest, table, ignore=ignore)
        if found.change:
            text = f"ALTER TABLE {table.source} {found.change}"
            return replace(_stop(text, [table.source], _COLUMNS, reshapes=True), retypes=found.retypes)
        return Verdict(Meaning.HARMLESS, reshapes=frozenset([table.source] if found.reshapes else []))

    def _alter_other(self) -> Verdict:
        """ALTER of another table, which may take a mapped one's name, or exchange rows with it."""
        for action in split(self.words.rest):
            moves = action[0].word in ("RENAME", "EXCHANGE", "CONVERT")
            if moves and mentioned(action) & {table for _, table in self.tables}:
                raise NotUnderstood
        return HARMLESS

    def _rows(self, verb: str) -> Verdict:
        """
        A view, trigger or routine of any schema may change mapped rows, except those of the server's own.
        """
        named = mentioned(self.parsed) | {self.schema}
        if named & _OWN and not named & (self.schemas | {table for _, table in self.tables}):
            return HARMLESS
        return _stop(
            f"{verb} was logged as a statement and not as rows",
            [table.source for table in self.mapping.tables],
            f"SET GLOBAL binlog_format=ROW and reconnect the writers; {RELOAD}",
        )

    def _gone(self, found: Iterable[tuple[str, str]], what: str, *, reshapes: bool = True) -> Verdict:
        sources = [self.tables[name].source for name in found if name in self.tables]
        fix = _TABLE if reshapes else RELOAD
        return _stop(f"{what} of {sources[0]}", sources, fix, reshapes=reshapes) if sources else HARMLESS

    def _schema_gone(self, what: str) -> Verdict:
        schema = self.words.identifier()
        sources = [table.source for (owner, _), table in self.tables.items() if owner == schema]
        return _stop(f"{what} {schema}", sources, _TABLE, reshapes=True) if sources else HARMLESS

    def _name(self) -> tuple[str, str]:
        return self.words.table(self.schema)
