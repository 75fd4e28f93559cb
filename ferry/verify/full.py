"""The full verify: compares all rows and all items of each target, and reads again what differs."""

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from pathlib import Path

from ferry.verify.diff import Difference, sides_in
from ferry.verify.live import Live
from ferry.verify.oracle.mapping_entry import Pair
from ferry.verify.oracle.members import has_item
from ferry.verify.recheck import Recheck
from ferry.verify.scan import Scanner
from ferry.verify.summary import Summary
from ferry.verify.tasks import ReadCounts


def verify(
    scanner: Scanner,
    file: Callable[[str], Path],
    report: Callable[[Pair, Difference], None],
    step: Callable[[ReadCounts], None],
    live: Live | None = None,
    *,
    repair: bool = False,
) -> Summary:
    """
    Compares all pairs; calls `report` for each difference and `step` with the counts so far. Called by `ferry
    verify`.

    `file`: the working file of a target. `live`: source and target are in motion, so what differs is read
    again, and written again with `repair`; None: both are at rest. A summary without differences says nothing
    of changes after the position at which it began. Raises Refused when a table cannot be read, or markers do
    not pass the lanes.
    """
    summary = Summary()
    for target, numbers in of_targets(scanner.pairs).items():
        together = [scanner.pairs[number] for number in numbers]
        with sides_in(file(target)) as sides:
            scanner.target(numbers, sides, lambda counts: step(summary.read + counts))
            summary.read += sides.counts()
            found = sides.differences()
            if live:
                found = _settled(found, together, live, summary, repair=repair)
            for difference in found:
                summary.kinds[difference.kind] += 1
                report(together[0], difference)
    return summary


def of_targets(pairs: Sequence[Pair]) -> dict[str, tuple[int, ...]]:
    """The numbers of the pairs of each target."""
    found: dict[str, tuple[int, ...]] = {}
    for number, pair in enumerate(pairs):
        found[pair.target] = (*found.get(pair.target, ()), number)
    return found


def _settled(
    found: Iterator[Difference], pairs: list[Pair], live: Live, summary: Summary, *, repair: bool
) -> Iterator[Difference]:
    """Those that are not changes on their way. With `repair` their items are written from the rows."""
    with live.reading(pairs) as reading:
        nowhere: list[Difference] = []
        recheck = Recheck(reading, live.rest)
        differing = []
        for each in recheck.differences(_suspects(found, nowhere)):
            yield from each
            if repair:
                differing.append(each)
        yield from nowhere
        summary.unsettled += len(recheck.unsettled)
        if differing:
            summary.repaired, summary.resolved = live.repair(pairs, reading, differing)


def _suspects(found: Iterator[Difference], nowhere: list[Difference]) -> Iterator[str]:
    """The keys of items, each once. Rows without a key have no item to read again."""
    for key, group in groupby(found, lambda difference: difference.member.key):
        if has_item(key):
            yield key
        else:
            nowhere += group
