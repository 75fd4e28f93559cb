"""SQL text as tokens, and a reader for them. Pure."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

# `--` begins a comment only before white space. /*! and /*M! hold statements that servers execute: their
# content counts. The order matters: `broken` is a quote or comment of which no whole one was found.
_TOKENS = re.compile(
    r"""
      (?P<comment> --(?=[\s]|\Z)[^\n]* | \#[^\n]* | /\*(?![!]|M!) .*? \*/ )
    | (?P<open> /\*M?!\d* ) | (?P<close> \*/ )
    | (?P<string> '(?:[^'\\]|\\.|'')*' )
    | `(?P<quoted> (?:[^`]|``)* )` | "(?P<double> (?:[^"\\]|\\.|"")* )"
    | (?P<word> [\w$@]+ )
    | (?P<broken> ['"`] | /\*(?![!]|M!) )
    | (?P<sign> \S )
    """,
    re.VERBOSE | re.DOTALL,
)
_NAME = re.compile(r"[\w$]+")


class NotUnderstood(Exception):
    """The statement has a form that its reader does not know."""


class Token(NamedTuple):
    """A word or sign (in `word`, in upper case), or a quoted name. A string is a token without its text."""

    text: str
    word: str = ""


def tokens(text: str) -> list[Token]:
    """
    The statement's tokens. The content of executable comments counts, other comments do not.

    Raises NotUnderstood if a quote or a comment does not end.
    """
    return list(_tokens(text))


def _tokens(text: str) -> Iterator[Token]:
    for match in _TOKENS.finditer(text):
        match match.lastgroup:
            case "broken":
                raise NotUnderstood("a quote or a comment does not end")
            case "quoted":
                yield Token(match["quoted"].replace("``", "`"))
            case "double":  # under ANSI_QUOTES a name; read as a string, it could hide a mapped table
                yield Token(match["double"].replace('""', '"'))
            case "string":
                yield Token("")
            case "word" | "sign":
                yield Token(match.group(), match.group().upper())


def names(text: str) -> list[str]:
    """Everything that may be a name, in text that is not understood."""
    return _NAME.findall(text)


def opening(text: str) -> str:
    """The statement's first words: they never hold a row's value."""
    return " ".join(re.findall(r"[A-Za-z_]+", re.sub(r"/\*.*?\*/", " ", text))[:2]).upper() or "no words"


def mentioned(parsed: Iterable[Token]) -> set[str]:
    """The texts of all tokens, in lower case."""
    return {token.text.lower() for token in parsed}


def split(parsed: Iterable[Token], sign: str = ",") -> Iterator[list[Token]]:
    """The parts between commas (or another sign) outside parentheses; no empty ones."""
    part: list[Token] = []
    depth = 0
    for token in parsed:
        depth += (token.word == "(") - (token.word == ")")
        if token.word == sign and depth == 0:
            if part:
                yield part
            part = []
        else:
            part.append(token)
    if part:
        yield part


class TokenReader:
    """Reads tokens from left to right. Raises NotUnderstood if the next one is not what was expected."""

    def __init__(self, parsed: Sequence[Token]) -> None:
        self._parsed = parsed
        self._at = 0

    def __bool__(self) -> bool:
        return self._at < len(self._parsed)

    @property
    def rest(self) -> Sequence[Token]:
        return self._parsed[self._at :]

    @property
    def word(self) -> str:
        """The next token's word, without reading it; empty at the end and before a quoted name."""
        return self._parsed[self._at].word if self else ""

    def next(self) -> Token:
        if not self:
            raise NotUnderstood
        self._at += 1
        return self._parsed[self._at - 1]

    def skip(self, *words: str) -> bool:
        """Reads one of these words if it comes next."""
        found = bool(self) and self.word in words
        self._at += found
        return found

    def skip_exists(self) -> None:
        """Reads IF EXISTS or IF NOT EXISTS if it comes next."""
        if self.skip("IF"):
            while self.skip("NOT", "EXISTS"):
                pass

    def skip_wait(self) -> None:
        """Reads MariaDB's WAIT n or NOWAIT after a table's name."""
        if self.skip("WAIT"):
            self.next()
        self.skip("NOWAIT")

    def identifier(self) -> str:
        """A name, in lower case: column names compare without case, on some servers table names as well."""
        token = self.next()
        if token.word and not _NAME.fullmatch(token.word):
            raise NotUnderstood
        return token.text.lower()

    def table(self, schema: str) -> tuple[str, str]:
        """A table's schema and name; `schema` is the default for a name without one."""
        self.skip(".")  # `.t` is t of the default schema
        first = self.identifier()
        if self.skip("."):
            return first, self.identifier()
        return schema, first
