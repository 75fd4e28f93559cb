import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowferry.position import Position, file_name, file_number

POSITIONS = st.builds(
    Position,
    st.integers(0, 2**16 - 1),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**64 - 1),
    st.integers(0, 2**32 - 1),
)


@given(POSITIONS, POSITIONS)
def test_texts_are_ordered_as_positions_are(one: Position, other: Position) -> None:
    assert (str(one) < str(other)) == (one < other)
    assert (str(one).encode() < str(other).encode()) == (one < other)  # as DynamoDB compares


@given(POSITIONS)
def test_a_text_is_parsed_to_the_same_position(position: Position) -> None:
    assert Position.parse(str(position)) == position
    assert len(str(position)) == 39


@given(POSITIONS)
def test_a_boundary_is_below_every_row_of_its_transaction(position: Position) -> None:
    assert position.boundary <= position
    assert position.boundary.row == 0


@pytest.mark.parametrize(
    "text", ["", "1.2.3.4", "0001.0000000c.000000000001e240", "zzzz" + str(Position(1, 1, 1))[4:]]
)
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ValueError):
        Position.parse(text)


@pytest.mark.parametrize(
    ("name", "number"),
    [("binlog.000012", 12), ("mysql-bin-changelog.1000000", 1_000_000), ("a.b.000001", 1)],
)
def test_a_files_number_is_at_its_end(name: str, number: int) -> None:
    assert file_number(name) == number
    assert file_name(name.rpartition(".")[0], number) == name


def test_a_file_without_number_is_refused() -> None:
    with pytest.raises(ValueError):
        file_number("binlog")
