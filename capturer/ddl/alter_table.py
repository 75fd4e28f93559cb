"""
What an action of ALTER TABLE does to the values of a mapped table that are carried. Pure.

stops      drops, renames or changes a column that is carried; a change of its definition only if values may
           change with it (`type_changes`)
stops      adds a column that is carried and in which existing rows have a value: no row event has it
stops      drops, truncates or exchanges a partition; CONVERT TO; ALTER IGNORE with a unique key, which
           deletes rows; any action that is not known here
continues  adds a column that is carried and NULL in every existing row, if the mapping leaves NULL out
continues  indexes, constraints, options, defaults for later rows, columns that are not carried
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from capturer.ddl.sql_tokens import NotUnderstood, Token, TokenReader, split
from rowferry.mapping import TableMapping

_INDEXES = frozenset([
    "CHECK", "CONSTRAINT", "FOREIGN", "FULLTEXT", "INDEX", "KEY", "PARTITION", "PRIMARY", "SPATIAL",
    "UNIQUE",
])  # fmt: skip
_VERSIONING = frozenset(["PERIOD", "SYSTEM"])
_OPTIONS = frozenset([
    "ALGORITHM", "AUTOEXTEND_SIZE", "AUTO_INCREMENT", "AVG_ROW_LENGTH", "CHARACTER", "CHARSET",
    "CHECKSUM", "COLLATE", "COMMENT", "COMPRESSION", "DEFAULT", "DELAY_KEY_WRITE", "DISABLE", "ENABLE",
    "ENCRYPTED", "ENCRYPTION", "ENGINE", "FORCE", "KEY_BLOCK_SIZE", "LOCK", "MAX_ROWS", "MIN_ROWS",
    "ORDER", "PACK_KEYS", "PAGE_COMPRESSED", "PAGE_COMPRESSION_LEVEL", "PARTITION", "REMOVE",
    "ROW_FORMAT", "SECONDARY_ENGINE", "STATS_AUTO_RECALC", "STATS_PERSISTENT", "STATS_SAMPLE_PAGES",
    "TABLESPACE", "WITH", "WITHOUT",
])  # fmt: skip
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
    found: list[Alteration] = []
    for action in split(actions):
        if action[0].word in _PARTITION_WORK:
            break  # is the only action: after a comma another partition's name follows
        found.append(_action(action, table, ignore))
    changes = [one for one in found if one.change]
    # One change that cannot be followed stops the whole statement.
    enough = all(one.retypes for one in changes) and not ignore
    return Alteration(
        changes[0].change if changes else "",
        any(one.reshapes for one in found),
        frozenset().union(*(one.retypes for one in changes)) if enough else frozenset(),
    )


def _action(action: Sequence[Token], table: TableMapping, ignore: bool) -> Alteration:
    words = TokenReader(action)
    first = words.next().word
    second = words.word
    if first == "ADD" and [token.word for token in words.rest[:2]] in (
        ["VECTOR", "INDEX"],
        ["VECTOR", "KEY"],
    ):
        return Alteration()  # `vector` alone may be a column's name
    if first == "ADD" and second in _INDEXES:
        deletes = ignore and any(token.word in ("UNIQUE", "PRIMARY") for token in action)
        return Alteration("IGNORE deletes rows that a unique key finds twice" if deletes else "")
    # DROP PARTITION is not like an index's: it deletes rows without a row event.
    if first == "ALTER" or (first in ("DROP", "RENAME") and second in _INDEXES - {"PARTITION"}):
        return Alteration()  # ALTER [COLUMN] sets a default for later rows
    if first in ("ADD", "DROP", "RENAME", "CHANGE", "MODIFY") and second not in _VERSIONING | {"PARTITION"}:
        return _columns(first, words, table)
    if first in _OPTIONS:
        return Alteration()
    return Alteration(f"({first} {second})".replace(" )", ")"), reshapes=True)


def _columns(verb: str, words: TokenReader, table: TableMapping) -> Alteration:
    named = words.skip("COLUMN")
    words.skip_exists()
    try:
        if verb == "ADD":
            return Alteration(_added(words, table), reshapes=True)
        if verb == "DROP":
            return Alteration(_touched("drops", [words.identifier()], table), reshapes=True)
        if verb == "RENAME" and named:
            return Alteration(_touched("renames", _renamed(words), table), reshapes=True)
        if verb == "CHANGE":
            return _changed({words.identifier(), words.identifier()}, table)
        if verb == "MODIFY":
            return _changed({words.identifier()}, table)
    except NotUnderstood:
        return Alteration(f"({verb} and something that is not understood)", reshapes=True)
    return Alteration(f"({verb})", reshapes=True)  # RENAME [TO] another name for the table


def _changed(columns: set[str], table: TableMapping) -> Alteration:
    change = _touched("changes", sorted(columns), table)
    # CHANGE with two names is a rename: the values stay, but not where they are stored.
    return Alteration(change, True, frozenset(columns if change and len(columns) == 1 else ()))


def _renamed(words: TokenReader) -> list[str]:
    old = words.identifier()
    words.skip("TO")
    return [old, words.identifier()]


def _touched(what: str, columns: Sequence[str], table: TableMapping) -> str:
    return next((f"{what} column {column}" for column in columns if _is_carried(column, table)), "")


def _is_carried(column: str, table: TableMapping) -> bool:
    """As TableMapping.travels, for a name whose case is not known."""
    if table.hook is not None or column in {name.lower() for name in table.columns}:
        return True
    return table.every_column and column not in {name.lower() for name in table.exclude}


def _added(words: TokenReader, table: TableMapping) -> str:
    for name, definition in _new_columns(words):
        if _is_carried(name, table) and not (_is_left_out(name, table) and _is_null(definition)):
            return f"adds column {name}, and existing rows may have a value in it that no row event has"
    return ""


def _new_columns(words: TokenReader) -> Iterator[tuple[str, list[str]]]:
    """The columns of ADD c ..., or of ADD (c ..., KEY ...), with the words of their definitions."""
    inner = words.rest[1:-1] if words.word == "(" else None
    for part in [words.rest] if inner is None else split(inner):
        column = TokenReader(part)
        if inner is None or column.word not in _INDEXES:
            yield column.identifier(), [token.word for token in column.rest]


def _is_left_out(column: str, table: TableMapping) -> bool:
    """Whether NULL in the column is not stored, so that items written without the column are right."""
    if table.hook is not None or column in {name.lower() for name in table.columns}:
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
