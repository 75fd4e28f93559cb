"""Carries out planned writes on DynamoDB and sorts what can go wrong."""

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
"""A lane's changes are applied one after another, so only a sender that lost its lease can be in the way."""
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
Pieces of ValidationException messages that concern the data. Any other one
(a key schema that differs from the mapping, say) is the operator's to mend:
the batch waits, nothing is set aside.
"""


class WriteOutcome(Enum):
    """What became of a write."""

    APPLIED = "applied"
    REPEAT = "repeat"
    """The item already holds this change or a newer one."""


class DynamoStore:
    """Writes items through the low-level client, which does the retries; counts requests."""

    def __init__(self, client: Any, clock: Callable[[], float], tombstone_seconds: int) -> None:
        """`clock` gives seconds since 1970; a tombstone expires `tombstone_seconds` after its delete."""
        self._client = client
        self._clock = clock
        self._tombstone_seconds = tombstone_seconds

    def write(self, write: Write) -> tuple[WriteOutcome, int]:
        """
        Does the write where the item is older; returns what became of it and the requests it took.

        Raises an UnusableChange when it can never be done and Unapplied when
        it may be done later.
        """
        expires = int(self._clock()) + self._tombstone_seconds
        if write.whole and write.position is None:
            return self._replace(write, expires)
        return self._merge(write, expires) if write.merge else self._update(write, expires)

    def _update(self, write: Write, expires: int) -> tuple[WriteOutcome, int]:
        """Conditional writes; where the item is not as expected, it says how it is."""
        missing: frozenset[str] = frozenset()
        for requests in range(1, _TRIES + 1):
            method, arguments = request(write, expires, missing)
            if method == "update_item" and "UpdateExpression" not in arguments:
                return (
                    WriteOutcome.REPEAT,
                    requests - 1,
                )  # by hand, to be removed from a map that is not there
            try:
                answer = self._call(method, arguments)
            except _Held as held:
                if (wanted := missing_maps(write, held.item)) != missing and not _held_already(
                    write, held.item
                ):
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
            with suppress(_Held):  # a change that came in between has raised the position: nothing to bury
                self._call("update_item", burial)
            return WriteOutcome.APPLIED, requests + 1
        raise _restless()

    def _merge(self, write: Write, expires: int) -> tuple[WriteOutcome, int]:
        """Reads the item, merges, and puts it where it is still as it was read; again when it is not."""
        for attempt in range(_TRIES):
            held = self._call("get_item", lookup(write)).get("Item", {})
            arguments = merged(write, held, expires)
            if arguments is None:
                return WriteOutcome.REPEAT, 2 * attempt + 1
            with suppress(_Held):
                self._call("put_item", arguments)
                return WriteOutcome.APPLIED, 2 * attempt + 2
        raise _restless()

    def _replace(self, write: Write, expires: int) -> tuple[WriteOutcome, int]:
        """A whole item by hand. It keeps the position that it has, or older changes could come back."""
        found = self._call("get_item", lookup(write)).get("Item")
        if found is None and write.members is None:
            return WriteOutcome.REPEAT, 1
        try:
            self._call("put_item", replacement(write, found or {}, expires))
        except _Held:
            raise Unapplied("an item changed while it was replaced by hand", "it is tried again") from None
        return WriteOutcome.APPLIED, 2

    def _call(self, method: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """The answer. _Held when the condition does not hold."""
        try:
            answer: dict[str, Any] = getattr(self._client, method)(**arguments)
        except ClientError as error:
            if is_condition_failed(error):
                response: dict[str, Any] = {**error.response}
                raise _Held(response.get("Item", {})) from None
            raise _sorted(error, arguments["TableName"]) from error
        except BotoCoreError as error:
            raise Unapplied(
                f"DynamoDB cannot be reached ({type(error).__name__})", "it is tried again; check the network"
            ) from error
        return answer


def _held_already(write: Write, held: dict[str, Attribute]) -> bool:
    """The item's position is not below the write's first change; by hand: there is no item to remove from."""
    if write.position is None:
        return write.may_empty and not held
    return POSITION in held and held[POSITION]["S"] >= str(write.steps[0].position)


def _restless() -> Unapplied:
    return Unapplied("an item changed again and again while it was written", "it is tried again")


class _Held(Exception):
    """The item is not as the write expects it; `item` is what it holds, where that was asked for."""

    def __init__(self, item: dict[str, Attribute]) -> None:
        self.item = item


def _sorted(error: ClientError, table: str) -> Exception:
    """The error of ours for the service's. Its message is not repeated: it may quote values."""
    code, message = error.response["Error"]["Code"], error.response["Error"].get("Message", "").lower()
    if code == "ValidationException" and any(piece in message for piece in _TOO_LARGE):
        return OversizedItem(
            f"an item of {table} would be larger than 400 KB", "split the group by another key"
        )
    if code == "ValidationException" and any(piece in message for piece in _NEVER):
        return ValueOutOfRange(f"DynamoDB refuses a value of {table}", "leave the column out or make it text")
    return Unapplied(
        f"a write to {table} failed with {code}", "it is tried again; check the table and the role"
    )
