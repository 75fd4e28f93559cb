"""One condition of a move, with its fix."""

from collections.abc import Iterable
from dataclasses import dataclass

from rowferry.errors import SourceNotReady


@dataclass(frozen=True, slots=True)
class Condition:
    """
    One condition: what was found, whether it holds, and the fix if it does not.

    A condition that is not `needed` is advice: a move works without it, and `fix` says what it is good for.
    `loses`: while it does not hold, changes are missing in the binlog for good, so that the fix alone does
    not bring them back.
    """

    name: str
    found: str
    holds: bool
    fix: str
    needed: bool = True
    loses: bool = False


def broken(conditions: Iterable[Condition]) -> list[Condition]:
    """The needed conditions that do not hold."""
    return [condition for condition in conditions if condition.needed and not condition.holds]


def summary(conditions: Iterable[Condition]) -> tuple[str, str]:
    """What was found of conditions that do not hold, and their fixes, each said once."""
    found = list(conditions)
    return (
        "; ".join(f"{condition.name} is {condition.found}" for condition in found),
        "; ".join(dict.fromkeys(condition.fix for condition in found)),
    )


def require(conditions: Iterable[Condition]) -> None:
    """Raises SourceNotReady that names every needed condition that does not hold."""
    if lacking := broken(conditions):
        raise SourceNotReady(*summary(lacking))


def advice(conditions: Iterable[Condition]) -> list[str]:
    """A sentence for each condition that is only advice and does not hold."""
    return [
        f"{condition.name} is {condition.found}: {condition.fix}"
        for condition in conditions
        if not (condition.needed or condition.holds)
    ]
