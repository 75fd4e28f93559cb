from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError

from bulkload.dynamodb.batch_writer import Item, RetryPolicy, Writer, batches, request_config
from bulkload.lock import LONGEST_REQUEST, SAFE, TTL
from rowferry.errors import LeaseLost, Unapplied

type Answer = Callable[[list[dict[str, Any]]], list[dict[str, Any]]]


def error(code: str, message: str = "no") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "BatchWriteItem")


class Table:
    """Answers as the functions in `answers` say, one a request, then accepts everything."""

    def __init__(self, *answers: Answer, refuses: str = "", says: str = "no") -> None:
        self.answers = list(answers)
        self.says = says
        self.refuses = refuses
        self.held: dict[str, Item] = {}
        self.sizes: list[int] = []

    def batch_write_item(self, **arguments: Any) -> Any:
        ((name, requests),) = arguments["RequestItems"].items()
        self.sizes.append(len(requests))
        left = self.answers.pop(0)(requests) if self.answers else []
        if any(request["PutRequest"]["Item"]["k"]["S"] == self.refuses for request in requests):
            raise error("ValidationException", self.says)
        for request in requests:
            if request not in left:
                item = request["PutRequest"]["Item"]
                self.held[item["k"]["S"]] = item
        return {"UnprocessedItems": {name: left} if left else {}}


def raises(problem: Exception) -> Answer:
    def answer(requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
        raise problem

    return answer


def items(count: int) -> list[Item]:
    return [{"k": {"S": f"k{n}"}} for n in range(count)]


def writer(table: Table, slept: list[float] | None = None) -> Writer:
    pauses = slept if slept is not None else []
    return Writer(table, "t", lambda: None, RetryPolicy(tries=3, sleep=pauses.append, random=lambda: 1.0))


def test_unprocessed_items_are_sent_again_until_all_are_accepted() -> None:
    slept: list[float] = []
    table = Table(lambda r: r[5:], lambda r: r[:1], lambda r: r, lambda r: [])
    assert writer(table, slept).write(items(10)) == []
    assert len(table.held) == 10
    assert table.sizes == [10, 5, 1, 1]
    assert slept == [0.05, 0.05, 0.1]  # progress begins the pauses anew


@pytest.mark.parametrize(
    "problem",
    [
        error("ProvisionedThroughputExceededException"),
        error("ThrottlingException"),
        error("InternalServerError"),
        ConnectTimeoutError(endpoint_url="http://127.0.0.1"),
    ],
)
def test_transient_errors_are_waited_out(problem: Exception) -> None:
    table = Table(raises(problem), raises(problem))
    assert writer(table).write(items(3)) == []
    assert len(table.held) == 3


def test_without_any_progress_it_gives_up() -> None:
    with pytest.raises(Unapplied, match="run the load again: it resumes"):
        writer(Table(*[lambda r: r] * 4)).write(items(2))


def test_a_refusal_is_reported_without_the_services_words() -> None:
    for message, told in (("Item size has exceeded", "400 KB"), ("key secret", "one of its values")):
        table = Table(refuses="k1", says=message)
        ((_, reason),) = writer(table).write(items(2))
        assert told in reason and "secret" not in reason


def test_a_request_ends_before_another_loader_may_begin() -> None:
    config = request_config(16, LONGEST_REQUEST)
    assert config["connect_timeout"] + config["read_timeout"] <= TTL - TTL * SAFE
    assert config["retries"]["total_max_attempts"] == 1


def test_one_refused_item_does_not_take_the_others_along() -> None:
    table = Table(refuses="k1")
    assert [item["k"]["S"] for item, _ in writer(table).write(items(4))] == ["k1"]
    assert table.held.keys() == {"k0", "k2", "k3"}


def test_an_error_that_is_neither_transient_nor_the_items_comes_through() -> None:
    with pytest.raises(ClientError, match="AccessDenied"):
        writer(Table(raises(error("AccessDeniedException")))).write(items(1))


def test_the_guard_is_asked_before_each_request() -> None:
    def guard() -> None:
        if table.sizes:
            raise LeaseLost("gone", "run again")

    table = Table(lambda r: r)
    with pytest.raises(LeaseLost):
        Writer(table, "t", guard, RetryPolicy(sleep=lambda _: None)).write(items(1))
    assert table.sizes == [1]


def test_a_request_has_25_items_at_most() -> None:
    assert [len(batch) for batch in batches((item, 1) for item in items(60))] == [25, 25, 10]
