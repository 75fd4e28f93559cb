"""A load and an export whose source fails over in the middle: a real primary and its replica."""

import os
import re
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bulkload.connection import connect
from bulkload.direct import chunks, reader
from bulkload.direct.captured_source import CheckpointOf
from bulkload.dynamodb.batch_writer import RetryPolicy
from bulkload.exports import open_export, shown_by_parts, watermark_of
from bulkload.exports.exporter import Exporter, ExportSettings
from bulkload.exports.part_maker import PartJob, PartMaker
from bulkload.exports.plan import Plan
from ferry import cli
from ferry.commands.export import open_below
from ferry.consumer_switch import require_load
from ferry.verify import one_server
from ferry.verify.oracle import source_text
from lab.cloud import Cloud
from rowferry.checkpoint import Checkpoint
from rowferry.control_table import CHECKPOINT, load_key
from rowferry.errors import Refused
from rowferry.history import History
from rowferry.mapping import Mapping
from rowferry.mysql import snapshot
from rowferry.mysql.executed import executed
from rowferry.mysql.server import identify
from rowferry.position import BinlogOffset, Position
from tests.support.databases import empty
from tests.support.failover.replicas import Replicas, history, replicas, sql
from tests.support.mappings import PURCHASE
from tests.support.move_bed import Bed, EmulatedClient, make_bed, without_positions

pytestmark = pytest.mark.integration

ROWS, CHUNK = 300, 20


@pytest.fixture(scope="module", params=["mysql", "mariadb"])
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replicas]:
    with replicas(tmp_path_factory.mktemp("servers"), request.param) as made:
        yield made


class Source:
    """The pair's endpoint as a bed's source; `follow` is what a capturer does after a failover."""

    def __init__(self, pair: Replicas, cloud: Cloud) -> None:
        self.pair = pair
        empty(pair.endpoint)
        self.bed: Bed = make_bed(pair.endpoint, cloud)
        self.epochs: list[dict[str, Any]] = []
        self.before = history(pair.primary)
        self.bed.fill([(f"c{n // 50:02}", f"o{n // 10:03}", f"p{n % 10}", n) for n in range(ROWS)])
        self.pair.catch_up()
        # The new server's positions are above all of the old one's.
        sql(pair.replica, *["FLUSH BINARY LOGS"] * 3)
        self.follow()

    def follow(self) -> None:
        """The checkpoint at the present end of the server to which the endpoint leads, in an epoch of it."""
        with self.pair.endpoint.connect() as connection:
            server = identify(connection)
            end = snapshot.current_offset(connection, server)
        if self.epochs:
            self.epochs[-1]["end"] = str(self.ended)
        self.epochs.append(
            {"epoch": len(self.epochs) + 1, "server": server.identity, "file": end.file,
             "offset": end.offset, "end": ""}
        )  # fmt: skip
        self.bed.capture(
            epoch=len(self.epochs), first_epoch=1, epochs=self.epochs, history=history(self.pair.primary)
        )

    def switch_over(self) -> None:
        with self.pair.endpoint.connect() as connection:
            self.ended = snapshot.current_offset(connection, identify(connection))
        self.pair.switch_over()

    def promote(self) -> None:
        """As a failover that loses what the replica has not received."""
        with self.pair.endpoint.connect() as connection:
            self.ended = snapshot.current_offset(connection, identify(connection))
        self.pair.promote()

    def loader(self, at: dict[int, Callable[[], None]], **retry: Any) -> Any:
        """Loads with one reader; calls `at` before its batches of items with these numbers, from 1."""
        client = Gate(EmulatedClient(self.bed.cloud.endpoint)(), at)
        loader = self.bed.loader(PURCHASE, client=client, workers=1, requests=1, chunk_rows=CHUNK)
        loader.retry = RetryPolicy(**retry)
        return loader

    def watermarks(self) -> dict[int, set[Position]]:
        """Those of the items, by epoch."""
        found: dict[int, set[Position]] = {}
        for item in self.bed.items().values():
            position = Position.parse(item["_pos"]["S"])
            found.setdefault(position.epoch, set()).add(position)
        return found

    def check(self, epochs: set[int]) -> None:
        """Every row is in its item, and every watermark is of the binlog that its epoch stands for."""
        assert without_positions(self.bed.items()) == self.bed.expected()
        found = self.watermarks()
        assert found.keys() == epochs
        for epoch, positions in found.items():
            fields = self.epochs[epoch - 1]
            start = BinlogOffset(fields["file"], fields["offset"]).position(epoch)
            assert start <= min(positions), fields
            if fields["end"]:
                assert max(positions) <= BinlogOffset.parse(fields["end"]).position(epoch)


class Gate:
    """A DynamoDB client that does something before some of the load's batches."""

    def __init__(self, client: Any, at: dict[int, Callable[[], None]]) -> None:
        self._client, self._at, self._count = client, at, 0
        self._lock = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def batch_write_item(self, **arguments: Any) -> Any:
        with self._lock:
            self._count += "purchase" in arguments["RequestItems"]
            if do := self._at.pop(self._count, None):
                do()
        return self._client.batch_write_item(**arguments)


@pytest.fixture
def source(pair: Replicas, fresh_cloud: Cloud) -> Source:
    return Source(pair, fresh_cloud)


def test_a_load_goes_on_at_the_new_primary(source: Source) -> None:
    def fail_over() -> None:
        source.switch_over()
        source.bed.sql("INSERT INTO purchase VALUES ('c99', 'o999', 'p0', 1)")
        source.follow()

    (outcome,) = source.loader({3: fail_over}).run(False)
    assert (outcome.state, outcome.result.rows) == ("done", ROWS + 1)
    source.check({1, 2})
    require_load(source.bed.control, ["test.purchase"])


def test_a_plan_is_made_again_at_the_new_primary(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    plan, failures = chunks.plan, [source.switch_over]

    def failing_over(*arguments: Any) -> Iterator[chunks.Chunk]:
        for number, chunk in enumerate(plan(*arguments)):
            if number == 2 and failures:
                failures.pop()()
                source.follow()
            yield chunk

    monkeypatch.setattr(chunks, "plan", failing_over)
    (outcome,) = source.loader({}).run(False)
    assert (outcome.state, outcome.result.rows) == ("done", ROWS) and not failures
    source.check({2})
    assert source.bed.control.get(load_key("test.purchase"))["epoch"] == 2


def test_exports_of_before_the_failover_are_loaded_unless_they_show_what_is_lost(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    bed, (table,) = source.bed, Mapping.parse(PURCHASE).tables
    opener = partial(open_below, str(tmp_path / "export"), table.source)
    exporter(bed).run(table, opener)
    source.switch_over()
    source.follow()
    for name in [name for name in os.environ if name.startswith(("AWS_", "ROWFERRY_"))]:
        monkeypatch.delenv(name)
    for name, value in bed.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE")
    load = ["load", "--from", str(tmp_path / "export"), "--work", str(tmp_path / "work")]
    # As if the last transactions of before had not come to the new primary.
    captured, lossy = ({"history": one} for one in (history(source.pair.primary), source.before))
    bed.control.update(CHECKPOINT, set=lossy)
    assert cli.main(load) == 2
    assert "the export for purchase shows transactions of before the failover" in capfd.readouterr()[1]
    assert not bed.items()
    bed.control.update(CHECKPOINT, set=captured)
    assert cli.main(load) == 0
    source.check({1})
    require_load(bed.control, ["test.purchase"])
    bed.control.update(CHECKPOINT, set=lossy)
    with pytest.raises(Refused, match="are not captured"):
        require_load(bed.control, ["test.purchase"])


def test_a_load_waits_until_capture_has_followed(source: Source) -> None:
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 5:
            source.follow()

    (outcome,) = source.loader({3: source.switch_over}, sleep=sleep).run(False)
    assert (outcome.state, outcome.result.rows) == ("done", ROWS)
    source.check({1, 2})
    waiting = [line for line in source.bed.said if line.startswith("waiting: ")]
    assert any("capture has not followed the failover yet" in line for line in waiting), source.bed.said


def test_where_capture_does_not_follow_the_load_ends_and_resumes(source: Source) -> None:
    never = {"tries": 2, "sleep": lambda _: None}
    with pytest.raises(Refused, match=r"has not followed.*run `ferry load` again: it resumes"):
        source.loader({3: source.switch_over}, **never).run(False)
    with pytest.raises(Refused, match="has not followed the failover yet: wait until `ferry status` shows"):
        source.loader({}).run(False)
    assert source.watermarks().keys() == {1}
    source.follow()
    (outcome,) = source.loader({}).run(False)
    assert (outcome.state, outcome.result.rows) == ("done", ROWS)
    source.check({1, 2})
    assert not any("capture was reset" in line for line in source.bed.said)


def test_a_load_goes_on_through_a_failover_and_back(source: Source) -> None:
    def fail_over() -> None:
        source.switch_over()
        source.follow()

    (outcome,) = source.loader({3: fail_over, 7: fail_over}).run(False)
    assert (outcome.state, outcome.result.rows) == ("done", ROWS)
    source.check({1, 2, 3})
    assert source.epochs[0]["server"] == source.epochs[2]["server"]


def test_a_chunk_whose_server_is_killed_is_read_again_at_the_new_one(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was read of it before is dropped, with its watermark."""
    whole, read = reader.rows_of, iter(range(10**6))

    def rows_of(*arguments: Any) -> Iterator[list[Any]]:
        for number, some in enumerate(whole(*arguments)):
            yield some
            if number == 0 and next(read) == 4:
                with source.pair.endpoint.connect() as connection:
                    source.ended = snapshot.current_offset(connection, identify(connection))
                source.pair.fail_over()
                source.follow()

    monkeypatch.setattr(reader, "ROWS_AT_ONCE", 7)
    monkeypatch.setattr(reader, "rows_of", rows_of)
    source.pair.catch_up()
    (outcome,) = source.loader({}).run(False)
    assert (outcome.state, outcome.result.rows) == ("done", ROWS)
    source.check({1, 2})


def exporter(bed: Bed) -> Exporter:
    read = CheckpointOf(EmulatedClient(bed.cloud.endpoint), bed.control.name)
    asked = ExportSettings(workers=1, chunk_rows=CHUNK)
    return Exporter(partial(connect, bed.address), read, read(), asked, bed.said.append, lambda _: None)


def test_an_export_goes_on_at_the_new_primary(source: Source, tmp_path: Path) -> None:
    """A process that makes parts, and one that resumes an export which was killed."""
    bed, (table,) = source.bed, Mapping.parse(PURCHASE).tables
    opener = partial(open_below, str(tmp_path), table.source)
    begun = exporter(bed)
    begun.run(table, opener)
    place = opener()
    made = Plan.parse(place.read("plan.json"), "plan")
    for name in ("manifest.json", *map(made.part_name, range(2, len(made.chunks)))):
        place.remove(name)
    maker = PartMaker(PartJob(begun.connect, begun.checkpoint, opener, table, made))
    assert Position.parse(str(maker.make(2).watermark)).epoch == 1
    source.switch_over()
    source.follow()
    assert Position.parse(str(maker.make(3).watermark)).epoch == 2
    assert exporter(bed).run(table, opener).manifest.rows == ROWS
    export, now = open_export(tmp_path, table), Checkpoint.read(bed.control)
    marks = [watermark_of(export, part, now, None) for part in export.parts]
    assert [mark.epoch for mark in marks] == [1] * 3 + [2] * (len(made.chunks) - 3)
    assert [part.server for part in export.parts] == [now.server_of(mark.epoch) for mark in marks]
    shown = shown_by_parts([export], now)
    assert shown.keys() == {1, 2} and shown[1].within(History.parse(now.history))
    assert exporter(bed).run(table, opener).nothing_to_do
    source.epochs[:1] = []
    bed.capture(epoch=2, first_epoch=2, epochs=source.epochs)
    with pytest.raises(Refused, match="was begun before capture was reset"):
        exporter(bed).run(table, opener)


def test_a_verify_reads_one_server_only(source: Source) -> None:
    open_ = partial(source_text.connect, source.bed.address)
    with source.pair.endpoint.connect() as connection:
        identity = identify(connection).identity
    one_server.connect(open_, identity).close()
    source.pair.switch_over()
    one_server.connect(open_, "").close()
    with pytest.raises(Refused, match=re.escape(f"this verify reads server {identity}: nothing")):
        one_server.connect(open_, identity)


@pytest.mark.parametrize("flavor", ["mysql", "mariadb"])
def test_rows_that_only_the_old_primary_had_are_found_before_the_switch_goes_on(
    flavor: str, tmp_path: Path, fresh_cloud: Cloud
) -> None:
    """The load has read them, the capturer has not, and the new primary never got them."""
    with replicas(tmp_path, flavor) as pair:
        source = Source(pair, fresh_cloud)

        def write() -> None:
            pair.stop_receiving()
            source.bed.sql("INSERT INTO purchase VALUES ('c99', 'ghost', 'p0', 1)")

        def fail_over() -> None:
            source.promote()
            source.bed.sql("INSERT INTO purchase VALUES ('c99', 'o999', 'p0', 1)")
            source.follow()

        # The last chunk has no upper bound: it shows the ghost.
        (outcome,) = source.loader({2: write, 10**9: fail_over}).run(False)
        assert outcome.state == "done" and ("c99", "ghost") in source.bed.items()
        require_load(source.bed.control, ["test.purchase"])
        lost = History.parse(history(pair.primary))
        fail_over()
        lost = lost.minus(History.parse(history(pair.primary)))
        asked = partial(_executed, source)
        with pytest.raises(Refused, match=rf"has lost: {lost.listing()}: empty the target"):
            require_load(source.bed.control, ["test.purchase"], asked)
        with pytest.raises(Refused, match=rf"are not captured: {lost.listing()}: wait until"):
            require_load(source.bed.control, ["test.purchase"])
        source.bed.dynamodb.delete_table(TableName="purchase")
        source.bed.table("purchase", customerid="S", orderid="S")
        loader = source.bed.loader(PURCHASE, workers=1, again=True)
        (outcome,) = loader.run(False)
        assert outcome.state == "done"
        require_load(source.bed.control, ["test.purchase"], asked)
        source.check({2})


def _executed(source: Source, checkpoint: Checkpoint) -> History:
    with source.pair.endpoint.connect() as connection:
        server = identify(connection)
        checkpoint.position_at(connection, server)
        return executed(connection, server)
