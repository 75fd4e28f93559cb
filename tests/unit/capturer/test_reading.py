import pymysql
import pytest
from botocore.exceptions import ClientError

from capturer.reading import LONGEST_PAUSE, explained, reconnect_pause
from capturer.source.binlog import ConnectionLost, ReplicationClient


def test_the_pauses_before_connecting_again_grow_to_the_longest_and_never_fail() -> None:
    pauses = [reconnect_pause(failures, share=1.0) for failures in range(5000)]
    assert pauses[:4] == [0.25, 0.5, 1.0, 2.0] and set(pauses[6:]) == {LONGEST_PAUSE}
    assert reconnect_pause(5000, share=0.0) == LONGEST_PAUSE / 2


SOURCE = ReplicationClient("127.0.0.1", 1, "u", "p", 1)


@pytest.mark.parametrize("fault", [TypeError("x"), ValueError("x"), RuntimeError("x")])
def test_a_fault_of_ours_is_not_a_server_that_cannot_be_reached(fault: Exception) -> None:
    assert explained(SOURCE, fault) is fault


@pytest.mark.parametrize(
    "error",
    [
        pymysql.err.OperationalError(2013, "x"),
        ConnectionResetError(),
        ClientError({"Error": {"Code": "ThrottlingException", "Message": ""}}, "GetItem"),
    ],
)
def test_what_passes_by_itself_is_tried_again(error: Exception) -> None:
    assert isinstance(explained(SOURCE, error), ConnectionLost)
