"""When a marker is sent."""

from types import SimpleNamespace
from typing import Any

import pytest

from capturer.keeping import Keeping
from capturer.parts import Vitals
from capturer.source.place import Place
from rowferry.change import Marker
from rowferry.position import BinlogOffset, Position


class Progress:
    """A request for a marker."""

    def __init__(self, position: Position) -> None:
        self.wanted, self.sent = Marker("m", str(position)), False

    def wanted_marker(self) -> Marker:
        return self.wanted

    def marker_sent(self, marker: Marker) -> None:
        assert marker == self.wanted
        self.sent = True

    def save(self, *_: Any) -> None: ...


def sent(wanted: Position, read: Place) -> bool:
    """Whether the capturer that has read so far sends the marker that is wanted."""
    reach = SimpleNamespace(read=read, reached=read, sent=None)
    outbox: Any = SimpleNamespace(reached=lambda: reach, mark=lambda *_: None, marked=lambda _: True)
    lease = SimpleNamespace(period=5.0, renew=lambda: None)
    metrics = SimpleNamespace(running=lambda *_: None)
    parts: Any = SimpleNamespace(clock=lambda: 0.0, now_ms=lambda: 0, lease=lease, metrics=metrics)
    progress: Any = Progress(wanted)
    Keeping(parts, progress, outbox, Vitals()).step()
    return bool(progress.sent)


READ = Place.of(2, BinlogOffset("b.000003", 500))


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Position(2, 3, 500), True),
        (Position(2, 2, 900), True),
        (Position(2, 3, 501), False),
        # After a failover every position of the new epoch is greater, also before what the marker has to
        # follow was read from the new server.
        (Position(1, 9, 900), False),
        (Position(3, 1, 4), False),
    ],
)
def test_a_marker_is_sent_when_all_before_it_was_read_in_its_epoch(wanted: Position, expected: bool) -> None:
    assert sent(wanted, READ) == expected
