"""Readers of the events that can be decoded without other events."""

from collections.abc import Callable, Iterable

from capturer.decoder import framing
from capturer.decoder.events import Event, Heartbeat, Incident, Query, XaPrepared, Xid
from capturer.decoder.framing import HEADER, EventType
from capturer.decoder.gtids import mariadb_gtid, mysql_gtid, tagged_gtid
from capturer.decoder.queries import load_query, query
from capturer.decoder.wire import damaged

type Reader = Callable[[bytes, int, int, int], Iterable[Event]]
"""(event without checksum, its type, start, end) to the decoded events."""


def _gtid(data: bytes, kind: int, start: int, end: int) -> Iterable[Event]:
    return (mysql_gtid(data, kind, start, end),)


def _tagged_gtid(data: bytes, _kind: int, start: int, end: int) -> Iterable[Event]:
    return (tagged_gtid(data, start, end),)


def _mariadb_gtid(data: bytes, _kind: int, start: int, end: int) -> Iterable[Event]:
    return (mariadb_gtid(data, start, end),)


def _query(data: bytes, _kind: int, start: int, end: int) -> Iterable[Event]:
    # Of nearly every transaction, as `_xid`: half the time of Query(...), and every field.
    return (tuple.__new__(Query, (start, end, *query(data))),)


def _query_compressed(data: bytes, _kind: int, start: int, end: int) -> Iterable[Event]:
    return (Query(start, end, *query(data, compressed=True)),)


def _load_query(data: bytes, _kind: int, start: int, end: int) -> Iterable[Event]:
    return (Query(start, end, *load_query(data)),)


def _xid(data: bytes, _kind: int, start: int, end: int) -> Iterable[Event]:
    if len(data) != HEADER + 8:
        damaged("not a transaction number")
    return (tuple.__new__(Xid, (start, end)),)


def _xa_prepare(data: bytes, _kind: int, start: int, end: int) -> Iterable[Event]:
    return (XaPrepared(start, end, *framing.xa_prepare(data)),)


def _incident(data: bytes, _kind: int, start: int, end: int) -> Iterable[Event]:
    return (Incident(start, end, framing.incident(data)),)


def _heartbeat(data: bytes, _kind: int, _start: int, end: int) -> Iterable[Event]:
    return (Heartbeat(data[HEADER:].decode(), end),)


def _heartbeat_v2(data: bytes, _kind: int, _start: int, _end: int) -> Iterable[Event]:
    return (Heartbeat(*framing.heartbeat_v2(data)),)


SIMPLE: dict[int, Reader] = {
    EventType.GTID: _gtid,
    EventType.ANONYMOUS_GTID: _gtid,
    EventType.TAGGED_GTID: _tagged_gtid,
    EventType.MARIADB_GTID: _mariadb_gtid,
    EventType.QUERY: _query,
    EventType.QUERY_COMPRESSED: _query_compressed,
    EventType.EXECUTE_LOAD_QUERY: _load_query,
    EventType.XID: _xid,
    EventType.XA_PREPARE: _xa_prepare,
    EventType.INCIDENT: _incident,
    EventType.HEARTBEAT: _heartbeat,
    EventType.HEARTBEAT_V2: _heartbeat_v2,
}
