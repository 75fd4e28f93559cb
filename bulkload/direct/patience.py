"""How long a source is tried again that does not answer, or is not the one that is captured."""

from collections.abc import Callable
from dataclasses import replace

import pymysql

from bulkload.dynamodb.batch_writer import RetryPolicy
from rowferry.errors import NotCaptured, Refused

# InternalError: a packet that a server which was killed has not sent to its end.
TRIED_AGAIN = (
    NotCaptured, pymysql.err.OperationalError, pymysql.err.InterfaceError, pymysql.err.InternalError
)  # fmt: skip
AS_LONG = 5
"""Times as many tries where the source may be failing over, which takes minutes: with the default, five."""
FAILING_OVER = frozenset(
    [
        1040,  # too many connections: those of all clients at once, to the new server
        1045, 1130, 1698,  # no access: accounts are not read yet
        1053, 1077, 1079, 1080, 1184, 1317, 1927, 3169,  # it shuts down, or has killed the session
        1152, 1153, 1158, 1159, 1160, 1161,  # the connection broke, seen by the server
        1290, 1792, 1836,  # read-only
        2002, 2003, 2005, 2006, 2012, 2013, 2014, 2026, 2055,  # the same, seen by the driver; no such host
        3032, 3100, 3101, 3168, 3796, 4031,  # offline; hooks of replication; not available; idle too long
    ]
)  # fmt: skip
"""
Errors that pass when a server ends, starts or is promoted.

https://dev.mysql.com/doc/mysql-errors/9.0/en/server-error-reference.html, https://mariadb.com/kb/en/mariadb-error-codes/
"""


class Patience:
    """
    The pauses after errors of TRIED_AGAIN: many where another server may take over meanwhile, else those of
    `retry`.

    `report` gets each reason to wait, once; `command` is the one that resumes after the last try.
    """

    def __init__(
        self, retry: RetryPolicy, report: Callable[[str], None] = lambda _: None, command: str = "ferry load"
    ) -> None:
        self._few = retry.pauses()
        self._many = replace(retry, tries=retry.tries * AS_LONG).pauses()
        self._sleep = retry.sleep
        self._report = report
        self._command = command
        self._said = ""

    def wait(self, error: Exception) -> None:
        """Waits before the next try. Raises the error after the last one, with how to go on."""
        pause = next(self._many if _passes(error) else self._few, None)
        if pause is None:
            if isinstance(error, NotCaptured):
                fix = f"{error.fix}; then run `{self._command}` again: it resumes"
                raise Refused(error.found, fix) from error
            raise error
        if (reason := _reason(error)) != self._said:
            self._report(f"waiting: {reason}")
            self._said = reason
        self._sleep(pause)


def _passes(error: Exception) -> bool:
    return not isinstance(error, pymysql.err.OperationalError) or _code(error) in FAILING_OVER


def _code(error: Exception) -> object:
    return error.args[0] if error.args else "without a number"


def _reason(error: Exception) -> str:
    # The server's own message may quote values.
    return error.found if isinstance(error, NotCaptured) else f"the source does not answer ({_code(error)})"
