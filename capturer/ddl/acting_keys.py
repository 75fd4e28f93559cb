"""Foreign keys that a CREATE or ALTER TABLE makes and by which a server changes rows by itself. Pure."""

from collections.abc import Callable, Sequence

from capturer.ddl.sql_tokens import Token

_RULES = {("CASCADE", ""): "CASCADE", ("SET", "NULL"): "SET NULL", ("SET", "DEFAULT"): "SET DEFAULT"}


def acting_keys(
    parsed: Sequence[Token], travels: Callable[[str], bool], *, inline: bool = True
) -> tuple[str, ...]:
    """
    The actions that delete rows of the table or change columns of it that are carried: `ON DELETE CASCADE`.

    The server's present definition is not enough: the key may be gone again when the statement is read.
    `inline`: a REFERENCES after a column's definition makes a key, as in MariaDB and in MySQL 9.0 and later.
    """
    found: list[str] = []
    columns: list[str] | None = None
    pending: list[str] | None = None
    made = False
    for at, token in enumerate(parsed):
        if token.word == "FOREIGN":
            pending = _columns(parsed[at:])
        elif token.word == "REFERENCES":
            columns, made, pending = pending, pending is not None or inline, None
        elif token.word == "ON" and made and (action := _action(parsed[at + 1 : at + 4])):
            # The column before an inline REFERENCES is not looked for.
            touched = columns is None or any(map(travels, columns))
            if touched or action == "ON DELETE CASCADE":
                found.append(action)
    return tuple(found)


def _columns(parsed: Sequence[Token]) -> list[str]:
    words = [token.word for token in parsed]
    if "(" not in words or ")" not in words:
        return []
    return [token.text for token in parsed[words.index("(") : words.index(")")] if token.is_name]


def _action(after: Sequence[Token]) -> str:
    """The action in the three tokens after ON; empty where it is none, as in ON UPDATE CURRENT_TIMESTAMP."""
    event, *rule = [token.word for token in after]
    if event not in ("DELETE", "UPDATE"):
        return ""
    kind = _RULES.get((rule[0], "") if rule[:1] == ["CASCADE"] else tuple(rule[:2]))  # type: ignore[arg-type]
    return f"ON {event} {kind}" if kind else ""
