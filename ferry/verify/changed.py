"""
The items that changed since a verify, compared alone.

They are found in the source's own binlog, not on the stream, so that what was lost on the way is found.
Names of columns that the binlog does not have are asked of the server, as the capturer does.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import batched

from capturer.replay import Replay
from ferry.verify.live import Live, Looking
from ferry.verify.oracle.mapping_entry import Pair
from ferry.verify.point_reads import Key
from ferry.verify.recheck import AT_ONCE
from ferry.verify.summary import Summary
from rowferry.change import RowChange
from rowferry.errors import CaptureStopped, Refused, UnusableChange
from rowferry.items.effects import ItemKey, effects
from rowferry.mapping import Mapping
from rowferry.mysql.address import Address
from rowferry.position import BinlogOffset


def changed_items(
    address: Address, mapping: Mapping, epoch: int, start: BinlogOffset, skip: Sequence[BinlogOffset] = ()
) -> set[ItemKey]:
    """
    The items of all row changes from `start` to where the binlog ends now.

    Refused where the binlog does not tell.
    """
    try:
        changes = Replay(address).row_changes(mapping, epoch, start, skip)
        return {key for change in changes for key in _keys(change, mapping)}
    except CaptureStopped as error:
        raise Refused(
            f"what changed since the last verify cannot be told ({error.found})",
            "run `ferry verify` again, then go on from there",
        ) from error


def _keys(change: RowChange, mapping: Mapping) -> Iterator[ItemKey]:
    """None of a row that can have no item: it is in quarantine, which is counted there."""
    try:
        yield from (effect.key for effect in effects(change, mapping))
    except UnusableChange:
        return


def compare(
    live: Live,
    pairs: Sequence[Pair],
    keys: Iterable[ItemKey],
    passed: Callable[[], None] | None = None,
) -> Summary:
    """Compares items with their rows until each is equal or differs; `passed` as Live.looking has it."""
    summary = Summary()
    for look, named in _looks(live, pairs, keys, passed):
        live.judge(look, list(named), lambda _: None, summary)
    return summary


def unequal(live: Live, pairs: Sequence[Pair], keys: Iterable[ItemKey]) -> set[ItemKey]:
    """Those that one look does not show to be equal: they differ, or have changed meanwhile."""
    found: set[ItemKey] = set()
    for look, named in _looks(live, pairs, keys, None):
        for some in batched(named, AT_ONCE, strict=False):
            seen = look(some)
            found.update(named[key] for key in some if not seen.equal(key))
    return found


def _looks(
    live: Live, pairs: Sequence[Pair], keys: Iterable[ItemKey], passed: Callable[[], None] | None
) -> Iterator[tuple[Looking, dict[Key, ItemKey]]]:
    """For each target what looks at its items, and these."""
    by_target: dict[str, list[ItemKey]] = defaultdict(list)
    for key in keys:
        by_target[key.table].append(key)
    for target, some in by_target.items():
        together = [pair for pair in pairs if pair.target == target]
        with live.looking(together, passed) as look:
            yield look, {look.items.key(key.attributes()): key for key in some}
