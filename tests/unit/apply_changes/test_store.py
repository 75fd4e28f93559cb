from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from apply_changes.store import DynamoStore
from rowferry.errors import OversizedItem, Unapplied, ValueOutOfRange
from rowferry.items.folding import FoldStep, Write, writes
from tests.unit.rowferry.items.test_folding import step


class Refusing:
    """A client that answers every request with an error."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __getattr__(self, name: str) -> Any:
        def call(**arguments: Any) -> Any:
            raise self._error

        return call


def write(each: FoldStep) -> Write:
    (planned,) = writes([each])
    return planned


def error(code: str, message: str = "") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "UpdateItem")


# messages as AWS words them
@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (
            error("ValidationException", "Item size to update has exceeded the maximum allowed size"),
            OversizedItem,
        ),
        (error("ValidationException", "Item size has exceeded the maximum allowed size"), OversizedItem),
        (error("ValidationException", "Number overflow. Attempting to store a number with"), ValueOutOfRange),
        (
            error("ValidationException", "Attempting to store more than 38 significant digits"),
            ValueOutOfRange,
        ),
        (
            error(
                "ValidationException", "The AttributeValue for a key attribute cannot contain an empty string"
            ),
            ValueOutOfRange,
        ),
        (error("ValidationException", "The provided key element does not match the schema"), Unapplied),
        (error("ValidationException", "Type mismatch for key orderid expected: S actual: N"), Unapplied),
        (error("ProvisionedThroughputExceededException"), Unapplied),
        (error("ThrottlingException"), Unapplied),
        (error("ResourceNotFoundException"), Unapplied),
        (error("AccessDeniedException"), Unapplied),
        (EndpointConnectionError(endpoint_url="http://x"), Unapplied),
    ],
)
@pytest.mark.parametrize("whole", [False, True])
def test_failures_are_sorted_by_what_has_to_happen(failure: Exception, expected: type, whole: bool) -> None:
    store = DynamoStore(Refusing(failure), lambda: 0.0, 1)
    with pytest.raises(expected) as raised:
        store.write(write(step(1, {"p1": 1}, whole=whole)))
    assert "p1" not in str(raised.value)
