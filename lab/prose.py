"""
How documents are written, and which words no text of the project uses any more.

Documents are read by paragraph, so that a word is found over the end of a line. Of Python only strings and
comments are read. What is in code spans counts: an alias that is kept is in ALIASES.
"""

import io
import re
import tokenize
from collections.abc import Iterator

LONGEST = 120
"""Characters in a line of a document."""
BANNED = re.compile(
    r"\b(told|anew|mended|set\s+aside|what\s+became\s+of|stands\s+in|lies\s+(?:at|below|above|behind))\b",
    re.IGNORECASE,
)
"""Each had a sense of its own here. The words are: reported, again, repaired, quarantined, outcome, is."""
ALIASES = re.compile(r"""--anew\b|\bANEW\b|"anew"|["`]mended["`]|--road\b|`roads`|\btest-roads\b""")
"""Old names of options, variables and stored fields that work for one more release. May only shrink."""
DOCUMENTS_ONLY = re.compile(r"\broads?\b", re.IGNORECASE)
"""The method of a load, as it was called."""

_FENCE = re.compile(r"\s*```")
_SPAN = re.compile(r"(`+).*?\1", re.DOTALL)
_TEXT = {tokenize.STRING, tokenize.COMMENT, tokenize.FSTRING_MIDDLE}


def of_document(text: str) -> Iterator[tuple[int, str]]:
    """(line, what is wrong) of a document in Markdown."""
    for number, line in enumerate(text.splitlines(), 1):
        if len(line) > LONGEST:
            yield number, f"{len(line)} characters, {LONGEST} are the most"
    for number, paragraph, is_code in _paragraphs(text):
        for pattern in (BANNED, DOCUMENTS_ONLY):
            for word in _words(pattern, paragraph):
                yield number, f"says {word!r}"
        if not is_code and _is_broken(paragraph):
            yield number, "has emphasis or a code span that does not end"


def of_python(source: str) -> Iterator[tuple[int, str]]:
    """(line, what is wrong) of a Python file's strings and comments."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type in _TEXT:
            for word in _words(BANNED, token.string):
                yield token.start[0], f"says {word!r}"


def _words(pattern: re.Pattern[str], text: str) -> list[str]:
    return [" ".join(found.group().split()) for found in pattern.finditer(ALIASES.sub("", text))]


def _is_broken(paragraph: str) -> bool:
    rest = _SPAN.sub("", paragraph)
    return "`" in rest or rest.count("**") % 2 == 1


def _paragraphs(text: str) -> Iterator[tuple[int, str, bool]]:
    """The first line of each block, the block, whether it is code. A list's entry is a block of its own."""
    begun, block, fenced = 1, list[str](), False
    for number, line in enumerate([*text.splitlines(), ""], 1):
        is_fence = bool(_FENCE.match(line))
        if is_fence or not line.strip() or re.match(r"\s*([-*] |\d+\. |\||#)", line):
            if block:
                yield begun, "\n".join(block), fenced
            begun, block = number, []
            fenced ^= is_fence
        if line.strip() and not is_fence:
            begun = begun if block else number
            block.append(line)
