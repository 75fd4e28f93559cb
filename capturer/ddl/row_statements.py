"""Statements about rows: which table they change, and which other statements have rows in them. Pure."""

from collections.abc import Callable, Sequence

from capturer.ddl.sql_tokens import Name, Token, TokenReader

_QUERIES = ("SELECT", "TABLE", "VALUES", "WITH")
_MODIFIERS = ("LOW_PRIORITY", "HIGH_PRIORITY", "DELAYED", "IGNORE", "INTO")


def target(verb: str, words: TokenReader, schema: str, name: Callable[[str], str]) -> Name | None:
    """
    The one table that INSERT, REPLACE or LOAD changes; None for another verb, which may change any it names.

    Raises NotUnderstood.
    """
    if verb in ("INSERT", "REPLACE"):
        while words.skip(*_MODIFIERS):
            pass
        return words.table(schema, name)
    if verb == "LOAD":
        while not (words.skip("INTO") and words.skip("TABLE")):
            words.next()
        return words.table(schema, name)
    return None


def has_query(definition: Sequence[Token]) -> bool:
    """
    Whether CREATE TABLE, after the table's name, takes rows from a query.

    The query may be SELECT, TABLE, VALUES or WITH, each in parentheses, too. VALUES of a partition and WITH
    SYSTEM VERSIONING are none.
    """
    depth, began = 0, True  # `began`: only parentheses have come since the last token outside of them
    for at, token in enumerate(definition):
        following = definition[at + 1].word if at + 1 < len(definition) else ""
        if token.word == "SELECT":
            return True
        if token.word in _QUERIES and (depth == 0 or began) and following != "SYSTEM":
            return True
        if token.word == "(":
            began = depth == 0 or began
            depth += 1
        else:
            depth -= token.word == ")"
            began = False
    return False
