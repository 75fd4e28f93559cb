"""
Which schemas and tables a server leaves out of its binlog, or a replica out of what it applies. Pure.

Names compare as bytes: a filter `Test` does not concern the schema `test`, not even with
lower_case_table_names=1, where the binlog's names are those that are stored.
"""

import re
from collections.abc import Mapping

_REWRITTEN = re.compile(r"\(([^,()]*),([^()]*)\)|([^,>]*)->([^,]*)")  # MySQL: (from,to); MariaDB: from->to


def names(text: str) -> bool:
    """Whether a filter that is printed so names anything."""
    return bool(text.strip())


def listed(text: str, name: str) -> bool:
    """
    Whether the name is in a list as servers print it.

    A name may contain commas, and a list is printed without quotes: `a,b` may be one name or two. Counts as
    listed where it may be.

    >>> listed("other,a,b", "a,b"), listed("other,a,b", "a"), listed("other", "oth")
    (True, True, False)
    """
    return f",{name}," in f",{text},"


def binlog_leaves_out(do: str, ignore: str, schema: str) -> str:
    """
    Why the binlog has no rows of the schema: a phrase, or empty if it has them.

    Servers that write rows go by the table's schema, whatever the session's default schema is. With a list of
    what to log, the other list counts for nothing.
    """
    if names(do):
        return "" if listed(do, schema) else f"not among binlog_do_db ({do})"
    return f"named by binlog_ignore_db ({ignore})" if listed(ignore, schema) else ""


def replica_leaves_out(filters: Mapping[str, str], schema: str, table: str) -> str:
    """
    The replication filter because of which a replica does not apply changes of the table; empty if it does.

    `filters` has replicate_do_db, replicate_ignore_db, replicate_do_table, replicate_ignore_table,
    replicate_wild_do_table, replicate_wild_ignore_table and replicate_rewrite_db, as servers print them. In
    that order the servers ask them (MySQL reference, "How Servers Evaluate Replication Filtering Rules").
    """
    rewritten, do, ignore = (filters.get(f"replicate_{kind}", "") for kind in _SCHEMAS)
    if _renamed_away(rewritten, schema):
        return f"replicate_rewrite_db ({rewritten})"
    if names(do) and not listed(do, schema):
        return f"replicate_do_db ({do})"
    if not names(do) and listed(ignore, schema):
        return f"replicate_ignore_db ({ignore})"
    tables = {kind: filters.get(f"replicate_{kind}", "") for kind in _TABLES}
    return _table_left_out(tables, f"{schema}.{table}")


_SCHEMAS = ("rewrite_db", "do_db", "ignore_db")
_TABLES = ("do_table", "ignore_table", "wild_do_table", "wild_ignore_table")


def _table_left_out(filters: Mapping[str, str], name: str) -> str:
    for kind in _TABLES:
        matches = _matches if kind.startswith("wild") else listed
        if matches(filters[kind], name):
            return "" if "do" in kind.split("_") else f"replicate_{kind} ({filters[kind]})"
    # Where there is a list of what to apply, nothing else is applied.
    wanted = [kind for kind in ("do_table", "wild_do_table") if names(filters[kind])]
    return f"replicate_{wanted[0]} ({filters[wanted[0]]})" if wanted else ""


def _matches(patterns: str, name: str) -> bool:
    """Whether one of the patterns, which are those of LIKE, matches the name."""
    return any(re.fullmatch(_expression(one), name, re.DOTALL) for one in patterns.split(",") if one)


def _expression(pattern: str) -> str:
    parts = re.findall(r"\\.|.", pattern, re.DOTALL)
    wild = {"%": ".*", "_": "."}
    return "".join(wild.get(part) or re.escape(part[-1]) for part in parts)


def _renamed_away(rewrites: str, schema: str) -> bool:
    pairs = [(a or c, b or d) for a, b, c, d in _REWRITTEN.findall(rewrites)]
    sources, targets = {a.strip() for a, _ in pairs}, {b.strip() for _, b in pairs}
    return schema in sources and schema not in targets
