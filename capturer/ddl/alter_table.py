"""
What an action of ALTER TABLE does to the values of a mapped table that are carried. Pure.

stops      drops, renames or changes a column that is carried; a change of its definition only if values may
           change with it (`type_changes`)
stops      adds a column that is carried and in which existing rows have a value: no row event has it
stops      makes a carried column NOT NULL by a primary key, if that may change NULL in it
stops      drops, truncates or exchanges a partition; CONVERT TO; ALTER IGNORE, which deletes rows that a
           unique key, a check or a partition refuses; an engine that keeps no rows; any action that is not
           known here
continues  adds a column that is carried and NULL in every existing row, if the mapping leaves NULL out
continues  indexes, constraints, options, defaults for later rows, columns that are not carried
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from capturer.ddl.sql_tokens import Name, NotUnderstood, Token, TokenReader, split
from rowferry.mapping import TableMapping
from rowferry.mysql.dialect import folded

_INDEXES = frozenset([
    "CHECK", "CONSTRAINT", "FOREIGN", "FULLTEXT", "INDEX", "KEY", "PARTITION", "PRIMARY", "SPATIAL",
    "UNIQUE",
])  # fmt: skip
_VERSIONING = frozenset(["PERIOD", "SYSTEM"])
_OPTIONS = frozenset([
    "ALGORITHM", "AUTOEXTEND_SIZE", "AUTO_INCREMENT", "AVG_ROW_LENGTH", "CHARACTER", "CHARSET",
    "CHECKSUM", "COLLATE", "COMMENT", "COMPRESSION", "DATA", "DEFAULT", "DELAY_KEY_WRITE", "DISABLE",
    "ENABLE", "ENCRYPTED", "ENCRYPTION", "ENCRYPTION_KEY_ID", "ENGINE", "ENGINE_ATTRIBUTE", "FORCE", "INDEX",
    "KEY_BLOCK_SIZE", "LOCK", "MAX_ROWS", "MIN_ROWS", "ORDER", "PACK_KEYS", "PAGE_CHECKSUM",
    "PAGE_COMPRESSED", "PAGE_COMPRESSION_LEVEL", "PARTITION", "REMOVE", "ROW_FORMAT", "SECONDARY_ENGINE",
    "SECONDARY_ENGINE_ATTRIBUTE", "SECONDARY_LOAD", "SECONDARY_UNLOAD", "STATS_AUTO_RECALC",
    "STATS_PERSISTENT", "STATS_SAMPLE_PAGES", "TABLESPACE", "TABLE_CHECKSUM", "TRANSACTIONAL", "WITH",
    "WITHOUT",
])  # fmt: skip
_ENGINES = frozenset([
    "ARCHIVE", "ARIA", "HEAP", "INNODB", "MEMORY", "MYISAM", "NDB", "NDBCLUSTER", "ROCKSDB", "TOKUDB",
])  # fmt: skip
"""Those that keep every row and value: BLACKHOLE and MERGE keep no row, CSV prints FLOAT."""
_PARTITION_WORK = frozenset(["REORGANIZE", "COALESCE", "ANALYZE", "CHECK", "OPTIMIZE", "REBUILD", "REPAIR"])
_HAS_VALUE = frozenset([
    "AS", "AUTO_INCREMENT", "GENERATED", "KEY", "NOT", "PRIMARY", "ROW", "SERIAL", "UNIQUE",
])  # fmt: skip
"""Words in a new column's definition with which existing rows may have a value that is not NULL."""


class Alteration(NamedTuple):
    """
    The effect of an ALTER TABLE on capture.

    `change` is why capture cannot continue ("drops column q"), empty if it can. `reshapes`: the table has, or
    may have, other columns afterwards. `retypes`: the columns for which capture can continue after all, if
    their new definition keeps every value; empty if that would not be enough.
    """

    change: str = ""
    reshapes: bool = False
    retypes: frozenset[str] = frozenset()


def alteration(actions: Sequence[Token], table: TableMapping, *, ignore: bool) -> Alteration:
    """The effect of all the actions after the table's name; `ignore` for ALTER IGNORE."""
    if ignore:
        return Alteration("IGNORE deletes rows that a unique key, a check or a partition refuses", True)
    found: list[Alteration] = []
    for action in split(actions):
        if action[0].word in _PARTITION_WORK:
            break  # is the only action: after a comma another partition's name follows
        found.append(_action(action, table))
    changes = [one for one in found if one.change]
    # One change that cannot be followed stops the whole statement.
    enough = all(one.retypes for one in changes)
    return Alteration(
        changes[0].change if changes else "",
        any(one.reshapes for one in found),
        frozenset().union(*(one.retypes for one in changes)) if enough else frozenset(),
    )


def renamed(actions: Sequence[Token], schema: str, name: Callable[[str], str]) -> Iterator[Name]:
    """
    The tables whose rows or name an ALTER of another table takes: RENAME [TO], EXCHANGE or CONVERT.

    Raises NotUnderstood.
    """
    for action in split(actions):
        words = TokenReader(action)
        if words.skip("RENAME"):
            if words.word not in ("COLUMN", *_INDEXES):
                words.skip("TO", "AS", "=")
                yield words.table(schema, name)
        elif words.skip("EXCHANGE", "CONVERT"):
            if words.skip("PARTITION"):
                words.identifier()
                words.skip("WITH", "TO")
            if words.skip("TABLE"):  # not CONVERT TO CHARACTER SET
                yield words.table(schema, name)


def _action(action: Sequence[Token], table: TableMapping) -> Alteration:
    words = TokenReader(action)
    first = words.next().word
    second = words.word
    if first == "ADD" and [token.word for token in words.rest[:2]] in (
        ["VECTOR", "INDEX"],
        ["VECTOR", "KEY"],
    ):
        return Alteration()  # `vector` alone may be a column's name
    if first in _OPTIONS or (first == "ADD" and second == "PARTITION"):
        return _options(action)
    if first == "ADD" and second in _INDEXES:
        return _not_null(_keyed(words.rest), table)
    # DROP PARTITION is not like an index's: it deletes rows without a row event.
    if first == "ALTER" or (first in ("DROP", "RENAME") and second in _INDEXES - {"PARTITION"}):
        return Alteration()  # ALTER [COLUMN] sets a default for later rows
    if first in ("ADD", "DROP", "RENAME", "CHANGE", "MODIFY") and second not in _VERSIONING | {"PARTITION"}:
        return _columns(first, words, table)
    return Alteration(f"({first} {second})".replace(" )", ")"), reshapes=True)


def _options(action: Sequence[Token]) -> Alteration:
    """Options need no comma between them, and partitions may have an engine of their own."""
    for at, token in enumerate(action):
        value = TokenReader(action[at + 1 :])
        is_set = value.skip("=") or (value and value.word not in (")", ",", "."))
        if token.word == "ENGINE" and is_set and value and value.next().text.upper() not in _ENGINES:
            return Alteration("(an ENGINE that may keep other rows)", reshapes=True)
    return Alteration()


def _keyed(definition: Sequence[Token]) -> Iterator[str]:
    """The columns of a PRIMARY KEY, in an index's definition; none of another index."""
    at = next((at for at, token in enumerate(definition[:3]) if token.word == "PRIMARY"), None)
    if at is None:
        return
    opened = next((at for at, token in enumerate(definition) if token.word == "("), len(definition))
    for part in split(definition[opened + 1 : -1]):
        yield folded(part[0].text)


def _not_null(columns: Iterator[str], table: TableMapping) -> Alteration:
    """NULL becomes 0 or '' in a column of a primary key if the server is not in strict mode."""
    carried = [column for column in columns if _is_carried(column, table)]
    change = f"makes column {carried[0]} part of the primary key" if carried else ""
    return Alteration(change, False, frozenset(carried))


def _columns(verb: str, words: TokenReader, table: TableMapping) -> Alteration:
    named = words.skip("COLUMN")
    words.skip_exists()
    try:
        if verb == "ADD":
            return _added(words, table)
        if verb == "DROP":
            return Alteration(_touched("drops", table, words.column()), reshapes=True)
        if verb == "RENAME" and named:
            old = words.column()
            words.skip("TO")
            return Alteration(_touched("renames", table, old, words.column()), reshapes=True)
        if verb == "CHANGE":
            return _changed(table, words.column(), words.column())
        if verb == "MODIFY":
            column = words.column()
            return _changed(table, column, column)  # MODIFY gives a column the case of its letters
    except NotUnderstood:
        return Alteration(f"({verb} and something that is not understood)", reshapes=True)
    return Alteration(f"({verb})", reshapes=True)  # RENAME [TO] another name for the table


def _changed(table: TableMapping, old: str, new: str) -> Alteration:
    change = _touched("changes", table, old, new)
    columns = {folded(old), folded(new)}
    # CHANGE with two names is a rename: the values stay, but not where they are stored.
    return Alteration(change, True, frozenset(columns if change and len(columns) == 1 else ()))


def _touched(what: str, table: TableMapping, old: str, new: str | None = None) -> str:
    """
    What is done to a column that is carried, or will be: an excluded one is not, under a name of other case.
    """
    if _is_carried(folded(old), table):
        return f"{what} column {folded(old)}"
    becomes = new is not None and (table.travels(new) or _is_carried(folded(new), table))
    return f"{what} column {new}" if becomes else ""


def _is_carried(column: str, table: TableMapping) -> bool:
    """As TableMapping.travels, for a name whose case is not known."""
    if table.hook is not None or column in map(folded, table.columns):
        return True
    return table.every_column and column not in map(folded, table.exclude)


def _added(words: TokenReader, table: TableMapping) -> Alteration:
    keyed: list[str] = []
    for part in _parts(words):
        if part[0].word in _INDEXES:
            keyed += _keyed(part)
            continue
        column = TokenReader(part)
        name = column.column()
        definition = [token.word for token in column.rest]
        carried = table.travels(name) or _is_carried(folded(name), table)
        if carried and not (_is_left_out(name, table) and _is_null(definition)):
            reason = f"adds column {name}, and existing rows may have a value in it that no row event has"
            return Alteration(reason, reshapes=True)
    return _not_null(iter(keyed), table)._replace(reshapes=True)


def _parts(words: TokenReader) -> list[Sequence[Token]]:
    """The definitions in ADD c ..., or in ADD (c ..., KEY ...)."""
    if words.word == "(":
        return [*split(words.rest[1:-1])]
    if not words:
        raise NotUnderstood
    return [words.rest]


def _is_left_out(column: str, table: TableMapping) -> bool:
    """Whether NULL in the column is not stored, so that items written without the column are right."""
    if table.hook is not None or folded(column) in map(folded, table.columns):
        return False
    stored = table.stored(column)
    return stored is None or not stored[1].keep_null


def _is_null(definition: Sequence[str]) -> bool:
    """Whether the new column is NULL in every existing row."""
    if _HAS_VALUE.intersection(definition):
        return False
    pairs = list(zip(definition, [*definition[1:], ""], strict=True))
    if any(word == "DEFAULT" and follower != "NULL" for word, follower in pairs):
        return False
    # Without explicit_defaults_for_timestamp a TIMESTAMP is NOT NULL unless NULL is said.
    return "NULL" in definition or "TIMESTAMP" not in definition[:1]
