"""
How a session that reads the source is opened: whatever the server's defaults, it sees what the binlog has.

Used by load, export and capturer. Verify has its own copy, because it imports nothing of what it checks.
"""

_UNLIMITED = 18446744073709551615
_SETTINGS = (
    "time_zone = '+00:00'",  # a TIMESTAMP is read in the session's zone
    f"sql_select_limit = {_UNLIMITED}",  # a row limit set on the server loses rows, and columns of a table
    "sql_big_selects = 1",
    "sql_quote_show_create = 1",  # foreign keys are read from SHOW CREATE TABLE
    "completion_type = 0",  # 1 begins a transaction after each COMMIT, whose snapshot later reads would see
)
# A comment to other servers and versions. MariaDB does not run those of MySQL's versions from 5.7 on.
_OF_SOME = (
    # A generated invisible primary key is in the binlog, hidden or not.
    "/*!80030 , show_gipk_in_create_table_and_information_schema = 1 */",
    "/*!80013 , use_secondary_engine = OFF */",  # a copy that lags; FORCED refuses tables that have none
    "/*!80000 , max_execution_time = 0 */",
    "/*M!100101 , max_statement_time = 0 */",
)


def opening(sql_mode: str = "", *more: str) -> str:
    """
    The statement to run first in a session. `more` are further settings, such as `net_write_timeout = 3600`.

    No mode but `sql_mode` holds: PAD_CHAR_TO_FULL_LENGTH adds blanks to a CHAR, EMPTY_STRING_IS_NULL turns
    text to NULL, ANSI_QUOTES changes what SHOW CREATE TABLE prints.
    """
    settings = ", ".join((f"sql_mode = '{sql_mode}'", *_SETTINGS, *more))
    return f"SET {settings} {' '.join(_OF_SOME)}"
