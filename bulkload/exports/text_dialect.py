r"""
The dialect of text files: FIELDS and LINES of SELECT ... INTO OUTFILE.

https://dev.mysql.com/doc/refman/9.4/en/select-into.html and (FIELDS and LINES)
https://dev.mysql.com/doc/refman/9.4/en/load-data.html#load-data-field-line-handling
"""

import re
from dataclasses import dataclass
from typing import Any, Self

from rowferry.errors import Refused

_EXAMPLE = r"""FIELDS TERMINATED BY ',' ENCLOSED BY '"' ESCAPED BY '\\' LINES TERMINATED BY '\n'"""
_TOKEN = re.compile(
    r"""\s*(?: '((?:[^'\\]|\\.|'')*)' | "((?:[^"\\]|\\.|"")*)" | (?:0x|x')([0-9a-f]*)'? | (\w+) | (.) )""",
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)
_ESCAPES = {"0": "\0", "b": "\b", "n": "\n", "r": "\r", "t": "\t", "Z": "\x1a"}
_AMBIGUOUS = b"ntrb0ZN"
"""Characters that mean something after the escape, and so cannot be a delimiter as well."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """
    FIELDS and LINES, in bytes; the defaults are MySQL's. `charset` is that of CHARACTER SET; None or binary:
    each column in its own. Raises Refused for a dialect in which two values may look alike.
    """

    terminated: bytes = b"\t"
    enclosed: bytes = b""
    escaped: bytes = b"\\"
    starting: bytes = b""
    ended: bytes = b"\n"
    charset: str | None = None

    def __post_init__(self) -> None:
        if reason := self._unreadable():
            raise Refused(f"files of this dialect cannot be read exactly: {reason}", f"write {_EXAMPLE}")

    def _unreadable(self) -> str | None:
        used = self.terminated[:1] + self.enclosed + self.ended[:1] + self.escaped
        if not self.terminated or not self.ended:
            return "rows of fixed width, without a terminator"
        if len(self.enclosed) > 1 or len(self.escaped) > 1:
            return "ENCLOSED BY and ESCAPED BY are one character"
        if not self.escaped:
            return "without ESCAPED BY, terminators and quotes in values look like delimiters"
        if self.ended[:1] in self.ended[1:]:
            return "LINES TERMINATED BY has its first character twice"
        if len(set(used)) < len(used) or any(byte in _AMBIGUOUS for byte in used):
            return "a character has two meanings"
        return None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parses the clauses of SELECT ... INTO OUTFILE. Raises Refused where it cannot."""
        words = _words(text)
        found: dict[str, Any] = {}
        part = ""
        while words:
            match _keyword(words.pop(0)):
                case "FIELDS" | "COLUMNS":
                    part = "fields"
                case "LINES":
                    part = "lines"
                case "CHARACTER" if words and _keyword(words.pop(0)) == "SET":
                    found["charset"] = _value(words, text).decode().lower()
                case "CHARSET":
                    found["charset"] = _value(words, text).decode().lower()
                # Read in the same way: each field shows whether it is in quotes.
                case "OPTIONALLY":
                    pass
                case "TERMINATED" | "ENCLOSED" | "ESCAPED" | "STARTING" as word if part:
                    name = "ended" if (part, word) == ("lines", "TERMINATED") else word.lower()
                    found[name] = _value(words, text)
                case _:
                    raise _not_understood(text)
        return cls(**found)


type _Word = tuple[str, bytes | None]
"""A keyword, or the bytes of a literal."""


def _words(text: str) -> list[_Word]:
    found: list[_Word] = []
    for match in _TOKEN.finditer(text.strip()):
        single, double, hexadecimal, word, other = match.groups()
        quoted = single if single is not None else double
        if quoted is not None:
            found.append(("", _unquoted(quoted)))
        elif hexadecimal is not None:
            found.append(("", bytes.fromhex(hexadecimal)))
        elif word is not None:
            found.append((word, None))
        else:
            raise _not_understood(text, other)
    return found


def _unquoted(text: str) -> bytes:
    plain = re.sub(r"\\(.)|''", lambda m: _ESCAPES.get(m[1], m[1]) if m[1] else "'", text, flags=re.DOTALL)
    return plain.encode()


def _keyword(word: _Word) -> str:
    return word[0].upper()


def _value(words: list[_Word], text: str) -> bytes:
    while words:
        word, literal = words.pop(0)
        if literal is not None:
            return literal
        if word.upper() != "BY":
            return word.encode()
    raise _not_understood(text)


def _not_understood(text: str, at: str = "") -> Refused:
    place = f" at {at}" if at else ""
    return Refused(f"the dialect is not understood{place}: {text.strip()}", f"write {_EXAMPLE}")
