"""Items into DynamoDB with BatchWriteItem, until each one is accepted or can never be."""

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
"""Pieces of DynamoDB's message, which itself is not shown: it may quote values."""

THROTTLED = frozenset(
    ["ProvisionedThroughputExceededException", "RequestLimitExceeded", "ThrottlingException"]
)

type Item = dict[str, Attribute]


class Client(Protocol):
    """What is used of boto3's low-level DynamoDB client."""

    def batch_write_item(self, **arguments: Any) -> Any:
        """DynamoDB's BatchWriteItem."""

    def update_item(self, **arguments: Any) -> Any:
        """DynamoDB's UpdateItem."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a request is tried again without any progress: pauses in seconds, doubled and jittered."""

    tries: int = 12
    first: float = 0.05
    longest: float = 10.0
    sleep: Callable[[float], None] = time.sleep
    random: Callable[[], float] = random

    def pauses(self) -> Iterator[float]:
        """Evenly between zero and the doubled pause, so that many writers do not come back together."""
        for attempt in range(self.tries):
            yield min(self.longest, self.first * 2**attempt) * self.random()


class Metered(Protocol):
    """What is asked before, and told after, each request; bulkload.meter has the one that holds back."""

    def begin(self, items: int) -> float:
        """Returns the WCU that a request for so many items is expected to need."""

    def end(self, items: int, expected: float, answer: Mapping[str, Any]) -> None:
        """The request was answered."""

    def throttled(self, expected: float) -> None:
        """The request was refused as one too many."""


class Unmetered:
    """For what is not to be counted: the plan."""

    def begin(self, items: int) -> float:
        """Without waiting."""
        return items

    def end(self, items: int, expected: float, answer: Mapping[str, Any]) -> None:
        """Not counted."""

    def throttled(self, expected: float) -> None:
        """Not counted."""


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes items of one table. `guard` is asked before each request, and raises when it may not be sent."""

    client: Client
    table: str
    guard: Callable[[], None]
    patience: Patience = Patience()
    meter: Metered = field(default_factory=Unmetered)

    def write(self, items: Sequence[Item]) -> list[tuple[Item, str]]:
        """
        Puts the items, at most 25; returns those that DynamoDB refuses, with its reason.

        Unapplied when it goes on failing for other reasons.
        """
        try:
            self._batch(items)
            return []
        except ClientError as error:
            if error_code(error) not in TOO_LARGE:
                raise
        return [(item, reason) for item in items if (reason := self._refusal(item))]

    def _batch(self, items: Sequence[Item]) -> None:
        waiting = [{"PutRequest": {"Item": item}} for item in items]
        pauses = self.patience.pauses()
        while waiting:
            left = self._try(waiting)
            if len(left) < len(waiting):
                pauses = self.patience.pauses()  # something went through: that is progress
            waiting = left
            if waiting:
                self.pause(pauses)

    def _try(self, requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The requests that are still to be done."""
        call = partial(self.client.batch_write_item, RequestItems={self.table: requests})
        answer = self.answer(call, len(requests))
        return requests if answer is None else list(answer.get("UnprocessedItems", {}).get(self.table, []))

    def answer(self, call: Callable[..., Any], items: int) -> Mapping[str, Any] | None:
        """What a request for so many items gives; None when it may succeed the next time."""
        expected = self.meter.begin(items)
        self.guard()
        try:
            answer: Mapping[str, Any] = call(ReturnConsumedCapacity="TOTAL")
        except (NotConnected, HTTPClientError):
            return None
        except ClientError as error:
            if error_code(error) in THROTTLED:
                self.meter.throttled(expected)
            if error_code(error) not in TRANSIENT:
                raise
            return None
        self.meter.end(items, expected, answer)
        return answer

    def _refusal(self, item: Item) -> str | None:
        """One of a refused batch alone: why DynamoDB does not take it, None when it does."""
        try:
            self._batch([item])
        except ClientError as error:
            if error_code(error) not in TOO_LARGE:
                raise
            return refusal(error)
        return None

    def pause(self, pauses: Iterator[float]) -> None:
        """Waits before the next try. Unapplied when there have been enough."""
        pause = next(pauses, None)
        if pause is None:
            raise Unapplied(
                f"DynamoDB took nothing into {self.table} for {self.patience.tries} tries",
                "raise the table's write capacity or give --max-wcu, then run the load again: it goes on",
            )
        self.patience.sleep(pause)


def batches[T](items: Iterable[T]) -> Iterator[tuple[T, ...]]:
    """What one request takes, or one task for a thread."""
    return batched(items, ITEMS_IN_A_REQUEST, strict=False)


def request_config(connections: int, longest: float) -> dict[str, Any]:
    """
    For the client that writes items, as botocore's Config takes it.

    One attempt of at most `longest` seconds (Patience tries again, and asks
    the guard before): a request never outlives the lock that it began under.
    """
    return {
        "connect_timeout": longest * 0.4,
        "read_timeout": longest * 0.6,
        "retries": {"total_max_attempts": 1, "mode": "standard"},
        "max_pool_connections": connections,
    }


def refusal(error: ClientError) -> str:
    """DynamoDB's refusal in words of ours."""
    message = str(error.response["Error"].get("Message", "")).lower()
    if error_code(error) != "ValidationException" or any(piece in message for piece in _SAYS_TOO_LARGE):
        return ITEM_TOO_LARGE
    return "DynamoDB refuses one of its values or its key: repair the row, or leave the column out"


def error_code(error: ClientError) -> str:
    """DynamoDB's word for what went wrong."""
    return str(error.response.get("Error", {}).get("Code", ""))
