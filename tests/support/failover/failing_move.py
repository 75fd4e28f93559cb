"""A whole move whose source fails over again and again, under traffic; and what came onto the stream."""

import json
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from lab.cloud import Cloud, tail
from lab.process import spawn
from lab.rehearsal import ROOT, Rehearsal, wait_for
from rowferry.change import decode_record
from rowferry.control_table import APPLIED, CHECKPOINT, MARKER
from tests.support.failover.ledgers import PUT, TABLES, Key, Ledger, LedgerWriter, Sign, Transaction, sign
from tests.support.failover.replicas import Replicas, sql

BASE = "base"
"""The customer of the first rows; the writers have others."""
RATE = 8.0  # transactions a second of each writer
LARGE = 10_000_000
"""Added to every value by each large transaction, so that no value is written twice."""
PORTION = 100_000
"""Bytes of a large transaction that the capturer has got when the primary fails: it has sent a part."""

type Plan = tuple[tuple[str, str], ...]
"""Kinds of promotions, and what each is in the middle of: methods of FailingMove."""
LOADING: Plan = (
    ("fail_over", "prepared"), ("switch_over", "open"), ("switch_over", "prepared"), ("fail_over", "open"),
)  # fmt: skip
LIVE: Plan = (
    ("switch_over", "draining"), ("fail_over", "prepared"), ("fail_over", "draining"),
    ("switch_over", "open"), ("switch_over", "prepared"), ("fail_over", "open"),
    ("switch_over", "plain"), ("fail_over", "plain"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class FailoverReport:
    """What a move has come to. `slowest`: seconds from a promotion until changes after it were captured."""

    flavor: str
    promotions: int
    epoch: int
    transactions: int
    interrupted: int
    changes: int
    lost: list[Sign]
    twice: list[Sign]
    ghosts: list[Sign]
    wrong_rows: int
    verified: dict[str, int]
    quarantined: int
    slowest: float

    @property
    def line(self) -> str:
        """For the operator of a long run."""
        return (
            f"{self.flavor}: {self.promotions} promotions, epoch {self.epoch},"
            f" {self.transactions:,} transactions ({self.interrupted} interrupted),"
            f" {self.changes:,} changes, {len(self.lost)} lost,"
            f" {len(self.twice)} twice, {len(self.ghosts)} of no transaction, {sum(self.verified.values())}"
            f" mismatches; capture went on at most {self.slowest:.1f} s after a promotion"
        )


@dataclass(slots=True)
class FailingMove:
    """A move from the pair's endpoint."""

    folder: Path
    pair: Replicas
    aws: Cloud
    base: Ledger = field(default_factory=Ledger)
    """The first rows, and the large and the prepared transactions."""
    first: int = 0
    """Number of the first rows: they were there before capture began."""
    repeated: frozenset[Sign] = frozenset()
    """What was read in part before a promotion: the new epoch has it again from its start."""
    slowest: float = 0.0
    started: float = field(default_factory=time.monotonic)
    rehearsal: Rehearsal = field(init=False)
    writers: list[LedgerWriter] = field(init=False)

    def __post_init__(self) -> None:
        self.rehearsal = Rehearsal(self.folder, self.pair.endpoint, self.aws, [])
        self.writers = [LedgerWriter(name, self._connect, RATE, Random(name)) for name in "ab"]

    def run(self, rows: int, promotions: int) -> FailoverReport:
        """The whole move; a third of the promotions are in the load, the others in drains."""
        self._prepare(rows)
        in_load = (promotions + 2) // 3
        with self.rehearsal.capturing(), self._traffic():
            with self._beside(
                "load", "--chunk-rows", "40", "--max-rows", str(rows // (6 * max(in_load, 1)))
            ) as load:
                for number in range(in_load):
                    self._load_goes_on(load, number)
                    self._promote(number, LOADING[number % len(LOADING)])
                self._end(load)
            self.rehearsal.ferry("switch", "on")
            for number in range(in_load, promotions):
                self._promote(number, LIVE[(number - in_load) % len(LIVE)])
            for writer in self.writers:
                writer.end()
            self.rehearsal.ferry("drain", "--timeout", "1200")
        return self._report()

    # The promotions

    def _promote(self, number: int, plan: tuple[str, str]) -> None:
        """Planned and unplanned ones, each in the middle of something else."""
        how, moment = plan
        self.say(f"promotion {number + 1}: {how}, {moment}")
        before = self.rehearsal.control.get(CHECKPOINT)["epoch"]
        with getattr(self, f"_{moment}")():
            getattr(self, f"_{how}")()
            began = time.monotonic()
            self._wait(lambda: self._checkpoint("epoch") == before + 1, "the next epoch")
            captured = self._checkpoint("changes")
            self._wait(lambda: self._checkpoint("changes") > captured, "changes from the new primary")
            seconds = time.monotonic() - began
        self.slowest = max(self.slowest, seconds)
        self.say(f"promotion {number + 1}: epoch {before + 1} after {seconds:.1f} s")

    def _switch_over(self) -> None:
        self.pair.switch_over()

    def _fail_over(self) -> None:
        """What was acknowledged has reached the replica, as with semi-synchronous replication."""
        for writer in self.writers:
            writer.hold()
        self.pair.received()
        try:
            self.pair.fail_over()
        finally:
            for writer in self.writers:
                writer.go_on()

    @contextmanager
    def _plain(self) -> Iterator[None]:
        yield

    @contextmanager
    def _open(self) -> Iterator[None]:
        """A large transaction that is not committed when the primary fails: nothing of it is to be seen."""
        connection = self._connect()
        try:
            with connection.cursor() as cursor:
                connection.begin()
                cursor.execute(
                    f"UPDATE purchase SET quantity = quantity + {LARGE // 2} WHERE customerid = 'base'"
                )
                yield
        finally:
            connection._force_close()

    @contextmanager
    def _draining(self) -> Iterator[None]:
        """A drain that waits for a large transaction, which the capturer has read in part."""
        self.pair.endpoint.stall(PORTION)
        before = {key: value for key, value in self.base.rows.items() if key[0] == BASE}
        with self._connect() as connection, connection.cursor() as cursor:
            cursor.execute(f"UPDATE purchase SET quantity = quantity + {LARGE} WHERE customerid = '{BASE}'")
            connection.commit()
        marks = {key: ("written", value + LARGE) for key, value in before.items()}
        self.base.add([(mark, key, key) for key, mark in marks.items()])
        self._wait(self.pair.endpoint.stalled.is_set, "a part of the transaction")
        self.repeated |= frozenset(marks.values())
        asked = self.rehearsal.control.get(MARKER).get("id")
        with self._beside("drain", "--timeout", "1200") as drain:
            wait_for(
                lambda: self.rehearsal.control.get(MARKER).get("id") != asked,
                "the drain's marker",
                lambda: self._goes_on(drain),
            )
            yield
            self._wait(lambda: drain.poll() is not None, "the end of the drain")
            assert drain.returncode == 2 and "failed over meanwhile" in tail(self._log), tail(self._log)
        self.rehearsal.ferry("drain", "--timeout", "1200")

    @contextmanager
    def _prepared(self) -> Iterator[None]:
        """An XA transaction that is prepared before and committed after."""
        made = Transaction()
        for _ in range(5):
            made.put("xa", "o1")
        connection = self._connect()
        with connection, connection.cursor() as cursor:
            cursor.execute("XA START 'moved'")
            for text, values in made.statements:
                cursor.execute(text, values)
            cursor.execute("XA END 'moved'")
            cursor.execute("XA PREPARE 'moved'")
        self.pair.received()
        yield
        with self.pair.endpoint.connect() as other, other.cursor() as cursor:
            cursor.execute("XA COMMIT 'moved'")
        self.base.add(made.changes)

    # The parts

    def _prepare(self, rows: int) -> None:
        self.rehearsal.deploy()
        account = self.rehearsal.shop_account
        user = f"`{account.user}`@'%'"
        with self.pair.endpoint.connect() as connection, connection.cursor() as cursor:
            for statement in (
                *TABLES,
                f"CREATE USER {user} IDENTIFIED BY '{account.password}'",
                f"GRANT SELECT, INSERT, UPDATE, DELETE ON test.* TO {user}",
            ):
                cursor.execute(statement)
            first = Transaction()
            for number in range(rows):
                first.put(BASE, f"o{number // 10}")
            cursor.executemany(PUT, [values for _, values in first.statements])
        self.base.add(first.changes)
        self.base.signs.clear()
        self.base.transactions = 0
        self.first = rows
        self.pair.catch_up()
        self.say(f"{rows:,} rows")

    def _connect(self) -> Any:
        return self.pair.endpoint.connect(self.rehearsal.shop_account, autocommit=False, connect_timeout=5)

    @contextmanager
    def _traffic(self) -> Iterator[None]:
        for writer in self.writers:
            writer.start()
        try:
            yield
        finally:
            for writer in self.writers:
                writer.end()

    @contextmanager
    def _beside(self, *command: str) -> Iterator["subprocess.Popen[bytes]"]:
        """A ferry command that runs meanwhile."""
        self.say(f"$ ferry {' '.join(command)}")
        process = spawn(
            [sys.executable, "-m", "ferry.cli", *command], log=self._log, folder=ROOT,
            environment=self.rehearsal.operator,
        )  # fmt: skip
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    @property
    def _log(self) -> Path:
        return self.folder / "ferry.log"

    def _end(self, process: "subprocess.Popen[bytes]") -> None:
        self._wait(lambda: process.poll() is not None, "the end of the command")
        assert process.returncode == 0, tail(self._log)

    def _load_goes_on(self, load: "subprocess.Popen[bytes]", items: int) -> None:
        wait_for(lambda: self._loaded() > items, "a chunk more", lambda: self._goes_on(load))

    def _goes_on(self, process: "subprocess.Popen[bytes]") -> None:
        assert process.poll() is None, f"it ended too early:\n{tail(self._log)}"
        self._check()

    def _loaded(self) -> int:
        """Items in the target, in tens: what shows that the load is at work."""
        answer = self.aws.client("dynamodb").scan(TableName="purchase", Select="COUNT", Limit=1000)
        return int(answer["Count"]) // 10

    def _checkpoint(self, name: str) -> int:
        return int(self.rehearsal.control.get(CHECKPOINT)[name])

    def _wait(self, done: Callable[[], bool], what: str) -> None:
        wait_for(done, what, self._check)

    def _check(self) -> None:
        for writer in self.writers:
            if writer.failure is not None:
                raise writer.failure
        process = self.rehearsal.capturer
        assert process is None or process.poll() is None, tail(self.folder / "capturer.log")

    def say(self, text: str) -> None:
        """One line with the seconds since the start."""
        print(f"{time.monotonic() - self.started:6.1f} s  {self.pair.primary.flavor}: {text}", flush=True)

    # The end

    def _report(self) -> FailoverReport:
        ledgers = [self.base, *(writer.ledger for writer in self.writers)]
        written = {mark for ledger in ledgers for mark in ledger.signs}
        halves = {mark for ledger in ledgers for mark in ledger.halves}
        seen = self._on_stream()
        rows = {key: value for ledger in ledgers for key, value in ledger.rows.items()}
        verified = json.loads(self.rehearsal.ferry("verify", "--json", capture=True, accept=(0, 1)))
        return FailoverReport(
            flavor=self.pair.primary.flavor,
            promotions=self.pair.promotions,
            epoch=self._checkpoint("epoch"),
            transactions=sum(ledger.transactions for ledger in ledgers),
            interrupted=sum(writer.interrupted for writer in self.writers),
            changes=self._checkpoint("changes"),
            lost=sorted(written - seen.keys(), key=str),
            twice=[mark for mark, places in seen.items() if len(places) > 1 + (mark in self.repeated)],
            ghosts=sorted(seen.keys() - written - halves, key=str),
            wrong_rows=len(rows.items() ^ self._rows().items()),
            verified={name: verified[name] for name in ("missing", "extra", "different")},
            quarantined=self.rehearsal.control.get(APPLIED)["quarantined"],
            slowest=self.slowest,
        )

    def _rows(self) -> dict[Key, int]:
        """Of the last primary."""
        found = sql(self.pair.primary, "SELECT * FROM test.purchase")
        return {(row["customerid"], row["orderid"], row["productid"]): row["quantity"] for row in found}

    def _on_stream(self) -> dict[Sign, set[str]]:
        """Every change that was sent, with the positions under which it was."""
        kinesis, name = self.aws.client("kinesis"), self.rehearsal.outputs["StreamName"]
        seen: dict[Sign, set[str]] = defaultdict(set)
        for shard in kinesis.list_shards(StreamName=name)["Shards"]:
            iterator = kinesis.get_shard_iterator(
                StreamName=name, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
            )["ShardIterator"]
            while batch := kinesis.get_records(ShardIterator=iterator, Limit=10_000):
                for record in batch["Records"]:
                    for change in decode_record(record["Data"]).changes:
                        seen[sign(change)].add(str(change.position))
                iterator = batch["NextShardIterator"]
                if not batch["Records"]:
                    break
        return seen
