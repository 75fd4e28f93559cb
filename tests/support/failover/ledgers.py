"""
Writers through the endpoint that know which of their transactions were committed, and what each row change
of them is recognized by on the stream.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import count
from random import Random
from typing import Any

import pymysql

from lab.shop import PURCHASE
from rowferry.change import RowChange

COMMITTED = "CREATE TABLE committed (name VARCHAR(20), number INT, PRIMARY KEY (name, number))"
TABLES = (PURCHASE, COMMITTED)
PUT = "INSERT INTO purchase VALUES (%s, %s, %s, %s)"
_WHERE = " WHERE customerid = %s AND orderid = %s AND productid = %s"
_NUMBERS = count(1)
"""Of all writers: every value that is written is written once."""

type Key = tuple[str, str, str]
type Sign = tuple[str, str | int]
"""What a row change is recognized by: a deletion by the product, all else by the value that is written."""


def sign(change: RowChange) -> Sign:
    """Of a change on the stream."""
    if change.after is None:
        return "deleted", str(change.image["productid"])
    return "written", int(str(change.after["quantity"]))


class Ledger:
    """The rows as committed, and the signs of the row changes that made them."""

    def __init__(self) -> None:
        self.rows: dict[Key, int] = {}
        self.signs: Counter[Sign] = Counter()
        self.halves: set[Sign] = set()
        """Of rows that moved: the stream may have such a change as a deletion and an insertion."""
        self.transactions = 0

    def add(self, changes: "Iterable[tuple[Sign, Key | None, Key | None]]") -> None:
        """A committed transaction: signs with the row's key before and after."""
        self.transactions += 1
        for mark, before, after in changes:
            self.signs[mark] += 1
            if before is not None:
                del self.rows[before]
                if after is not None and before != after:
                    self.halves.add(("deleted", before[2]))
            if after is not None:
                assert mark[0] == "written"
                self.rows[after] = int(mark[1])


class Transaction:
    """A transaction of one writer: its statements, and what they change once they are committed."""

    def __init__(self) -> None:
        self.statements: list[tuple[str, tuple[object, ...]]] = []
        self.changes: list[tuple[Sign, Key | None, Key | None]] = []

    def put(self, customer: str, order: str) -> None:
        """A new row; no product is ever used again."""
        number = next(_NUMBERS)
        key = (customer, order, f"p{number}")
        self._add(PUT, (*key, number), ("written", number), None, key)

    def change(self, key: Key) -> None:
        """Another value."""
        number = next(_NUMBERS)
        self._add("UPDATE purchase SET quantity = %s" + _WHERE, (number, *key), ("written", number), key, key)

    def move(self, key: Key, order: str) -> None:
        """To another item, and under another name."""
        number = next(_NUMBERS)
        to = (key[0], order, f"p{number}")
        self._add(
            "UPDATE purchase SET orderid = %s, productid = %s, quantity = %s" + _WHERE,
            (*to[1:], number, *key),
            ("written", number),
            key,
            to,
        )

    def remove(self, key: Key) -> None:
        """The row."""
        self._add("DELETE FROM purchase" + _WHERE, key, ("deleted", key[2]), key, None)

    def _add(
        self, text: str, values: tuple[object, ...], mark: Sign, before: Key | None, after: Key | None
    ) -> None:
        self.statements.append((text, values))
        self.changes.append((mark, before, after))


class LedgerWriter(threading.Thread):
    """
    Writes transactions of its own customers, `rate` a second, until `end`; a failover interrupts it.

    Where an answer was lost, it looks on the server that it reaches then whether the transaction is
    committed: each has a row in the table `committed`.
    """

    def __init__(self, name: str, connect: Callable[[], Any], rate: float, random: Random) -> None:
        super().__init__(name=f"writer {name}", daemon=True)
        self._connect, self._rate, self._random = connect, rate, random
        self._connection: Any = None
        self._numbers = count(1)
        self._ended = threading.Event()
        self._may_write, self._waits = threading.Event(), threading.Event()
        self._may_write.set()
        self.ledger = Ledger()
        self.interrupted = 0
        """Number of transactions whose answer was lost or an error."""
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            while not self._ended.is_set():
                if not self._may_write.is_set():
                    self._waits.set()
                    self._may_write.wait()
                self._commit(self._next())
                self._ended.wait(1 / self._rate)
        except BaseException as error:  # noqa: BLE001 - a thread's error would be lost
            self.failure = error
        finally:
            self._waits.set()

    def hold(self) -> None:
        """Returns when its transaction has ended; it begins no other until `go_on`."""
        self._waits.clear()
        self._may_write.clear()
        self._waits.wait()

    def go_on(self) -> None:
        """After `hold`."""
        self._may_write.set()

    def end(self) -> None:
        """Ends it after its transaction."""
        self._ended.set()
        self._may_write.set()
        self.join()
        if self.failure is not None:
            raise self.failure

    def _next(self) -> Transaction:
        made, rows = Transaction(), list(self.ledger.rows)
        for key in self._random.sample(rows, min(len(rows), self._random.randint(0, 4))):
            how = self._random.choice([made.change, made.change, made.remove, self._mover(made)])
            how(key)
        for _ in range(self._random.randint(1, 3)):
            made.put(f"{self.name[7:]}{self._random.randrange(5)}", f"o{self._random.randrange(20)}")
        return made

    def _mover(self, made: Transaction) -> Callable[[Key], None]:
        return lambda key: made.move(key, f"o{self._random.randrange(20)}")

    def _commit(self, transaction: Transaction) -> None:
        number = next(self._numbers)
        while not self._committed(transaction, number):
            self.interrupted += 1
            if self._ended.wait(0.05):
                break  # it is not committed: the look that returned False came after the error
        else:
            self.ledger.add(transaction.changes)

    def _committed(self, transaction: Transaction, number: int) -> bool:
        try:
            self._connection = self._connection or self._connect()
            with self._connection.cursor() as cursor:
                self._connection.begin()
                for text, values in transaction.statements:
                    assert cursor.execute(text, values) == 1
                cursor.execute("INSERT INTO committed VALUES (%s, %s)", (self.name, number))
            self._connection.commit()
        except pymysql.err.Error:
            self._connection = None
            return self._was_committed(number)
        return True

    def _was_committed(self, number: int) -> bool:
        """Asked until a server that takes writes answers: a former primary may not have it any more."""
        while True:
            try:
                with self._connect() as connection, connection.cursor() as cursor:
                    cursor.execute("SELECT @@GLOBAL.read_only")
                    if int(cursor.fetchone()[0]) == 0:
                        cursor.execute(
                            "SELECT 1 FROM committed WHERE name = %s AND number = %s", (self.name, number)
                        )
                        return cursor.fetchone() is not None
            except pymysql.err.Error:
                pass
            threading.Event().wait(0.05)
