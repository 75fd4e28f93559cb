"""Everything compared: all rows and all items of each target, and what differs looked at again."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import chain, groupby
from typing import Any

from bulkload.connection import Address
from ferry import reading
from ferry.comparison import Difference, Sides
from ferry.live import Live
from ferry.lookup import types_of
from ferry.places import PRESENT, Pair, expected, found
from ferry.settling import Settling
from ferry.summary import Summary


def verify(
    pairs: list[Pair],
    address: Address,
    client: Any,
    sides: Sides,
    report: Callable[[Pair, Difference], None],
    step: Callable[[int, int, str], None],
    live: Live | None = None,
    *,
    repair: bool = False,
) -> Summary:
    """
    Compares all pairs; calls `report` for each difference and `step` for the progress. `live`: what differs
    may be on its way.

    Refused when a table cannot be read, or nothing passes through the lanes.
    """
    summary = Summary()
    targets: dict[str, list[Pair]] = {}
    for pair in pairs:
        targets.setdefault(pair.target, []).append(pair)
    for together in targets.values():
        sides.clear()
        for pair in together:
            sides.add("source", _source_side(pair, address, summary, step))
        sides.add("target", _target_side(together, client, summary, step))
        found = sides.differences()
        if live:
            found = _settled(found, together, live, summary, repair=repair)
        for difference in found:
            summary.kinds[difference.kind] += 1
            report(together[0], difference)
    return summary


def _settled(
    found: Iterator[Difference], pairs: list[Pair], live: Live, summary: Summary, *, repair: bool
) -> Iterator[Difference]:
    """Those that are no changes on their way; mended, where that is asked for."""
    with live.looking(pairs) as look:
        nowhere: list[Difference] = []
        settling = Settling(look, live.rest)
        differing = []
        for each in settling.differences(_suspects(found, nowhere)):
            yield from each
            if repair:
                differing.append(each)
        yield from nowhere
        summary.unsettled += len(settling.unsettled)
        if differing:
            summary.repaired, summary.mended = live.repair(pairs, look, differing)


def _suspects(found: Iterator[Difference], nowhere: list[Difference]) -> Iterator[str]:
    """The keys of items, each once. Rows without a key have no item to look at."""
    for key, group in groupby(found, lambda difference: difference.place.key):
        if None in (content for _, content in json.loads(key)):
            nowhere += group
        else:
            yield key


def _source_side(
    pair: Pair, address: Address, summary: Summary, step: Callable[[int, int, str], None]
) -> Iterator[Any]:
    with closing(reading.connect(address)) as connection:
        types = types_of(connection, pair)
        yield from expected(pair, types, _rows(connection, pair, types, summary, step))


def _rows(
    connection: Any,
    pair: Pair,
    types: dict[str, str],
    summary: Summary,
    step: Callable[[int, int, str], None],
) -> Iterator[Any]:
    for some in reading.rows(connection, pair.schema, pair.table, types):
        summary.rows += len(some)
        step(summary.rows, 0, f"{summary.rows:,} rows, {summary.items:,} items read")
        yield from some


def _target_side(
    pairs: list[Pair], client: Any, summary: Summary, step: Callable[[int, int, str], None]
) -> Iterator[Any]:
    pair, *others = pairs
    for page in client.get_paginator("scan").paginate(TableName=pair.target, ConsistentRead=True):
        places = [list(found(pair, item, others)) for item in page["Items"]]
        summary.items += sum(map(bool, places))
        summary.members += sum(place.member != PRESENT for item in places for place in item)
        step(summary.rows, 0, f"{summary.rows:,} rows, {summary.items:,} items read")
        yield from chain.from_iterable(places)
