"""
Decoded events.

`start` and `end` are byte offsets in the file that the newest Rotate named, as 64 bit. Events inside a
compressed transaction have those of the event around them.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from rowferry.change import Kind

type Image = Mapping[str, Any] | None
"""Column name to value; None if there is no such image (before an insert, after a delete)."""


class FormatDescription(NamedTuple):
    """
    The first event of a file: who wrote it, whether events end in a CRC32, when it was made (s since 1970).
    """

    server: str
    checksums: bool
    post_headers: bytes
    created: int = 0


class Rotate(NamedTuple):
    """The events that follow are in this file, from this offset on."""

    file: str
    offset: int


class Gtid(NamedTuple):
    """
    A transaction begins. `gtid` is None for an anonymous one, `committed` its commit time in µs since 1970.

    MariaDB has whole seconds and no BEGIN: with `standalone` exactly one event follows, otherwise all up to
    Xid or a COMMIT; None for MySQL, where a BEGIN follows. `prepared` marks MariaDB's XA PREPARE. `original`
    is the commit time on the server that executed it first, 0 if that is `committed`.
    """

    start: int
    end: int
    gtid: str | None
    committed: int
    standalone: bool | None = None
    prepared: bool = False
    original: int = 0


class Query(NamedTuple):
    """SQL text as it is in the binlog, the default schema in which it ran, and the session's sql_mode."""

    start: int
    end: int
    schema: str
    sql: str
    sql_mode: int = 0


class RowsEvent(NamedTuple):
    """Row changes of one table: (before, after) for each row, with the wanted columns. `size` in bytes."""

    start: int
    end: int
    schema: str
    table: str
    kind: Kind
    images: Sequence[tuple[Image, Image]]
    size: int


class Xid(NamedTuple):
    """The transaction is committed."""

    start: int
    end: int


class XaPrepared(NamedTuple):
    """
    The transaction is prepared, or with `one_phase` committed.

    `xid` is its name as XA COMMIT and XA ROLLBACK have it in the binlog: X'6162',X'',1
    """

    start: int
    end: int
    one_phase: bool
    xid: str


class Heartbeat(NamedTuple):
    """Nothing to send; the server has read its file up to `offset`."""

    file: str
    offset: int


class Incident(NamedTuple):
    """The server lost changes before this event."""

    start: int
    end: int
    message: str


class Passed(NamedTuple):
    """Any other event: it only advances the position. `kind` is the code of its type."""

    start: int
    end: int
    kind: int


type Event = (
    FormatDescription | Rotate | Gtid | Query | RowsEvent | Xid | XaPrepared | Heartbeat | Incident | Passed
)
