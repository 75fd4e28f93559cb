"""The line with which a command ends at an error."""

from typing import NoReturn

import pymysql
import pytest

from ferry import cli


@pytest.mark.parametrize(
    ("error", "fix"),
    [
        (pymysql.err.OperationalError(2013, "Lost connection"), "shows whether the source failed over"),
        (pymysql.err.OperationalError(1053, "Server shutdown"), "shows whether the source failed over"),
        (pymysql.err.InterfaceError(0, ""), "shows whether the source failed over"),
        (pymysql.err.OperationalError(1045, "Access denied"), "the password and the user's grants"),
    ],
)
def test_a_source_that_is_gone_is_not_taken_for_a_wrong_password(
    error: Exception, fix: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> NoReturn:
        raise error

    monkeypatch.setattr(cli, "_run", fail)
    assert cli.main(["status"]) == 2
    assert capsys.readouterr().err.strip().endswith(fix)
