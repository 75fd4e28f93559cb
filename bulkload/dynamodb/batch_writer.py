"""Writes items with BatchWriteItem, with retries, until each one is accepted or refused for good."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import batched
from random import random
from typing import Any, Protocol

from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NotConnected

from rowferry.errors import Unapplied
from rowferry.values import Attribute

ITEMS_IN_A_REQUEST = 25
"""25 items of 400 KB are under the other limit, 16 MB (DynamoDB developer guide, Constraints)."""
TRANSIENT = frozenset(
    [
        "InternalServerError",
        "InternalFailure",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestTimeout",
        "ServiceUnavailable",
        "ThrottlingException",
        "TransactionConflictException",
    ]
)
TOO_LARGE = frozenset(["ValidationException", "RequestEntityTooLarge", "413"])
ITEM_TOO_LARGE = "the item would be larger than 400 KB: split the group by another key"

_SAYS_TOO_LARGE = ("item size", "maximum allowed size", "exceeds the maximum")
"""Pieces of DynamoDB's message. The message itself is never shown: it may quote values."""

THROTTLED = frozenset(
    ["ProvisionedThroughputExceededException", "RequestLimitExceeded", "ThrottlingException"]
)

type Item = dict[str, Attribute]


class Client(Protocol):
    """The methods of boto3's low-level DynamoDB client that are used here."""

    def batch_write_item(self, **arguments: Any) -> Any: ...
    def update_item(self, **arguments: Any) -> Any: ...


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often a request is retried while nothing goes through: pauses in seconds, doubled and jittered."""

    tries: int = 12
    first: float = 0.05
    longest: float = 10.0
    sleep: Callable[[float], None] = time.sleep
    random: Callable[[], float] = random

    def pauses(self) -> Iterator[float]:
        """
        Uniform between zero and the doubled pause (full jitter), so that many writers do not retry together.
        """
        for attempt in range(self.tries):
            yield min(self.longest, self.first * 2**attempt) * self.random()


class Limiter(Protocol):
    """Called before and after each request; throttle.worker_limiter has the one that limits the rate."""

    def begin(self, items: int) -> float:
        """May wait. Returns the WCU that a request for so many items is expected to need."""

    def end(self, items: int, expected: float, answer: Mapping[str, Any]) -> None:
        """The request was answered with `answer`."""

    def throttled(self, expected: float) -> None:
        """The request was throttled."""


class Unlimited:
    """A limiter without a limit, for the few requests that write the plan."""

    def begin(self, items: int) -> float:
        return items

    def end(self, items: int, expected: float, answer: Mapping[str, Any]) -> None: ...

    def throttled(self, expected: float) -> None: ...


@dataclass(frozen=True, slots=True)
class Writer:
    """
    Writes items of one table; safe for several threads.

    `guard` is called before each request, and raises when it may not be sent (the lock is lost).
    """

    client: Client
    table: str
    guard: Callable[[], None]
    retry: RetryPolicy = RetryPolicy()
    limiter: Limiter = field(default_factory=Unlimited)

    def write(self, items: Sequence[Item]) -> list[tuple[Item, str]]:
        """
        Puts the items, at most 25; returns those that DynamoDB refuses, with the reason.

        All others have been accepted, over whatever item was there: puts carry no condition. Raises Unapplied
        when retries are used up.
        """
        try:
            self._batch(items)
            return []
        except ClientError as error:
            if error_code(error) not in TOO_LARGE:
                raise
        # one invalid item fails the whole batch: put them one by one to find it
        return [(item, reason) for item in items if (reason := self._refusal(item))]

    def _batch(self, items: Sequence[Item]) -> None:
        waiting = [{"PutRequest": {"Item": item}} for item in items]
        pauses = self.retry.pauses()
        while waiting:
            left = self._try(waiting)
            if len(left) < len(waiting):
                pauses = self.retry.pauses()  # some items went through: begin with short pauses again
            waiting = left
            if waiting:
                self.pause(pauses)

    def _try(self, requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
        call = partial(self.client.batch_write_item, RequestItems={self.table: requests})
        answer = self.answer(call, len(requests))
        # BatchWriteItem succeeds although it has left items out, for example when it is throttled
        # (https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html).
        return requests if answer is None else list(answer.get("UnprocessedItems", {}).get(self.table, []))

    def answer(self, call: Callable[..., Any], items: int) -> Mapping[str, Any] | None:
        """The answer to a request for so many items; None when it may succeed on a retry."""
        expected = self.limiter.begin(items)
        # After the wait for the limit, during which the lock may have been lost.
        self.guard()
        try:
            answer: Mapping[str, Any] = call(ReturnConsumedCapacity="TOTAL")
        except (NotConnected, HTTPClientError):
            # The outcome is unknown: it may have been written. That is why puts and merges can be repeated.
            return None
        except ClientError as error:
            if error_code(error) in THROTTLED:
                self.limiter.throttled(expected)
            if error_code(error) not in TRANSIENT:
                raise
            return None
        self.limiter.end(items, expected, answer)
        return answer

    def _refusal(self, item: Item) -> str | None:
        """Puts one item of a refused batch alone; returns why DynamoDB refuses it, None when it does not."""
        try:
            self._batch([item])
        except ClientError as error:
            if error_code(error) not in TOO_LARGE:
                raise
            return refusal(error)
        return None

    def pause(self, pauses: Iterator[float]) -> None:
        """Waits before the next retry. Raises Unapplied when there are none left."""
        pause = next(pauses, None)
        if pause is None:
            raise Unapplied(
                f"DynamoDB accepted nothing into {self.table} in {self.retry.tries} tries",
                "raise the table's write capacity or give --max-wcu, then run the load again: it resumes",
            )
        self.retry.sleep(pause)


def retried[T](call: Callable[[], T], retry: RetryPolicy) -> T:
    """
    The result of a request that may be repeated, tried again after errors that pass; then its last error.
    """
    for pause in retry.pauses():
        try:
            return call()
        except (NotConnected, HTTPClientError):
            pass
        except ClientError as error:
            if error_code(error) not in TRANSIENT:
                raise
        retry.sleep(pause)
    return call()


def batches[T](items: Iterable[T]) -> Iterator[tuple[T, ...]]:
    return batched(items, ITEMS_IN_A_REQUEST, strict=False)


def request_config(connections: int, longest: float) -> dict[str, Any]:
    """
    Settings of the client that writes items, for botocore's Config.

    One attempt of at most `longest` seconds, without botocore's own retries: RetryPolicy
    retries, and Writer checks the lock before. So no request outlives the lock that it began under.
    """
    return {
        # Together at most `longest`.
        "connect_timeout": longest * 0.4,
        "read_timeout": longest * 0.6,
        "retries": {"total_max_attempts": 1, "mode": "standard"},
        # botocore's default is 10: connections beyond the pool's size are not used again.
        "max_pool_connections": connections,
    }


def refusal(error: ClientError) -> str:
    """Why DynamoDB refuses an item, in our own words: its message may quote values."""
    message = str(error.response["Error"].get("Message", "")).lower()
    if error_code(error) != "ValidationException" or any(piece in message for piece in _SAYS_TOO_LARGE):
        return ITEM_TOO_LARGE
    return "DynamoDB refuses one of its values or its key: repair the row, or leave the column out"


def error_code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))
