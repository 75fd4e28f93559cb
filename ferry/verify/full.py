"""Everything compared: all rows and all items of each target, and what differs looked at again."""

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
    gathering: Scanner,
    file: Callable[[str], Path],
    report: Callable[[Pair, Difference], None],
    step: Callable[[ReadCounts], None],
    live: Live | None = None,
    *,
    repair: bool = False,
) -> Summary:
    """
    Compares all pairs; calls `report` for each difference and `step` with all that has been read so far.
    `file`: the working file of a target. `live`: what differs may be on its way.

    Refused when a table cannot be read, or nothing passes through the lanes.
    """
    summary = Summary()
    for target, numbers in of_targets(gathering.pairs).items():
        together = [gathering.pairs[number] for number in numbers]
        with sides_in(file(target)) as sides:
            gathering.target(numbers, sides, lambda counts: step(summary.read + counts))
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
    """Those that are no changes on their way; mended, where that is asked for."""
    with live.looking(pairs) as look:
        nowhere: list[Difference] = []
        settling = Recheck(look, live.rest)
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
        if has_item(key):
            yield key
        else:
            nowhere += group
