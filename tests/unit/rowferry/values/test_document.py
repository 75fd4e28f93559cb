import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given

from rowferry.values.document import parse, written
from rowferry.values.numeric import json_number
from tests.unit.rowferry.values.test_values import DOCUMENTS


@given(DOCUMENTS)
def test_a_document_is_read_as_it_was_written(document: Any) -> None:
    assert same(parse(written(document)), document)


def same(found: Any, expected: Any) -> bool:
    """Equal, and of equal types all the way down: True is not 1."""
    if type(found) is not type(expected):
        return False
    if isinstance(found, dict):
        return list(found) == list(expected) and all(same(found[name], expected[name]) for name in found)
    if isinstance(found, list):
        return len(found) == len(expected) and all(map(same, found, expected))
    return bool(found == expected) and str(found) == str(expected)


@pytest.mark.parametrize("document", [{"a": [1, 2.5, None, True, "é\n"]}, [], {}, "x", None])
def test_text_is_laid_out_as_json_of_the_standard_library(document: Any) -> None:
    exact = parse(json.dumps(document))
    assert written(exact) == json.dumps(document, ensure_ascii=False)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1, 1),
        (1.0, 1),
        (-0.0, 0),
        (Decimal("1.10"), Decimal("1.1")),
        (Decimal("1E+2"), 100),
        (Decimal("-0.00"), 0),
        (0.1, Decimal("0.1")),
        (1e64, 10**64),
        (1e65, Decimal("1E+65")),
        (10**65, Decimal("1E+65")),
        (Decimal("9" * 65), int("9" * 65)),
        (5e-324, Decimal("5E-324")),
    ],
)
def test_a_number_counts_by_its_value(value: Any, expected: Any) -> None:
    assert same(json_number(value), expected)


@pytest.mark.parametrize("printed", ["1", "1.0", "10e-1", "1.000"])
def test_a_number_in_text_counts_by_its_value(printed: str) -> None:
    assert same(parse(printed), 1)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), Decimal("NaN")])
def test_what_is_no_number_of_json_is_refused(value: Any) -> None:
    with pytest.raises(ValueError):
        json_number(value)


@pytest.mark.parametrize(
    "text", ["", "{", "NaN", "[Infinity]", '"\\ud800"', "1e" + "9" * 30, "[" * 200_000, "nul", '"\n"']
)
def test_what_is_no_document_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse(text)
