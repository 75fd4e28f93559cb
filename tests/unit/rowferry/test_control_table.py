from typing import Any

import pytest
from botocore import exceptions
from botocore.exceptions import ClientError

from rowferry.control_table import ConditionFailed, ControlTable, is_condition_failed, unwrap, wrap


@pytest.mark.parametrize(
    "value",
    [None, True, False, 0, -7, 2**63, "", "text", {1, 2}, [], [1, "a", None], {}, {"a": {"b": [True]}}],
)
def test_a_plain_value_survives(value: Any) -> None:
    found = unwrap(wrap(value))
    assert found == value and type(found) is type(value)


class Noting:
    """A client that notes the arguments and answers with pages."""

    def __init__(self, *pages: dict[str, Any]) -> None:
        self.calls: list[dict[str, Any]] = []
        self.pages = list(pages)

    def _note(self, **arguments: Any) -> dict[str, Any]:
        self.calls.append(dict(arguments))
        return self.pages.pop(0)

    get_item = put_item = update_item = scan = _note


def test_an_update_sets_adds_and_asks() -> None:
    client = Noting({"Attributes": {"n": {"N": "3"}}})
    table = ControlTable(client, "control")
    only_if = {"token": 4, "gone": None}
    assert table.update("lease", set={"owner": "a"}, add={"n": 1, "lanes": {7}}, only_if=only_if) == {"n": 3}
    (call,) = client.calls
    assert call["UpdateExpression"] == "SET #s0=:s0 ADD #a0 :a0,#a1 :a1"
    assert call["ConditionExpression"] == "#c0=:c0 AND attribute_not_exists(#n0)"
    assert call["ExpressionAttributeNames"] == {
        "#s0": "owner",
        "#a0": "n",
        "#a1": "lanes",
        "#c0": "token",
        "#n0": "gone",
    }
    assert call["ExpressionAttributeValues"][":a1"] == {"NS": ["7"]}


def test_an_item_that_is_not_there_is_empty() -> None:
    client = Noting({})
    assert ControlTable(client, "control").get("lease") == {}
    assert client.calls[0]["ConsistentRead"] is True


def test_all_pages_of_a_scan_are_read() -> None:
    one, other = ({"pk": {"S": name}} for name in "ab")
    client = Noting(
        {"Items": [one], "LastEvaluatedKey": {"pk": {"S": "a"}}}, {"Items": []}, {"Items": [other]}
    )
    client.pages[1]["LastEvaluatedKey"] = {"pk": {"S": "x"}}
    assert [item["pk"] for item in ControlTable(client, "control").items("chunk#")] == ["a", "b"]
    assert client.calls[2]["ExclusiveStartKey"] == {"pk": {"S": "x"}}


class Refusing:
    """A client whose every update fails with that code."""

    def __init__(self, code: str) -> None:
        self.error = ClientError({"Error": {"Code": code, "Message": ""}}, "UpdateItem")

    def update_item(self, **_: Any) -> Any:
        raise self.error


def test_a_condition_that_does_not_hold_is_told_from_a_request_that_failed() -> None:
    table = ControlTable(Refusing("ConditionalCheckFailedException"), "control")
    with pytest.raises(ConditionFailed, match="lease"):
        table.update("lease", set={"owner": "a"}, only_if={"token": 4})
    with pytest.raises(ClientError, match="ProvisionedThroughputExceeded"):
        ControlTable(Refusing("ProvisionedThroughputExceededException"), "control").update(
            "lease", set={"n": 1}
        )


def test_an_error_without_an_answer_is_no_failed_condition() -> None:
    assert not is_condition_failed(OSError("reset"))
    assert is_condition_failed(Refusing("ConditionalCheckFailedException").error)


@pytest.mark.parametrize(
    "name",
    ["ConnectionClosedError", "HTTPClientError", "ReadTimeoutError", "ResponseStreamingError"],
)
def test_an_error_of_the_connection_comes_through_as_it_is(name: str) -> None:
    error = getattr(exceptions, name)(endpoint_url="http://x", error="silent", proxy_url="", request=None)

    class Silent:
        def update_item(self, **_: Any) -> None:
            raise error

    with pytest.raises(type(error)) as raised:
        ControlTable(Silent(), "control").update("lease", set={"owner": "a"}, only_if={"token": 1})
    assert raised.value is error
