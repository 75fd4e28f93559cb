"""A random sample of items and rows, for a verify that takes seconds."""

from collections.abc import Iterator, Sequence
from itertools import islice
from random import Random

from ferry.verify.oracle import source_text
from ferry.verify.oracle.members import expected, has_item
from ferry.verify.point_reads import ItemLookup, Key, RowLookup

PAGE = 100  # items that are read from a segment


def keys(rows: Sequence[RowLookup], items: ItemLookup, count: int, random: Random) -> list[Key]:
    """The keys of about `count` items of the target, and of `count` rows of each source; each once."""
    found = dict.fromkeys(islice(_of_items(items, random), count))
    for each in rows:
        found |= dict.fromkeys(islice(_of_rows(each, count), count))
    return list(found)


def _of_rows(rows: RowLookup, count: int) -> Iterator[Key]:
    """The server still reads the whole table, but sends few rows."""
    pair = rows.pair
    # Twice as many as are wanted, because the number of rows is an estimate.
    share = min(1.0, 2 * count / max(1, source_text.estimate(rows.connection, pair.schema, pair.table)))
    where = f"RAND() < {share:.9f}"
    for some in source_text.rows(rows.connection, pair.schema, pair.table, rows.types, where):
        yield from (member.key for member in expected(pair, rows.types, iter(some)) if has_item(member.key))


def _of_items(items: ItemLookup, random: Random) -> Iterator[Key]:
    """A segment of a parallel scan is a range of the keys' hash, so random segments are a random sample."""
    known = items.client.describe_table(TableName=items.target)["Table"]["ItemCount"]
    # 1,000,000 is the most that Scan takes as TotalSegments; ItemCount is hours old.
    segments = max(1, min(1_000_000, known // PAGE))
    for segment in random.sample(range(segments), min(segments, PAGE)):
        answer = items.client.scan(
            TableName=items.target, Segment=segment, TotalSegments=segments, Limit=PAGE, ConsistentRead=True
        )
        yield from (items.key(item) for item in answer["Items"] if "_ttl" not in item)
