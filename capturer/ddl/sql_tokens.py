"""
SQL text as tokens, by the lexical rules of the server that wrote it, and a reader for them. Pure.

The rules are those of sql/sql_lex.cc of both servers, tried out on both. Where the two
differ, `SqlDialect` says which one it is.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from rowferry.mysql.dialect import SqlDialect

# White space is ASCII only: NBSP, U+3000 and the like are letters of a name. Nothing above U+FFFF is one.
_WORD = r"[0-9A-Za-z$_\x80-\uffff]+"
_BLANK = r"[ \t\n\v\f\r]"
_NAME = re.compile(_WORD)
_NUMBER = re.compile(r"[0-9]+(?:[eE][0-9]+)?|0[xX][0-9A-Fa-f]+|0b[01]+")
_KINDS = frozenset(["double", "quoted", "sign", "string", "variable", "word"])
_OPENS_OR_CLOSES = re.compile(r"/\*|\*/")
_VERSIONS = {
    # MySQL takes six digits only before white space.
    False: re.compile(rf"[0-9]{{6}}(?={_BLANK})|[0-9]{{5}}"),
    True: re.compile(r"[0-9]{5,6}"),
}


type Name = tuple[str, str]
"""A schema and what has a name in it, both as the server compares them."""


class NotUnderstood(Exception):
    """The statement has a form that its reader does not know."""


class Token(NamedTuple):
    """A word or sign (in `word`, in upper case), or a quoted name. A string is a token without its text."""

    text: str
    word: str = ""

    @property
    def is_name(self) -> bool:
        """Whether it can be the name of something."""
        if self.word:
            return bool(_NAME.fullmatch(self.text)) and not _NUMBER.fullmatch(self.text)
        return bool(self.text)


def tokens(text: str, dialect: SqlDialect) -> list[Token]:
    """
    The statement's tokens. The content of comments that this server executes counts, other comments do not.

    Raises NotUnderstood if a quote or a comment does not end.
    """
    return list(_tokens(text.rstrip("\0"), dialect))


@lru_cache
def _pattern(mariadb: bool, ansi_quotes: bool, backslash_escapes: bool) -> re.Pattern[str]:
    single = _text_in("'", backslash_escapes)
    double = _text_in('"', backslash_escapes and not ansi_quotes)
    # `--` begins a comment only before white space or a control character. The order matters: `broken` is a
    # quote or comment of which no whole one was found.
    return re.compile(
        rf"""
          (?P<blank> {_BLANK}+ | --(?=[\x00-\x20\x7f]|\Z)[^\n]* | \#[^\n]* )
        | (?P<open> /\*{"M?" if mariadb else ""}! )
        | (?P<comment> /\*.*?\*/ )
        | (?P<close> \*/ )
        | (?P<string> [xXbBnN]?'{single}' )
        | `(?P<quoted> (?:[^`]|``)*+ )`
        | "(?P<double> {double} )"
        | @@?(?P<variable> '{single}' | `(?:[^`]|``)*+` | "{double}" | [0-9A-Za-z$_.\x80-\uffff]+ )
        | (?P<word> {_WORD} )
        | (?P<broken> ['"`] | /\* )
        | (?P<sign> . )
        """,
        re.VERBOSE | re.DOTALL,
    )


def _text_in(quote: str, escapes: bool) -> str:
    # Possessive: an unbroken run is not tried again in parts.
    return rf"(?:[^{quote}\\]++|\\.|{quote}{quote})*+" if escapes else f"(?:[^{quote}]|{quote}{quote})*+"


def _tokens(text: str, dialect: SqlDialect) -> Iterator[Token]:
    match_at = _pattern(dialect.mariadb, dialect.ansi_quotes, dialect.backslash_escapes).match
    at, executed = 0, False
    while match := match_at(text, at):
        at, kind = match.end(), match.lastgroup
        if kind in _KINDS:
            yield _token(match, dialect)
        elif kind == "open":
            at, executed = _opened(text, match.start(), at, dialect, executed)
        elif kind == "close" and executed:
            executed = False  # one level: the first */ ends what the server executes
        elif kind == "close":
            at -= 1  # elsewhere it is no sign of its own: SELECT */**/ FROM t
            yield Token("*", "*")
        elif kind == "broken":
            raise NotUnderstood("a quote or a comment does not end")
    if executed:
        raise NotUnderstood("a quote or a comment does not end")


def _token(match: re.Match[str], dialect: SqlDialect) -> Token:
    text = match.group()
    if match["word"] or match["sign"]:
        return Token(text, text.upper())
    if match["quoted"] is not None:
        return Token(match["quoted"].replace("``", "`"))
    if match["double"] is not None and dialect.ansi_quotes:
        return Token(match["double"].replace('""', '"'))
    return Token("", "@" if match["variable"] else "")


def _opened(text: str, start: int, at: int, dialect: SqlDialect, inside: bool) -> tuple[int, bool]:
    """
    Where reading goes on after `/*!`, and whether in what the server executes.

    In the binlog a server has rewritten what it did not execute as a plain comment. So a version above the
    server's is rare there, but not in text from elsewhere.
    """
    version = _VERSIONS[dialect.mariadb].match(text, at)
    if version is None:
        return at, True
    if _is_executed(int(version.group()), text[at - 2] == "M", dialect):
        return version.end(), True
    depth, at = 1, start + 2
    while depth:
        mark = _OPENS_OR_CLOSES.search(text, at)
        if mark is None:
            raise NotUnderstood("a quote or a comment does not end")
        # One level of comments inside is skipped as well.
        depth = depth - 1 if mark.group() == "*/" else 2
        at = mark.end()
    return at, inside


def _is_executed(number: int, of_mariadb: bool, dialect: SqlDialect) -> bool:
    major, minor, patch = (*dialect.version, 0, 0, 0)[:3]
    # MariaDB skips what is for MySQL 5.7 to 9 only.
    for_mysql = dialect.mariadb and not of_mariadb and 50_700 <= number <= 99_999
    return number <= major * 10_000 + minor * 100 + patch and not for_mysql


def names(text: str) -> set[str]:
    """Everything that may be a name, in text that is not understood."""
    return set(_NAME.findall(text))


def opening(text: str) -> str:
    """The statement's first words: they never hold a row's value."""
    return " ".join(re.findall(r"[A-Za-z_]+", re.sub(r"/\*.*?\*/", " ", text))[:2]).upper() or "no words"


def mentioned(parsed: Iterable[Token]) -> set[str]:
    """Every name in it, as written."""
    return {token.text for token in parsed if token.is_name}


def meant(parsed: Sequence[Token], schema: str, name: Callable[[str], str]) -> frozenset[Name]:
    """
    Everything that the names in it may mean, wherever they are; `schema` is the default for one without.
    """
    found = set()
    for at, token in enumerate(parsed):
        dotted = at > 0 and parsed[at - 1].word == "."
        if token.is_name or (dotted and _NAME.fullmatch(token.text)):  # t.1e5 is a name, 1e5 a number
            owner = parsed[at - 2] if dotted and at > 1 else Token("")
            found.add((name(owner.text) if owner.is_name else schema, name(token.text)))
    return frozenset(found)


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
        """One name, as written."""
        token = self.next()
        if not token.text or (token.word and not _NAME.fullmatch(token.text)):
            raise NotUnderstood
        return token.text

    def column(self) -> str:
        """
        A column's name, as written.

        MariaDB takes it with its table's, and its schema's, before it; they are those of the ALTER TABLE.
        """
        return self.qualified()[-1]

    def qualified(self) -> list[str]:
        """Names with dots between them; MariaDB takes a dot before the first one."""
        self.skip(".")
        found = [self.identifier()]
        while self.skip("."):
            found.append(self.identifier())
        return found

    def table(self, schema: str, name: Callable[[str], str]) -> Name:
        """A table; `schema` is the default for one without, and `name` makes names comparable."""
        found = self.qualified()
        if len(found) > 2:
            raise NotUnderstood
        return (name(found[0]) if len(found) == 2 else schema), name(found[-1])
