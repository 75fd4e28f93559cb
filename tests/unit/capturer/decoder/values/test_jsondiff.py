"""Partial updates of JSON."""

from typing import Any

import pytest

from capturer.decoder.values.jsondiff import applied, parsed


@pytest.mark.parametrize(
    ("path", "legs"),
    [
        ("$", ()),
        ("$.a", ("a",)),
        ("$[0][12]", (0, 12)),
        ('$."b \\" c".d', ('b " c', "d")),
        ("$.한글[1]", ("한글", 1)),
    ],
)
def test_json_paths(path: str, legs: tuple[str | int, ...]) -> None:
    assert parsed(path) == legs


@pytest.mark.parametrize("path", ["", "a", "$..a", "$[*]", "$.*", "$[-1]", "$.a b["])
def test_paths_that_are_none_are_refused(path: str) -> None:
    with pytest.raises(ValueError, match="path"):
        parsed(path)


def diff(operation: int, path: str, value: bytes = b"") -> bytes:
    head = bytes([operation, len(path)]) + path.encode()
    return head if operation == 2 else head + bytes([len(value)]) + value


ONE = b"\x05\x01\x00"


@pytest.mark.parametrize(
    ("before", "changes", "after"),
    [
        ({"a": 0}, diff(0, "$.a", ONE), {"a": 1}),
        ({"a": 0}, diff(1, "$.b", ONE), {"a": 0, "b": 1}),
        ([7, 8], diff(1, "$[0]", ONE), [1, 7, 8]),
        ([7, 8], diff(1, "$[2]", ONE), [7, 8, 1]),
        ([7, 8], diff(2, "$[0]"), [8]),
        (
            {"a": {"b": [1, {"c": 2}]}},
            diff(2, "$.a.b[1].c") + diff(0, "$.a.b[0]", b"\x04\x00"),
            {"a": {"b": [None, {}]}},
        ),
        ([1], diff(0, "$", ONE), 1),
        ({"a": 1}, b"", {"a": 1}),
    ],
)
def test_changes_of_json(before: Any, changes: bytes, after: Any) -> None:
    kept = repr(before)
    assert applied(before, changes) == after
    assert repr(before) == kept


@pytest.mark.parametrize(
    "changes",
    [diff(0, "$.x", ONE), diff(2, "$.x"), diff(0, "$[9]", ONE), diff(2, "$"), b"\x09\x01$", diff(0, "$.a")],
)
def test_changes_that_do_not_fit_are_refused(changes: bytes) -> None:
    with pytest.raises((ValueError, LookupError, TypeError)):
        applied({"a": 1}, changes)
