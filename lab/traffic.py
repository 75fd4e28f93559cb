"""Live traffic: writers that write continuously until the server refuses it."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pymysql

from lab.shop import Shop, Transaction

READ_ONLY = 1290  # ER_OPTION_PREVENTS_STATEMENT: the fence
_LATE = 0.25  # seconds of lag beyond which a writer does not try to catch up


class Writer(threading.Thread):
    """One connection that commits its shop's transactions at a rate, until the fence or `stop`."""

    def __init__(self, connect: Callable[[], Any], shop: Shop, rate: float) -> None:
        """`rate` is in row changes per second."""
        super().__init__(name=f"writer {shop.name}", daemon=True)
        self._connect = connect
        self._shop = shop
        self._rate = rate
        self._stopping = threading.Event()
        self.changes = 0
        self.transactions = 0
        self.fenced = False
        self.failure: BaseException | None = None

    def run(self) -> None:
        """Writes until the fence; any other error is kept in `failure`."""
        try:
            with self._connect() as connection:
                self._write(connection)
        except pymysql.err.OperationalError as error:
            self.fenced = error.args[0] == READ_ONLY
            self.failure = None if self.fenced else error
        except Exception as error:  # noqa: BLE001 - a thread's error would be lost; the demo raises it
            self.failure = error

    def stop(self) -> None:
        """Makes it end after the current transaction."""
        self._stopping.set()

    def _write(self, connection: Any) -> None:
        due = time.monotonic()
        while not self._stopping.is_set():
            changes = self._commit(connection, self._shop.next())
            due = max(due + changes / self._rate, time.monotonic() - _LATE)
            self._stopping.wait(max(0.0, due - time.monotonic()))

    def _commit(self, connection: Any, transaction: Transaction) -> int:
        connection.begin()
        with connection.cursor() as cursor:
            for sql, parameters in transaction.statements:
                cursor.execute(sql, parameters)
        connection.commit()
        self.changes += transaction.changes
        self.transactions += 1
        return transaction.changes
