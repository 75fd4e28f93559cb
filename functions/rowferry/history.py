"""What a source server has executed, as a set of GTIDs: MySQL's GTID set, or MariaDB's GTID state."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Self

type Intervals = tuple[tuple[int, int], ...]
"""First and last numbers, both included, ascending, with gaps between them."""
type _State = tuple[Mapping[str, Intervals], list[str], int]

_MARIADB = re.compile(r"(\d+-\d+)-(\d+)")
_TAG = re.compile("[a-z_][a-z0-9_]{0,31}")
_LARGEST = 1 << 64  # above every number of a transaction
_MOST_LISTED = 10_000  # transactions that are only listed: a bound of memory, and of the time of a look
_NO_SETS: Mapping[str, Intervals] = {}


class History:
    """
    A set of transactions. Immutable; equal histories compare as equal.

    MySQL: every transaction has a number of its source (a server's UUID, or `UUID:tag`). MariaDB: of its
    domain and server; there numbers rise, with gaps, so a state `0-1-5` stands for every transaction of
    server 1 in domain 0 up to number 5.

    >>> History.parse("3E11FA47-71CA-11E1-9E33-C80AA9429562:1-3:5").plus(
    ...     "3e11fa47-71ca-11e1-9e33-c80aa9429562:4")
    History('3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5')
    >>> History.parse("0-1-7,0-2-9").minus(History.parse("0-1-5")).listing()
    '0-1-6 to 0-1-7, 0-2-1 to 0-2-9'

    https://dev.mysql.com/doc/refman/9.7/en/replication-gtids-concepts.html (GTID Sets);
    https://mariadb.com/kb/en/gtid/ (gtid_binlog_state)
    """

    # (intervals by source, transactions that are added to them, how many of these belong to this history).
    # Adding is called for every transaction of the binlog, and a history is seldom looked into: so they are
    # only listed, in a list that newer histories share, until somebody looks. One attribute, because another
    # thread may look at the same time.
    __slots__ = ("_state",)

    def __init__(
        self, sets: Mapping[str, Intervals] = _NO_SETS, added: list[str] | None = None, count: int = 0
    ) -> None:
        """Use `parse` and the methods. `sets` must not be changed afterwards."""
        self._state: _State = (sets, [] if added is None else added, count)

    @classmethod
    def parse(cls, text: str) -> Self:
        """
        What `str` wrote, or what a server shows; MariaDB's in any order. Raises ValueError for other text.
        """
        found: dict[str, Intervals] = {}
        for part in "".join(text.split()).split(","):
            for source, first, last in _parsed(part.lower()) if part else ():
                found[source] = _added(found.get(source, ()), first, last)
        return cls(found)

    def plus(self, *gtids: str) -> "History":
        """With these transactions, as the binlog names them."""
        sets, added, count = self._state
        # A list of its own to begin with, so that NOTHING has none to share; and where another history goes
        # on in the list.
        if not count or count != len(added) or count >= _MOST_LISTED:
            sets, added, count = self._sets(), [], 0
        added.extend(gtids)
        return History(sets, added, count + len(gtids))

    def __contains__(self, gtid: str) -> bool:
        source, number = _split(gtid)
        return any(first <= number <= last for first, last in self._sets().get(source, ()))

    def before(self, gtid: str) -> "History":
        """Without that transaction and the later ones of its source."""
        source, number = _split(gtid)
        sets = dict(self._sets())
        if left := _without(sets.pop(source, ()), ((number, _LARGEST),)):
            sets[source] = left
        return History(sets)

    def newest(self) -> "History":
        """
        Of MariaDB, the newest transaction of each domain, whose numbers rise over all its servers. A server
        that was made from a dump has it, and does not list those of former servers. Of MySQL, all of it.
        """
        newest: dict[str, tuple[str, Intervals]] = {}
        for source, intervals in self._sets().items():
            domain = source.partition("-")[0] if _is_mariadb(source) else source
            if domain not in newest or intervals[-1][1] > newest[domain][1][-1][1]:
                newest[domain] = (source, intervals)
        return History(dict(newest.values()))

    def minus(self, other: "History") -> "History":
        """The transactions that `other` lacks."""
        theirs = other._sets()
        left = {
            source: _without(intervals, theirs.get(source, ())) for source, intervals in self._sets().items()
        }
        return History({source: intervals for source, intervals in left.items() if intervals})

    def union(self, other: "History") -> "History":
        """The transactions of both."""
        sets = dict(self._sets())
        for source, intervals in other._sets().items():
            for first, last in intervals:
                sets[source] = _added(sets.get(source, ()), first, last)
        return History(sets)

    def within(self, other: "History") -> bool:
        """Whether `other` contains all of it."""
        return not self.minus(other)

    def of_source(self, source: str) -> "History":
        """Its part with that source: MySQL's server UUID, with or without a tag."""
        return History(
            {
                name: intervals
                for name, intervals in self._sets().items()
                if name == source or name.startswith(f"{source}:")
            }
        )

    def listing(self, limit: int = 10) -> str:
        """For messages: the transactions in ranges, at most `limit` of them."""
        parts = list(self._ranges())
        more = [f"and {len(parts) - limit} more ranges"] if len(parts) > limit else []
        return ", ".join([*parts[:limit], *more])

    def _ranges(self) -> Iterator[str]:
        for source, intervals in sorted(self._sets().items()):
            for first, last in intervals:
                if _is_mariadb(source):
                    yield f"{source}-{first}" if first == last else f"{source}-{first} to {source}-{last}"
                else:
                    yield f"{source}:{_range(first, last)}"

    def _sets(self) -> Mapping[str, Intervals]:
        """All intervals by source."""
        sets, added, count = self._state
        if count:
            sets = _with(sets, added[:count])
            self._state = (sets, [], 0)
        return sets

    def __str__(self) -> str:
        return ",".join(_text(source, intervals) for source, intervals in sorted(self._sets().items()))

    def __repr__(self) -> str:
        return f"History({str(self)!r})"

    def __bool__(self) -> bool:
        return bool(self._state[2] or self._state[0])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, History) and self._sets() == other._sets()

    def __hash__(self) -> int:
        return hash(str(self))


NOTHING = History()


def _is_mariadb(source: str) -> bool:
    return len(source) < 24  # two numbers of 32 bit; a UUID has 36 characters


def _split(gtid: str) -> tuple[str, int]:
    source, _, number = gtid.rpartition(":")
    if not source:
        source, _, number = gtid.rpartition("-")
    return source, int(number)


def _with(sets: Mapping[str, Intervals], gtids: Sequence[str]) -> Mapping[str, Intervals]:
    found = dict(sets)
    (source, first), (other, last) = _split(gtids[0]), _split(gtids[-1])
    # Mostly one server's, one after the other: to compare them all at once takes a third of parsing them.
    as_many = source == other and last - first + 1 == len(gtids)
    separator = gtids[0][len(source)]
    if as_many and [f"{source}{separator}{number}" for number in range(first, last + 1)] == gtids:
        _add(found, source, first, last)
    else:
        for gtid in gtids:
            source, number = _split(gtid)
            _add(found, source, number, number)
    return found


def _add(sets: dict[str, Intervals], source: str, first: int, last: int) -> None:
    sets[source] = _added(sets.get(source, ()), 1 if _is_mariadb(source) else first, last)


def _parsed(part: str) -> Iterator[tuple[str, int, int]]:
    """`uuid:1-3:5:tag:7` as (source, first, last)."""
    if state := _MARIADB.fullmatch(part):
        yield state[1], 1, int(state[2])
        return
    uuid, *pieces = part.split(":")
    if len(uuid) != 36 or not pieces:
        raise ValueError(f"not a GTID set: {part[:80]!r}")
    source = uuid
    for piece in pieces:
        if _TAG.fullmatch(piece):
            source = f"{uuid}:{piece}"  # a tag holds for the numbers after it
            continue
        first, _, last = piece.partition("-")
        yield source, int(first), int(last or first)


def _text(source: str, intervals: Intervals) -> str:
    if _is_mariadb(source):
        return f"{source}-{intervals[-1][1]}"
    return f"{source}:{':'.join(_range(first, last) for first, last in intervals)}"


def _range(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}-{last}"


def _added(intervals: Intervals, first: int, last: int) -> Intervals:
    """With the numbers from first to last."""
    before = [one for one in intervals if one[1] < first - 1]
    after = [one for one in intervals if one[0] > last + 1]
    touched = intervals[len(before) : len(intervals) - len(after)]
    joined = (min([first, *(one[0] for one in touched)]), max([last, *(one[1] for one in touched)]))
    return (*before, joined, *after)


def _without(intervals: Intervals, others: Intervals) -> Intervals:
    left: list[tuple[int, int]] = []
    for first, last in intervals:
        for start, end in others:
            if end < first or start > last:
                continue
            if start > first:
                left.append((first, start - 1))
            first = end + 1  # noqa: PLW2901 - what is left begins after it
        if first <= last:
            left.append((first, last))
    return tuple(left)
