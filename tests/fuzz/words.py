"""Random names as SQL may write them, and what may stand between words."""

import re
from dataclasses import dataclass
from random import Random

NAMES = (
    "t", "purchase", "Purchase", "t1", "T1", "1t", "$t", "_", "é", "É", "t€", "ลูกค้า", "a·b", "a\u00a0b",
    "日本\u3000語", "ſ", "Ω", "ω", "t.x", "a b", "b\\", 'b"c', "b`c", "it's", "#1", "50%", "a/b", "--", "/*",
    "*/", "x;y", "select", "table", "key", "1e5", "0x1f", "'", "\u200b", "unique", "to", "order",
)  # fmt: skip
_PLAIN = re.compile(r"[0-9A-Za-z$_\x80-\uffff]+")
_NUMBER = re.compile(r"[0-9]+(e[0-9]*)?|0x[0-9a-f]+|0b[01]+|[0-9]+e.*", re.IGNORECASE)
_RESERVED = frozenset(["select", "table", "key", "unique", "to", "order"])


@dataclass(frozen=True, slots=True)
class SqlWriter:
    """Writes words and names for one session. `hidden` are names that comments and texts may hold."""

    random: Random
    mariadb: bool
    ansi_quotes: bool
    backslash_escapes: bool
    hidden: tuple[str, ...]

    def name(self, name: str) -> str:
        plain = _PLAIN.fullmatch(name) and not _NUMBER.fullmatch(name) and name.lower() not in _RESERVED
        if plain and self.random.random() < 0.5:
            return name
        if self.ansi_quotes and self.random.random() < 0.5:
            return '"' + name.replace('"', '""') + '"'
        return "`" + name.replace("`", "``") + "`"

    def dotted(self, *names: str) -> str:
        """Names with dots between them, and perhaps with white space around the dots."""
        text = self.name(names[0])
        for name in names[1:]:
            gap = self.random.choice(["", "", "", " ", "\t", "\n", "/**/"])
            text += f"{gap}.{self.random.choice(['', '', ' '])}{self.name(name)}"
        return text

    def text(self) -> str:
        """A text, with a mapped name in it."""
        inside = self.random.choice([*self.hidden, "x", ""])
        inside = self.random.choice(
            [inside, f"DROP TABLE {inside}", f"'{inside}", f"{inside}\\", f"\\{inside}"]
        )
        quote = "'" if self.ansi_quotes or self.random.random() < 0.7 else '"'
        if self.backslash_escapes:
            inside = inside.replace("\\", "\\\\")
            escape = self.random.choice([f"\\{quote}", quote * 2])
            return f"{quote}{inside.replace(quote, escape)}{quote}"
        return f"{quote}{inside.replace(quote, quote * 2)}{quote}"

    def gap(self) -> str:
        """White space or a comment."""
        hidden = self.random.choice(self.hidden).replace("*/", "").replace("/*", "").replace("\n", " ")
        choices = [
            "\t", "\n", "\r\n", "\v", "\f", "/**/ ", "/*! */", "/*!50000*/ ", f" /* {hidden} */ ",
            f" -- TRUNCATE {hidden}\n", f" #{hidden}\n", f" --\t'{hidden}\n",
            f" /*!999999 , {hidden} */ ", f" /*!999999 /* {hidden} */ x */ ", f" /*M!999999 {hidden}*/ ",
        ]  # fmt: skip
        return " " if self.random.random() < 0.75 else self.random.choice(choices)

    def join(self, words: list[str]) -> str:
        """The statement: gaps between its words; perhaps a part of it in a comment that is executed."""
        text = "".join(word + self.gap() for word in words[:-1]) + words[-1]
        if self.random.random() < 0.08 and not any(sign in text for sign in ("/*", "*/", "--", "#")):
            mine = ["/*M!", "/*M!100000 ", "/*!100100 "] if self.mariadb else ["/*!80000 ", "/*!090000 "]
            cut = self.random.randrange(len(words))
            opened = self.random.choice(["/*!", "/*!50000 ", "/*!50699 ", *mine])
            text = f"{' '.join(words[:cut])} {opened}{' '.join(words[cut:])} */"
        return text + self.random.choice(["", "", "", " ", " -- x", " /* x */", ";", " ; "])
