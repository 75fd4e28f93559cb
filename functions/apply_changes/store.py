"""Executes planned writes on DynamoDB and classifies the errors."""

from collections.abc import Callable
from contextlib import suppress
from enum import Enum
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from rowferry.control_table import is_condition_failed
from rowferry.errors import OversizedItem, Unapplied, ValueOutOfRange
from rowferry.items.folding import Write, newer
from rowferry.items.requests import bury, lookup, merged, missing_maps, replacement, request
from rowferry.mapping.table import POSITION
from rowferry.values import Attribute

_TRIES = 8
"""
Attempts of a conditional write. A lane's changes are applied one after another, so only those of a capturer
that lost its lease can come in between.
"""
_TOO_LARGE = ("item size", "maximum allowed size", "exceeds the maximum")
_NEVER = (
    "number overflow",
    "underflow",
    "significant digits",
    "empty string",
    "hashkey",
    "rangekey",
    "nesting levels",
)
"""
Parts of ValidationException messages that are about the data. Any other one (a key schema that differs from
the mapping, for instance) is for the operator to fix: the batch waits, nothing is quarantined.
"""


class WriteOutcome(Enum):
    """Outcome of a write."""

    APPLIED = "applied"
    REPEAT = "repeat"
    """The item already holds this change or a newer one."""


class DynamoStore:
    """Writes items through the low-level client, which retries what the network loses; counts requests."""

    def __init__(self, client: Any, clock: Callable[[], float], tombstone_seconds: int) -> None:
        """`clock` returns seconds since 1970; a tombstone expires `tombstone_seconds` after its delete."""
        self._client = client
        self._clock = clock
        self._tombstone_seconds = tombstone_seconds

    def write(self, write: Write) -> tuple[WriteOutcome, int]:
        """
        Writes if the item is older; returns the outcome and the number of requests it took.

        Raises an UnusableChange if the write can never succeed, and Unapplied if a retry may. After Unapplied
        the write may have happened all the same (a lost answer): the retry then finds a REPEAT.
        """
        expires = int(self._clock()) + self._tombstone_seconds
        if write.whole and write.position is None:
            return self._replace(write, expires)
        return self._merge(write, expires) if write.merge else self._update(write, expires)

    def _update(self, write: Write, expires: int) -> tuple[WriteOutcome, int]:
        """Conditional writes; if the item is not as expected, DynamoDB returns it with the error."""
        missing: frozenset[str] = frozenset()
        for requests in range(1, _TRIES + 1):
            method, arguments = request(write, expires, missing)
            if method == "update_item" and "UpdateExpression" not in arguments:
                # replayed by hand: a removal from a map that does not exist
                return WriteOutcome.REPEAT, requests - 1  # this one was not sent
            try:
                answer = self._call(method, arguments)
            except _Held as held:
                if (wanted := missing_maps(write, held.item)) != missing and not _held_already(
                    write, held.item
                ):
                    # The maps were the reason, not the position: the update is built again, for the maps that
                    # the item has.
                    missing = wanted
                    continue
                rest = newer(write, held.item)
                if rest is None:
                    return WriteOutcome.REPEAT, requests
                outcome, further = self.write(rest)
                return outcome, requests + further
            burial = bury(write, answer["Attributes"], expires) if write.may_leave_empty else None
            if burial is None:
                return WriteOutcome.APPLIED, requests
            with suppress(_Held):  # a change in between has raised the position: no tombstone is needed
                self._call("update_item", burial)
            return WriteOutcome.APPLIED, requests + 1
        raise _contended()

    def _merge(self, write: Write, expires: int) -> tuple[WriteOutcome, int]:
        """Reads the item, merges, and puts it if it is still as it was read; otherwise reads it again."""
        for attempt in range(_TRIES):
            held = self._call("get_item", lookup(write)).get("Item", {})
            arguments = merged(write, held, expires)
            if arguments is None:
                return WriteOutcome.REPEAT, 2 * attempt + 1  # a failed attempt is a read and a put
            with suppress(_Held):
                self._call("put_item", arguments)
                return WriteOutcome.APPLIED, 2 * attempt + 2
        raise _contended()

    def _replace(self, write: Write, expires: int) -> tuple[WriteOutcome, int]:
        """
        A whole item, replayed by hand. It keeps its position: without one, older changes could overwrite it.
        """
        found = self._call("get_item", lookup(write)).get("Item")
        if found is None and write.members is None:
            return WriteOutcome.REPEAT, 1
        try:
            self._call("put_item", replacement(write, found or {}, expires))
        except _Held:
            raise Unapplied("an item changed while it was replaced by hand", "it is retried") from None
        return WriteOutcome.APPLIED, 2

    def _call(self, method: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """The response. Raises _Held if the condition does not hold, and our own errors for the service's."""
        try:
            answer: dict[str, Any] = getattr(self._client, method)(**arguments)
        except ClientError as error:
            if is_condition_failed(error):
                response: dict[str, Any] = {**error.response}
                raise _Held(response.get("Item", {})) from None
            raise _sorted(error, arguments["TableName"]) from error
        except BotoCoreError as error:
            raise Unapplied(
                f"DynamoDB cannot be reached ({type(error).__name__})", "it is retried; check the network"
            ) from error
        return answer


def _held_already(write: Write, held: dict[str, Attribute]) -> bool:
    """The item's position is not below the write's first change. By hand: there is no item to remove from."""
    if write.position is None:
        return write.may_empty and not held
    return POSITION in held and held[POSITION]["S"] >= str(write.steps[0].position)


def _contended() -> Unapplied:
    return Unapplied(f"an item changed {_TRIES} times while it was written", "it is retried")


class _Held(Exception):
    """The item is not as the write expects it; `item` is its content if the request asked for it."""

    def __init__(self, item: dict[str, Attribute]) -> None:
        self.item = item


def _sorted(error: ClientError, table: str) -> Exception:
    """Our own error for the service's. Its message is not repeated: it may quote values."""
    code, message = error.response["Error"]["Code"], error.response["Error"].get("Message", "").lower()
    if code == "ValidationException" and any(piece in message for piece in _TOO_LARGE):
        return OversizedItem(
            f"an item of {table} would be larger than 400 KB", "split the group by another key"
        )
    if code == "ValidationException" and any(piece in message for piece in _NEVER):
        return ValueOutOfRange(f"DynamoDB refuses a value of {table}", "leave the column out or make it text")
    return Unapplied(f"a write to {table} failed with {code}", "it is retried; check the table and the role")
