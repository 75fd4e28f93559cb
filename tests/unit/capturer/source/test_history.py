"""In which file reading begins on a server that has everything captured."""

from typing import Any

import pytest

from capturer.source import history
from capturer.source.continuity import SourceState
from capturer.source.place import Past, Place
from rowferry.errors import CaptureStopped
from rowferry.history import NOTHING, History
from rowferry.position import BinlogOffset

END = BinlogOffset("b.000002", 90)
FILES = {"b.000001": 900, "b.000002": 90}


def first_file(
    monkeypatch: pytest.MonkeyPatch, before: dict[str, History | None], captured: str, *, prepared: str = ""
) -> str:
    monkeypatch.setattr(history, "before_file", lambda _, file: before[file])
    boundary, restart = BinlogOffset("a.000009", 50), BinlogOffset("a.000009", 40)
    past = Past("a", History.parse(captured), History.parse(prepared or captured), 0, "0-1-9", 1)
    place = Place.of(1, boundary, restart if prepared else None, past)
    state = SourceState("b", FILES, END, NOTHING, before["b.000001"] or NOTHING)
    connection: Any = None
    return history._first_file(connection, place, state)


def test_it_is_the_newest_one_before_the_newest_captured_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    before: dict[str, History | None] = {"b.000001": NOTHING, "b.000002": History.parse("0-1-8")}
    assert first_file(monkeypatch, before, "0-1-9") == "b.000002"
    before["b.000002"] = History.parse("0-1-9")
    assert first_file(monkeypatch, before, "0-1-9") == "b.000001", "its commit time has to be seen"
    before["b.000002"] = None
    assert first_file(monkeypatch, before, "0-1-9") == "b.000001", "nothing says what is before it"


def test_what_is_prepared_is_read_again_or_its_loss_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    # Server 7 is a former one of the domain, which the history of what was captured does not list.
    gone = History.parse("0-7-3,0-1-9")
    before: dict[str, History | None] = {"b.000001": gone, "b.000002": gone}
    assert first_file(monkeypatch, before, "0-1-9", prepared="0-1-9") == "b.000001"
    before["b.000001"] = History.parse("0-1-6")
    with pytest.raises(CaptureStopped, match="XA transactions"):
        first_file(monkeypatch, before, "0-1-9", prepared="0-1-5")
