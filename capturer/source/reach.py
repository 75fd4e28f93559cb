"""
Asks the server whether a statement that was logged as a statement leads to a mapped table: by a view, a
trigger, a routine or a foreign key. The statement names other tables only.

The trap: the answer is of now, and the statement is of before. So the part of the binlog in between is read,
and where it drops or replaces something that may have led there, nothing is proved.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any, NamedTuple

import pymysql

from capturer.ddl.sql_tokens import Name, NotUnderstood, Token, meant, tokens
from capturer.ddl.verdicts import Verdict
from capturer.source.binlog import ReplicationClient
from capturer.source.lookahead import statements
from rowferry.mapping import Mapping as Tables
from rowferry.mapping.source_name import source_of
from rowferry.mysql import server, snapshot
from rowferry.mysql.dialect import ANSI_QUOTES, NO_BACKSLASH_ESCAPES, SqlDialect, folded
from rowferry.position import BinlogOffset

RIGHTS = ("SELECT", "TRIGGER", "SHOW VIEW")
"""On *.*: without them the server hides triggers, views and routines."""
_BLIND = (
    f"what it leads to is hidden (GRANT {', '.join(RIGHTS)} ON *.* to the capture user and start the capturer"
    " again: it asks once more)"
)
_OWN = "('mysql', 'sys', 'information_schema', 'performance_schema')"
_LEADS = {
    "trigger": "SELECT event_object_schema AS s, event_object_table AS t, trigger_schema AS home,"
    " action_statement AS body, sql_mode AS mode FROM information_schema.triggers"
    f" WHERE trigger_schema NOT IN {_OWN}",
    "view": "SELECT table_schema AS s, table_name AS t, table_schema AS home,"
    " view_definition AS body, '' AS mode"
    f" FROM information_schema.views WHERE table_schema NOT IN {_OWN}",
    "routine": "SELECT routine_schema AS s, routine_name AS t, routine_schema AS home,"
    " routine_definition AS body, sql_mode AS mode FROM information_schema.routines"
    f" WHERE routine_schema NOT IN {_OWN}",
    "foreign key": "SELECT unique_constraint_schema AS s, referenced_table_name AS t,"
    " constraint_schema AS home, CONCAT('`', REPLACE(table_name, '`', '``'), '`') AS body, '' AS mode"
    " FROM information_schema.referential_constraints"
    " WHERE delete_rule NOT IN ('RESTRICT', 'NO ACTION') OR update_rule NOT IN ('RESTRICT', 'NO ACTION')",
}
_KINDS = frozenset(["TRIGGER", "VIEW", "FUNCTION", "PROCEDURE", "PACKAGE", "DATABASE", "SCHEMA"])


class _Step(NamedTuple):
    """A name that a statement reaches, and whether what it names is changed there."""

    name: Name
    written: bool


class _Lead(NamedTuple):
    """What something leads to: all that its text may mean; None if the text cannot be read."""

    kind: str
    name: str
    leads_to: frozenset[Name] | None


class _Catalog(NamedTuple):
    """What the server had at an offset: by (kind, name) what leads on from there."""

    leads: Mapping[tuple[str, Name], Sequence[_Lead]]
    place: BinlogOffset


class StatementReach:
    """
    One for a source. It keeps what the server had, so that a statement costs one query each time that DDL has
    passed, and nothing in between.
    """

    def __init__(self, source: ReplicationClient, mapping: Tables) -> None:
        self._source = source
        self._mapping = mapping
        self._catalog: _Catalog | None = None
        self._found: dict[tuple[frozenset[Name], frozenset[Name]], str] = {}

    def __call__(self, verdict: Verdict, dialect: SqlDialect, end: BinlogOffset, again: bool) -> str:
        """
        Why the statement, which ends at `end`, may change a mapped table; empty if it does not.

        `again`: DDL has passed since the last call. Raises ConnectionLost if the server cannot be asked now.
        """
        if self._catalog is None or again:
            self._catalog, self._found = None, {}
            catalog = self._read(dialect)
            if catalog is None:
                return _BLIND
            if what := self._lost(end, catalog.place, verdict, dialect):
                return what
            self._catalog = catalog
        asked = verdict.writes, verdict.reads
        if asked not in self._found:
            self._found[asked] = self._followed(self._catalog, verdict, dialect)
        return self._found[asked]

    def _read(self, dialect: SqlDialect) -> _Catalog | None:
        """None if the account may not see everything."""
        with closing(self._source.connect()) as connection:
            try:
                if not sees_everything(connection):
                    return None
                place = snapshot.current_offset(connection, server.identify(connection))
                leads: dict[tuple[str, Name], list[_Lead]] = {}
                for kind, sql in _LEADS.items():
                    for row in server.rows(connection, sql):
                        key = kind, _key(kind, (row["s"], row["t"]), dialect)
                        leads.setdefault(key, []).append(_lead(kind, row, dialect))
            except pymysql.Error as error:
                raise self._source.explain(error) from error
        return _Catalog(leads, place)

    def _lost(self, start: BinlogOffset, end: BinlogOffset, verdict: Verdict, dialect: SqlDialect) -> str:
        """What was dropped or replaced since, so that the answer is not that of the statement's time."""
        if start.order >= end.order:
            return ""
        named = verdict.writes | verdict.reads
        for place, query in statements(self._source, start, end):
            if _drops(query.sql, query.schema, named, dialect.under(query.sql_mode)):
                return f"what it led to cannot be seen any more: at {place} something was dropped or replaced"
        return ""

    def _followed(self, catalog: _Catalog, verdict: Verdict, dialect: SqlDialect) -> str:
        mapped = {(dialect.name(one.schema), dialect.name(one.table)): one for one in self._mapping.tables}
        steps = [_Step(name, written=True) for name in verdict.writes]
        steps += [_Step(name, written=False) for name in verdict.reads]
        seen = set(steps)
        while steps:
            step = steps.pop()
            for lead in _leads(catalog, step, dialect):
                if lead.leads_to is None:
                    return f"{lead.kind} {lead.name} is not understood"
                # What only reads leads to what only reads, unless it calls something.
                written = step.written or lead.kind == "routine"
                reached = [_Step(name, written) for name in lead.leads_to]
                hit = next((mapped[one.name] for one in reached if one.name in mapped), None)
                if written and hit:
                    return f"it leads to {hit.source} by the {lead.kind} {lead.name}"
                steps += [one for one in reached if one not in seen]
                seen.update(reached)
        return ""


def sees_everything(connection: Any) -> bool:
    """Whether the account sees the triggers, views and routines of every schema."""
    given = {
        right.strip()
        for row in server.rows(connection, "SHOW GRANTS")
        for text in row.values()
        if " ON *.* TO " in str(text)
        for right in str(text).upper().removeprefix("GRANT ").partition(" ON *.* TO ")[0].split(",")
    }
    return "ALL PRIVILEGES" in given or given.issuperset(RIGHTS)


def _leads(catalog: _Catalog, step: _Step, dialect: SqlDialect) -> Iterator[_Lead]:
    # A trigger and a foreign key act on what is written; a view's text counts, and a routine may be called.
    for kind in _LEADS if step.written else ("view", "routine"):
        yield from catalog.leads.get((kind, _key(kind, step.name, dialect)), ())


def _key(kind: str, name: Name, dialect: SqlDialect) -> Name:
    return dialect.name(name[0]), folded(name[1]) if kind == "routine" else dialect.name(name[1])


def _lead(kind: str, row: Mapping[str, Any], dialect: SqlDialect) -> _Lead:
    mode = ANSI_QUOTES * ("ANSI_QUOTES" in row["mode"]) | NO_BACKSLASH_ESCAPES * (
        "NO_BACKSLASH_ESCAPES" in row["mode"]
    )
    try:
        parsed: Sequence[Token] = tokens(row["body"] or "", dialect.under(mode))
    except NotUnderstood:
        parsed = []
    found = meant(parsed, dialect.name(row["home"]), dialect.name) if parsed else None
    return _Lead(kind, source_of(row["s"], row["t"]), found)


def _drops(sql: str, schema: str, named: Iterable[Name], dialect: SqlDialect) -> bool:
    try:
        parsed = tokens(sql, dialect)
    except NotUnderstood:
        return True
    words = [token.word for token in parsed]
    if words[:1] not in (["DROP"], ["ALTER"], ["RENAME"]) and words[:3] != ["CREATE", "OR", "REPLACE"]:
        return False
    touched = meant(parsed, dialect.name(schema), dialect.name)
    return bool(_KINDS.intersection(words) or touched.intersection(named))
