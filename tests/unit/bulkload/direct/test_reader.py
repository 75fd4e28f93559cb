"""What a chunk's reader tries again, how long, and what it says."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pymysql
import pytest

from bulkload.direct.captured_source import PairedConnection
from bulkload.direct.chunks import Chunk
from bulkload.direct.patience import AS_LONG
from bulkload.direct.reader import ChunkReader
from bulkload.dynamodb.batch_writer import RetryPolicy
from rowferry.errors import NotCaptured, Refused

TRIES = 3


class Reached(Exception):
    """The source has been opened."""


@dataclass
class Source:
    """Fails so many times."""

    error: Callable[[], Exception]
    failures: int
    opened: int = 0
    said: list[str] = field(default_factory=list)

    def __call__(self) -> PairedConnection:
        self.opened += 1
        raise self.error() if self.opened <= self.failures else Reached

    def read(self) -> None:
        retry = RetryPolicy(tries=TRIES, sleep=lambda _: None)
        reader = ChunkReader(self, retry, report=self.said.append)
        reader.read_into(None, Chunk(), lambda: None)  # type: ignore[arg-type, type-var, return-value]


def lost(code: int) -> Callable[[], Exception]:
    return lambda: pymysql.err.OperationalError(code, "'a value'")


def elsewhere() -> Exception:
    return NotCaptured("the source is server b, but a is being captured", "wait")


@pytest.mark.parametrize(
    "error",
    [
        elsewhere,
        *map(lost, (1053, 1290, 2003, 2006, 2013, 1927, 1045, 3100, 3101, 3168)),
        lambda: pymysql.err.InterfaceError(0, ""),
        lambda: pymysql.err.InternalError("Packet sequence number wrong - got 3 expected 1"),
    ],
)
def test_what_passes_with_a_failover_is_tried_for_minutes(error: Callable[[], Exception]) -> None:
    with pytest.raises(Reached):
        Source(error, TRIES * AS_LONG).read()
    source = Source(error, 10**9)
    with pytest.raises(Exception) as given_up:
        source.read()
    assert source.opened == TRIES * AS_LONG + 1
    assert isinstance(given_up.value, Refused) == (error is elsewhere)


def test_other_errors_are_tried_a_few_times() -> None:
    source = Source(lost(1142), 10**9)
    with pytest.raises(pymysql.err.OperationalError):
        source.read()
    assert source.opened == TRIES + 1


def test_each_reason_to_wait_is_said_once_and_without_values() -> None:
    errors = iter([lost(2013)(), lost(2013)(), elsewhere(), elsewhere()])
    source = Source(lambda: next(errors), 4)
    with pytest.raises(Reached):
        source.read()
    assert source.said == [
        "waiting: the source does not answer (2013)",
        "waiting: the source is server b, but a is being captured",
    ]


def test_where_capture_does_not_follow_the_load_says_how_it_goes_on() -> None:
    with pytest.raises(Refused) as given_up:
        Source(elsewhere, 10**9).read()
    assert not isinstance(given_up.value, NotCaptured)
    assert str(given_up.value).endswith("being captured: wait; then run `ferry load` again: it resumes")
