import json
from base64 import b64decode
from typing import Any

import pytest

from rowferry.change import Record, decode_record
from tests.scenarios.make_events import RECORDED, event
from tests.support.paths import ROOT


def decoded(events: dict[str, Any]) -> list[Record]:
    """The records, since another zlib may deflate the same to other bytes."""
    return [decode_record(b64decode(record["kinesis"]["data"])) for record in events["Records"]]


def bare(events: dict[str, Any]) -> list[Any]:
    return [{**record, "kinesis": {**record["kinesis"], "data": ""}} for record in events["Records"]]


@pytest.mark.parametrize("file", RECORDED)
def test_the_recorded_batches_are_those_of_the_cases(file: str) -> None:
    recorded, made = json.loads((ROOT / "events" / f"{file}.json").read_text()), event(RECORDED[file])
    assert decoded(recorded) == decoded(made), "run `python -m tests.scenarios.make_events`"
    assert bare(recorded) == bare(made)


def test_every_kind_of_record_is_recorded() -> None:
    recorded = {file: event(case) for file, case in RECORDED.items()}
    assert len({record.lane for record in decoded(recorded["batch-several-lanes"])}) > 3
    assert any(b64decode(r["kinesis"]["data"])[:1] != b"{" for r in recorded["batch-compressed"]["Records"])
    assert any(record.marker for record in decoded(recorded["batch-marker"]))


def test_no_recorded_batch_is_left_over() -> None:
    assert {path.stem for path in (ROOT / "events").glob("batch-*.json")} == set(RECORDED)
