"""How a Condition is printed, by the commands that ask for conditions."""

from collections.abc import Iterator

from rowferry.mysql.conditions import Condition


def listed(condition: Condition) -> Iterator[str]:
    """In a list on standard output; the fix of what does not hold has a line of its own."""
    word = "ok" if condition.holds else "FAIL" if condition.needed else "warn"
    yield f"  {word:<5} {condition.name}: {condition.found}"
    if not condition.holds:
        yield f"        {condition.fix}"


def one_line(condition: Condition) -> str:
    """Among other messages on standard error."""
    fix = "" if condition.holds else f": {condition.fix}"
    return f"{'ok' if condition.holds else 'NO':<3} {condition.name}: {condition.found}{fix}"
