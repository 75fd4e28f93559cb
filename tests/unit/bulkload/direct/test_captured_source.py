"""With which epoch a connection's watermarks are paired."""

import pickle
from typing import Any

import pytest

from bulkload.direct.captured_source import CapturedSource, CheckpointOf
from rowferry.checkpoint import Checkpoint
from rowferry.errors import NotCaptured, Refused
from tests.support.dynamo import Dynamo
from tests.support.epochs import Asked, capture, captured, connected, control


class Closing:
    """A connection that knows whether it was closed."""

    def __init__(self, inner: Asked) -> None:
        self.inner, self.closed = inner, False

    def cursor(self) -> Asked:
        return self.inner

    def close(self) -> None:
        self.closed = True


def test_each_connection_has_the_epoch_of_the_server_that_it_leads_to() -> None:
    """A to B and back to A: the same server, another epoch."""
    steps = [("a", capture("a")), ("b", capture("a", "b")), ("a", capture("a", "b", "a"))]
    for identity, found in steps:
        opened = CapturedSource(lambda to=identity: connected(to), lambda found=found: found)()
        assert (opened.server.identity, opened.epoch) == (identity, found.epoch)


def test_the_checkpoint_is_read_after_the_server_is_known() -> None:
    """In the other order a server could be paired with the epoch of the one before it."""
    connection = connected("b")

    def checkpoint() -> Checkpoint:
        assert any(query.startswith("SHOW GLOBAL VARIABLES") for query in connection.queries)
        assert not any(query.startswith("SHOW BINARY LOG STATUS") for query in connection.queries)
        return capture("a", "b")

    assert CapturedSource(lambda: connection, checkpoint)().epoch == 2


@pytest.mark.parametrize(
    ("identity", "found"),
    [
        ("b", capture("a")),
        ("a", capture("a", "b")),
        ("a", capture("a", files=("other.000007",))),
        ("a", Checkpoint()),
    ],
    ids=["capture has not followed", "the former server", "renamed", "no capture"],
)
def test_a_connection_to_what_is_not_captured_is_closed(identity: str, found: Checkpoint) -> None:
    connection = Closing(connected(identity))
    with pytest.raises(Refused) as refused:
        CapturedSource(lambda: connection, lambda: found)()
    assert connection.closed
    assert isinstance(refused.value, NotCaptured) == bool(found)


def client() -> Any:
    made = Dynamo(control=("pk",))
    made.items["control"] = control(captured("a", "b")).client.items["control"]
    return made


def test_the_checkpoint_can_be_read_in_another_process() -> None:
    read = pickle.loads(pickle.dumps(CheckpointOf(client, "control")))
    assert read().epoch == captured("a", "b")["epoch"]
