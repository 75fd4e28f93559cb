"""Writes that read the item first, and maps that are not there yet, with another writer in between."""

from collections.abc import Callable
from typing import Any

import pytest

from apply_changes.store import DynamoStore, WriteOutcome
from bulkload.direct.merger import Merger
from bulkload.dynamodb.batch_writer import RetryPolicy, Writer
from rowferry.errors import Refused, Unapplied
from rowferry.items.effects import Effect, ItemKey, KeyValue
from rowferry.items.folding import FoldStep, writes
from rowferry.mapping.table import MapEntry, SetEntry, Target
from rowferry.position import Position
from tests.support.dynamo import Dynamo

KEY = ItemKey("t", (KeyValue("id", "S", "x"),))
SET, MAP = Target(merge=True), Target(maps=frozenset({"m"}))


def at(offset: int) -> str:
    return str(Position(1, 1, offset, 1))


def string(name: str, value: str | None) -> dict[Any, Any]:
    return {SetEntry("s", f"{name}:"): None if value is None else {"S": f"{name}:{value}"}}


def entry(name: str, value: int | None) -> dict[Any, Any]:
    return {MapEntry("m", name): None if value is None else {"N": str(value)}}


class Busy:
    """A client under which something else happens before a put or an update, so many times."""

    def __init__(self, dynamo: Dynamo, times: int, meanwhile: Callable[[int], None]) -> None:
        self._dynamo, self._left, self._meanwhile = dynamo, times, meanwhile

    def get_item(self, **arguments: Any) -> Any:
        return self._dynamo.get_item(**arguments)

    def put_item(self, **arguments: Any) -> Any:
        self._disturb()
        return self._dynamo.put_item(**arguments)

    def update_item(self, **arguments: Any) -> Any:
        self._disturb()
        return self._dynamo.update_item(**arguments)

    def _disturb(self) -> None:
        if self._left:
            self._left -= 1
            self._meanwhile(self._left)


def store(client: Any) -> DynamoStore:
    return DynamoStore(client, lambda: 0.0, 60)


def apply(
    client: Any, target: Target, *steps: tuple[dict[Any, Any], str | None]
) -> list[tuple[WriteOutcome, int]]:
    made = [FoldStep(Effect(KEY, members, target=target), position, 1) for members, position in steps]
    return [store(client).write(write) for write in writes(made)]


def held(dynamo: Dynamo) -> dict[str, Any]:
    (item,) = dynamo.items["t"].values()
    return item


@pytest.mark.parametrize(("target", "member"), [(SET, string), (MAP, entry)])
def test_what_another_writer_did_meanwhile_is_kept(target: Target, member: Callable[..., Any]) -> None:
    dynamo = Dynamo(t=("id",))
    busy = Busy(dynamo, 1, lambda _: apply(dynamo, target, (member("other", 1), at(5))) and None)
    ((outcome, _),) = apply(busy, target, (member("a", 1), at(10)), (member("b", 2), at(20)))
    assert outcome is WriteOutcome.APPLIED
    inside = next(iter(held(dynamo)["s" if target is SET else "m"].values()))
    assert sorted(inside) == (["a:1", "b:2", "other:1"] if target is SET else ["a", "b", "other"])


def test_only_what_is_newer_than_the_other_writers_change_is_merged() -> None:
    dynamo = Dynamo(t=("id",))
    busy = Busy(dynamo, 1, lambda _: apply(dynamo, SET, (string("a", "9"), at(15))) and None)
    ((outcome, requests),) = apply(busy, SET, (string("a", "1"), at(10)), (string("b", "2"), at(20)))
    assert (outcome, requests) == (WriteOutcome.APPLIED, 4)
    assert held(dynamo)["s"] == {"SS": ["a:9", "b:2"]} and held(dynamo)["_pos"] == {"S": at(20)}
    assert apply(dynamo, SET, (string("a", "1"), at(10))) == [(WriteOutcome.REPEAT, 1)]


def test_an_item_that_never_rests_is_tried_again_later() -> None:
    dynamo = Dynamo(t=("id",))
    busy = Busy(dynamo, 99, lambda left: apply(dynamo, SET, (string("z", "1"), at(1000 - left))) and None)
    with pytest.raises(Unapplied, match="changed 8 times"):
        apply(busy, SET, (string("a", "1"), at(5000)))


def test_the_last_string_leaves_a_tombstone_in_one_request() -> None:
    dynamo = Dynamo(t=("id",))
    apply(dynamo, SET, (string("a", "1"), at(10)))
    assert apply(dynamo, SET, (string("a", None), at(20))) == [(WriteOutcome.APPLIED, 2)]
    assert held(dynamo) == {"id": {"S": "x"}, "_pos": {"S": at(20)}, "_ttl": {"N": "60"}}
    apply(dynamo, SET, (string("b", "1"), at(30)))
    assert held(dynamo) == {"id": {"S": "x"}, "_pos": {"S": at(30)}, "s": {"SS": ["b:1"]}}


def test_a_tombstone_of_a_map_keeps_nothing_and_its_map_comes_back() -> None:
    dynamo = Dynamo(t=("id",))
    assert apply(dynamo, MAP, (entry("a", 1), at(10))) == [(WriteOutcome.APPLIED, 2)]
    assert apply(dynamo, MAP, (entry("b", 1), at(15))) == [(WriteOutcome.APPLIED, 1)]
    assert apply(dynamo, MAP, (entry("a", None) | entry("b", None), at(20))) == [(WriteOutcome.APPLIED, 2)]
    assert held(dynamo) == {"id": {"S": "x"}, "_pos": {"S": at(20)}, "_ttl": {"N": "60"}}
    apply(dynamo, MAP, (entry("b", 2), at(30)))
    assert held(dynamo) == {"id": {"S": "x"}, "_pos": {"S": at(30)}, "m": {"M": {"b": {"N": "2"}}}}


def test_an_empty_map_goes_and_the_rest_of_the_item_stays() -> None:
    dynamo = Dynamo(t=("id",))
    apply(dynamo, MAP, (entry("a", 1) | {"status": {"S": "open"}}, at(10)))
    apply(dynamo, MAP, (entry("a", None) | {"status": {"S": "shut"}}, at(20)))
    assert held(dynamo) == {"id": {"S": "x"}, "_pos": {"S": at(20)}, "status": {"S": "shut"}}


def test_what_the_application_added_is_kept_when_merging() -> None:
    dynamo = Dynamo(t=("id",))
    dynamo.put_item(TableName="t", Item={"id": {"S": "x"}, "own": {"L": []}})
    apply(dynamo, SET, (string("a", "1"), at(10)))
    assert held(dynamo)["own"] == {"L": []}


def merger(client: Any, start: str, seen: str, target: Target = MAP) -> Merger:
    return Merger(Writer(client, "t", lambda: None, RetryPolicy(sleep=lambda _: None)), target, start, seen)


def test_two_loaders_threads_make_one_map() -> None:
    dynamo = Dynamo(t=("id",))
    busy = Busy(dynamo, 1, lambda _: merger(dynamo, at(1), at(7)).merge(KEY, entry("b", 2)) and None)
    assert merger(busy, at(1), at(5)).merge(KEY, entry("a", 1)) is None
    assert held(dynamo) == {
        "id": {"S": "x"},
        "_pos": {"S": at(1)},
        "m": {"M": {"a": {"N": "1"}, "b": {"N": "2"}}},
    }


def test_a_load_adds_strings_and_keeps_a_lower_position_and_revives() -> None:
    dynamo = Dynamo(t=("id",))
    apply(dynamo, SET, (string("a", "1"), at(10)), (string("a", None), at(20)))
    merger(dynamo, at(50), at(60), SET).merge(KEY, string("b", "1") | string("c", "1"))
    merger(dynamo, at(50), at(70), SET).merge(KEY, string("d", "1"))
    assert held(dynamo) == {"id": {"S": "x"}, "_pos": {"S": at(20)}, "s": {"SS": ["b:1", "c:1", "d:1"]}}


def test_a_load_of_more_members_than_one_update_takes() -> None:
    dynamo = Dynamo(t=("id",))
    merger(dynamo, at(1), at(5)).merge(KEY, {MapEntry("m", f"n{n}"): {"N": str(n)} for n in range(700)})
    assert len(held(dynamo)["m"]["M"]) == 700


def test_a_load_does_not_merge_older_rows_into_a_newer_item() -> None:
    dynamo = Dynamo(t=("id",))
    apply(dynamo, MAP, (entry("a", 1), at(10)))
    with pytest.raises(Refused, match="newer than the rows"):
        merger(dynamo, at(1), at(5)).merge(KEY, entry("b", 1))


def test_what_dynamodb_never_takes_is_said_once() -> None:
    dynamo = Dynamo(t=("id",))
    reason = merger(dynamo, at(1), at(5)).merge(KEY, {"a": {"S": "x" * 500_000}})
    assert reason and "larger than 400 KB" in reason
