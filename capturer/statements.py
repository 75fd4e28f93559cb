"""
What an SQL statement that stands in the binlog means for the mapped tables. Pure.

Row changes arrive as row events, so a statement matters only where it changes
rows or the table without any: then capture stops. The rules:

stops      TRUNCATE, DROP, RENAME of a mapped table or onto its name; DROP of its schema; CREATE OR REPLACE
stops      ALTER that drops, renames, changes or retypes a column that travels; that drops, truncates or
           exchanges a partition; CONVERT TO; and any action that is not known here
stops      ALTER that adds a column, with item-per-row: existing rows get its default without a row event
goes on    ALTER that adds a column, with attribute-per-row: it does not travel
goes on    ALTER of indexes, constraints, options, defaults, columns that do not travel
stops      INSERT, UPDATE, DELETE, REPLACE, LOAD, CALL logged as a statement in a mapped schema
stops      a statement that is not understood and mentions a mapped table or schema
goes on    every other statement
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from itertools import chain
from typing import NamedTuple

from rowferry.mapping import Mapping, TableMapping


class Meaning(Enum):
    """What a statement is to the transaction that it stands in."""

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
    What a statement means; where it stops capture, what it does (`found`) and what to do (`fix`).

    `name` is that of the savepoint, or of the XA transaction: X'6162',X'',1
    """

    meaning: Meaning
    found: str = ""
    fix: str = ""
    name: str = ""


class Token(NamedTuple):
    """A word (upper case in `word`), a quoted name, or a sign. Text in quotes and comments is left out."""

    text: str
    word: str


HARMLESS = Verdict(Meaning.HARMLESS)
_CONTROL = {
    ("BEGIN",): Meaning.BEGIN,
    ("START", "TRANSACTION"): Meaning.BEGIN,
    ("COMMIT",): Meaning.COMMIT,
    ("ROLLBACK", "TO"): Meaning.ROLLBACK_TO,
    ("ROLLBACK",): Meaning.ROLLBACK,
    ("SAVEPOINT",): Meaning.SAVEPOINT,
    ("XA", "START"): Meaning.XA_BEGIN,
    ("XA", "BEGIN"): Meaning.XA_BEGIN,
    ("XA", "COMMIT"): Meaning.XA_COMMIT,
    ("XA", "ROLLBACK"): Meaning.XA_ROLLBACK,
}
_ROW_VERBS = frozenset([
    "CALL", "DELETE", "DO", "HANDLER", "IMPORT", "INSERT", "LOAD", "MERGE", "REPLACE", "UPDATE", "WITH",
])  # fmt: skip
# Statements that never change a table's rows.
_VERBS = frozenset([
    "ANALYZE", "CHECK", "FLUSH", "GRANT", "INSTALL", "KILL", "OPTIMIZE", "PURGE", "RELEASE", "REPAIR",
    "REVOKE", "UNINSTALL", "USE", "XA",
])  # fmt: skip
_XID = re.compile(r"X'[0-9a-f]*',X'[0-9a-f]*',\d+")
_RELOAD = "empty the target of the table and load it again, then start the capturer with --skip {at}"
_TOKENS = re.compile(
    r"""
      (?P<comment> --(?=[\s]|\Z)[^\n]* | \#[^\n]* | /\*(?![!]|M!) .*? \*/ )
    | (?P<open> /\*M?!\d* ) | (?P<close> \*/ )
    | (?P<string> '(?:[^'\\]|\\.|'')*' )
    | `(?P<quoted> (?:[^`]|``)* )` | "(?P<double> (?:[^"\\]|\\.|"")* )"
    | (?P<word> [\w$@]+ )
    | (?P<broken> ['"`] | /\*(?![!]|M!) )
    | (?P<sign> \S )
    """,
    re.VERBOSE | re.DOTALL,
)


class _NotParsed(Exception):
    """The text is not what the recogniser knows."""


def tokens(text: str) -> list[Token]:
    """
    The statement's tokens. What stands in executable comments counts, other comments do not.

    ValueError where a quote or a comment does not end.
    """
    found = []
    for match in _TOKENS.finditer(text):
        kind, value = match.lastgroup, match.group()
        if kind == "broken":
            raise ValueError("a quote or a comment does not end")
        if kind == "quoted":
            found.append(Token(match["quoted"].replace("``", "`"), ""))
        elif kind == "double":  # a name under ANSI_QUOTES; taken for text it could hide one
            found.append(Token(match["double"].replace('""', '"'), ""))
        elif kind in ("word", "sign"):
            found.append(Token(value, value.upper()))
    return found


def judge(text: str, schema: str, mapping: Mapping) -> Verdict:
    """What the statement means when it ran with this default schema. `{at}` in a fix is for the position."""
    if text == "BEGIN":
        return Verdict(Meaning.BEGIN)
    try:
        parsed = tokens(text)
    except ValueError:
        return _unknown(re.findall(r"[\w$]+", text), text, mapping)
    words = tuple(token.word for token in parsed if token.word != ";")
    for length in (2, 1):
        if words[:length] in _CONTROL:
            return Verdict(_CONTROL[words[:length]], name=_name(text, parsed))
    try:
        return _Judge(parsed, schema, mapping).verdict()
    except _NotParsed:
        return _unknown([token.text for token in parsed], text, mapping)


def _name(text: str, parsed: Sequence[Token]) -> str:
    """Of a savepoint, or of an XA transaction in the one form in which servers write it."""
    xid = _XID.search(text)
    return xid[0] if xid else parsed[-1].text.lower()


def _unknown(names: Sequence[str], text: str, mapping: Mapping) -> Verdict:
    lowered = {name.lower() for name in names}
    for table in mapping.tables:
        if table.table.lower() in lowered or table.schema.lower() in lowered:
            return _stop(
                f"a statement that mentions {table.source} and is not understood ({_verb(text)})", _RELOAD
            )
    return HARMLESS


def _verb(text: str) -> str:
    """The statement's first words: they never hold a row's value."""
    return " ".join(re.findall(r"[A-Za-z_]+", re.sub(r"/\*.*?\*/", " ", text))[:2]).upper() or "no words"


def _stop(found: str, fix: str) -> Verdict:
    return Verdict(Meaning.STOP, found, fix)


class _Judge:
    """Reads one statement from left to right. Names compare without case: some servers store them so."""

    def __init__(self, parsed: list[Token], schema: str, mapping: Mapping) -> None:
        self.rest = parsed
        self.schema = schema.lower()
        self.mapping = mapping
        self.tables = {(table.schema.lower(), table.table.lower()): table for table in mapping.tables}
        self.schemas = {table.schema.lower() for table in mapping.tables}

    def verdict(self) -> Verdict:
        if not self.rest:
            return HARMLESS
        verb = self._next().word
        reader = {
            "TRUNCATE": self._truncate,
            "DROP": self._drop,
            "RENAME": self._rename,
            "ALTER": self._alter,
            "CREATE": self._create,
        }.get(verb)
        if reader is not None:
            return reader()
        if verb in _ROW_VERBS:
            return self._rows(verb)
        if verb in _VERBS:
            return HARMLESS
        raise _NotParsed

    def _truncate(self) -> Verdict:
        self._skip("TABLE")
        return self._gone([self._name()], "TRUNCATE")

    def _drop(self) -> Verdict:
        if self._skip("TEMPORARY"):
            return HARMLESS
        if self._skip("DATABASE", "SCHEMA"):
            self._skip_exists()
            return self._schema_gone(self._next().text.lower(), "DROP DATABASE")
        if not self._skip("TABLE", "TABLES"):
            return HARMLESS
        self._skip_exists()
        return self._gone(list(self._names()), "DROP TABLE")

    def _rename(self) -> Verdict:
        if not self._skip("TABLE", "TABLES"):
            return HARMLESS
        self._skip_exists()
        names = [self._name()]
        while self.rest:
            self._skip_wait()
            if not self._skip("TO", ","):
                raise _NotParsed
            names.append(self._name())
        return self._gone(names, "RENAME TABLE")

    def _create(self) -> Verdict:
        if not (self._skip("OR") and self._skip("REPLACE")):
            return HARMLESS  # the rows of CREATE ... SELECT arrive as row events
        if self._skip("DATABASE", "SCHEMA"):
            return self._schema_gone(self._next().text.lower(), "CREATE OR REPLACE DATABASE")
        if self._skip("TEMPORARY") or not self._skip("TABLE"):
            return HARMLESS
        return self._gone([self._name()], "CREATE OR REPLACE TABLE")

    def _alter(self) -> Verdict:
        while self._skip("ONLINE", "OFFLINE", "IGNORE"):
            pass
        if not self._skip("TABLE"):
            return HARMLESS
        self._skip_exists()
        name = self._name()
        self._skip_wait()
        table = self.tables.get(name)
        for action in _split(self.rest):
            if action[0].word in _PARTITION_WORK:
                return HARMLESS  # stands alone, and a comma after it is followed by another partition's name
            if table is not None and (change := alteration(action, table)):
                return _stop(f"ALTER TABLE {table.source} {change}", _RELOAD)
            if table is None and action[0].word in ("RENAME", "EXCHANGE"):
                self._refuse_mention(action)
        return HARMLESS

    def _rows(self, verb: str) -> Verdict:
        named = {token.text.lower() for token in self.rest}
        mapped = self.schemas | {table for _, table in self.tables}
        if self.schema not in self.schemas and not named & mapped:
            return HARMLESS
        return _stop(
            f"{verb} was logged as a statement and not as rows",
            "SET GLOBAL binlog_format=ROW and reconnect the writers; empty the targets of the tables "
            "that it changed and load them again, then start the capturer with --skip {at}",
        )

    def _gone(self, names: Sequence[tuple[str, str]], what: str) -> Verdict:
        for name in names:
            if name in self.tables:
                return _stop(f"{what} of {self.tables[name].source}", _RELOAD)
        return HARMLESS

    def _schema_gone(self, schema: str, what: str) -> Verdict:
        return _stop(f"{what} {schema}", _RELOAD) if schema in self.schemas else HARMLESS

    def _refuse_mention(self, action: Sequence[Token]) -> None:
        names = {token.text.lower() for token in action}
        if names & {table for _, table in self.tables}:
            raise _NotParsed

    def _next(self) -> Token:
        if not self.rest:
            raise _NotParsed
        token, *self.rest = self.rest
        return token

    def _skip(self, *words: str) -> bool:
        if self.rest and self.rest[0].word in words:
            self._next()
            return True
        return False

    def _skip_exists(self) -> None:
        if self._skip("IF"):
            while self._skip("NOT", "EXISTS"):
                pass

    def _skip_wait(self) -> None:
        """MariaDB: WAIT n or NOWAIT after a table's name."""
        if self._skip("WAIT"):
            self._next()
        self._skip("NOWAIT")

    def _name(self) -> tuple[str, str]:
        self._skip(".")  # `.t` is t of the default schema
        first = self._identifier()
        if self._skip("."):
            return first, self._identifier()
        return self.schema, first

    def _names(self) -> Iterator[tuple[str, str]]:
        yield self._name()
        while self._skip(","):
            yield self._name()

    def _identifier(self) -> str:
        token = self._next()
        if token.word and not re.fullmatch(r"[\w$]+", token.word):
            raise _NotParsed
        return token.text.lower()


def _split(parsed: Sequence[Token]) -> Iterator[list[Token]]:
    """ALTER's actions: parted by commas outside of brackets."""
    action: list[Token] = []
    depth = 0
    for token in chain(parsed, [Token(",", ",")]):
        depth += (token.word == "(") - (token.word == ")")
        if token.word == "," and depth == 0:
            if action:
                yield action
            action = []
        elif token.word != ";":
            action.append(token)


_INDEXES = frozenset([
    "CHECK", "CONSTRAINT", "FOREIGN", "FULLTEXT", "INDEX", "KEY", "PARTITION", "PRIMARY", "SPATIAL",
    "UNIQUE", "VECTOR",
])  # fmt: skip
_OPTIONS = frozenset([
    "ALGORITHM", "AUTOEXTEND_SIZE", "AUTO_INCREMENT", "AVG_ROW_LENGTH", "CHARACTER", "CHARSET",
    "CHECKSUM", "COLLATE", "COMMENT", "COMPRESSION", "DEFAULT", "DELAY_KEY_WRITE", "DISABLE", "ENABLE",
    "ENCRYPTED", "ENCRYPTION", "ENGINE", "FORCE", "KEY_BLOCK_SIZE", "LOCK", "MAX_ROWS", "MIN_ROWS",
    "ORDER", "PACK_KEYS", "PAGE_COMPRESSED", "PAGE_COMPRESSION_LEVEL", "PARTITION", "REMOVE",
    "ROW_FORMAT", "SECONDARY_ENGINE", "STATS_AUTO_RECALC", "STATS_PERSISTENT", "STATS_SAMPLE_PAGES",
    "TABLESPACE", "WITH", "WITHOUT",
])  # fmt: skip
_PARTITION_WORK = frozenset(["REORGANIZE", "COALESCE", "ANALYZE", "CHECK", "OPTIMIZE", "REBUILD", "REPAIR"])


def alteration(action: Sequence[Token], table: TableMapping) -> str | None:
    """What an ALTER TABLE action does to what travels of the table, None when it leaves that alone."""
    first, second = (action[index].word if index < len(action) else "" for index in (0, 1))
    names = {token.text.lower() for token in action}
    if first == "ADD":
        harmless = second in _INDEXES or (not table.every_column and second not in ("SYSTEM", "PERIOD"))
        return None if harmless else "adds a column, and existing rows may have got its default"
    if first == "ALTER" or (first in ("DROP", "RENAME") and second in _INDEXES - {"PARTITION"}):
        return None  # ALTER [COLUMN] sets a default for rows to come
    if first == "DROP" and second not in ("PARTITION", "SYSTEM", "PERIOD"):
        return _if_it_travels("drops", names, table)
    if first == "RENAME" and second == "COLUMN":
        return _if_it_travels("renames", names, table)
    if first in ("CHANGE", "MODIFY"):
        return _if_it_travels("changes", names, table)
    if first in _OPTIONS:
        return None
    return f"({first} {second})".replace(" )", ")")


def _if_it_travels(what: str, names: set[str], table: TableMapping) -> str | None:
    """Any mention counts, also one as a neighbour (AFTER c): stopping once too often loses nothing."""
    if table.every_column:
        return f"{what} a column"
    touched = sorted(column for column in table.columns if column.lower() in names)
    return f"{what} column {touched[0]}" if touched else None
