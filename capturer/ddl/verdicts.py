"""What a statement can mean for the mapped tables, and the fixes where capture stops."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto

from capturer.ddl.sql_tokens import Name


class Meaning(Enum):
    """Role of a statement in its transaction."""

    BEGIN = auto()
    COMMIT = auto()
    ROLLBACK = auto()
    ROLLBACK_TO = auto()
    SAVEPOINT = auto()
    XA_BEGIN = auto()
    XA_COMMIT = auto()
    XA_ROLLBACK = auto()
    HARMLESS = auto()
    STOP = auto()


@dataclass(frozen=True, slots=True)
class Verdict:
    """
    What a statement means.

    If it stops capture: what it does (`found`), what to do (`fix`, with `{at}` for the position) and the
    source tables that have to be loaded again (`tables`). `reshapes`: the mapped source tables that may have
    other columns afterwards. `retypes`: it does not stop capture if the new definitions of these columns keep
    every value. `writes` and `reads`: it does not stop capture if no view, trigger or routine leads from what
    it writes, or calls where it reads, to a mapped table. `asks`: the mapped source tables of which DDL may
    have changed what preflight demands; `acting`: of these, those that get a foreign key that acts, with its
    action. `name` is that of the savepoint, or of the XA
    transaction, such as X'6162',X'',1
    """

    meaning: Meaning
    found: str = ""
    fix: str = ""
    tables: frozenset[str] = frozenset()
    reshapes: frozenset[str] = frozenset()
    retypes: frozenset[str] = frozenset()
    writes: frozenset[Name] = frozenset()
    reads: frozenset[Name] = frozenset()
    asks: frozenset[str] = frozenset()
    acting: frozenset[tuple[str, str]] = frozenset()
    name: str = ""


HARMLESS = Verdict(Meaning.HARMLESS)
_AGAIN = "`ferry switch off`, empty {}, run `ferry load --again`, then start the capturer with --skip {{at}}"
RELOAD = _AGAIN.format("the target of the table")
RELOAD_ALL = _AGAIN.format("the targets of all mapped tables")
CORRECT_COLUMNS = f"correct the mapping if it names a column that is gone; {RELOAD}"
RESTORE = f"restore the table if it is gone, or leave it out of the mapping; {RELOAD}"
LOG_ROWS = f"SET GLOBAL binlog_format=ROW and reconnect the writers; {RELOAD}"


def stop(found: str, tables: Iterable[str], fix: str = RELOAD, *, reshapes: bool = False) -> Verdict:
    touched = frozenset(tables)
    return Verdict(Meaning.STOP, found, fix, touched, touched if reshapes else frozenset())
