"""Text with columns in it: `${customerid}|${orderid}`."""

import re
from dataclasses import dataclass
from typing import Self

from rowferry.errors import MappingError, MissingColumn
from rowferry.values import Row, Value, text

_OPENING = re.compile(r"(\$+)\{")
_TRAILING = re.compile(r"\$+$")


@dataclass(frozen=True, slots=True)
class Template:
    """
    `texts` are before, between and after the columns, so there is one more of them.

    >>> Template.parse("${customerid}|${orderid}")
    Template(texts=('', '|', ''), columns=('customerid', 'orderid'))
    """

    texts: tuple[str, ...]
    columns: tuple[str, ...] = ()

    @classmethod
    def parse(cls, written: str) -> Self:
        """
        The template in a text. Raises MappingError for a column that is not closed, or has no name.

        Before `{`, two dollars are one plain dollar: `$${` is the text `${`,
        and `$$${price}` is a dollar and the price.

        >>> Template.parse("$${price}: $$${price}").texts
        ('${price}: $', '')
        """
        texts, columns, end = [""], [], 0
        while found := _OPENING.search(written, end):
            dollars, is_column = divmod(len(found[1]), 2)
            texts[-1] += written[end : found.start()] + "$" * dollars
            end = found.end()
            if not is_column:
                texts[-1] += "{"
                continue
            name, closed, _ = written[end:].partition("}")
            if not closed or not name:
                raise MappingError(
                    f"template {written!r}: a ${{ is not closed, or names no column",
                    "write ${column}, or $${ for a plain ${",
                )
            columns.append(name)
            texts.append("")
            end += len(name) + 1
        texts[-1] += written[end:]
        return cls(tuple(texts), tuple(columns))

    def __str__(self) -> str:
        """The text that `parse` reads."""
        plain = [_OPENING.sub(lambda found: found[1] * 2 + "{", part) for part in self.texts]
        before = [_TRAILING.sub(lambda found: found[0] * 2, part) for part in plain[:-1]]
        return "".join(f"{part}${{{c}}}" for part, c in zip(before, self.columns, strict=True)) + plain[-1]

    @property
    def alone(self) -> str | None:
        """The column, if the template is one column and no text; otherwise None."""
        return self.columns[0] if self.texts == ("", "") else None

    def key(self, row: Row) -> str | None:
        """The text for a key or a name: None if any of the columns is NULL."""
        values = [_column(row, column) for column in self.columns]
        return None if None in values else self._joined([text(value) for value in values])

    def value(self, row: Row) -> str | None:
        """The text for an attribute: a NULL column is empty; None if all the columns are NULL."""
        values = [_column(row, column) for column in self.columns]
        if values and all(value is None for value in values):
            return None
        return self._joined(["" if value is None else text(value) for value in values])

    def _joined(self, values: list[str]) -> str:
        return self.texts[0] + "".join(
            value + part for value, part in zip(values, self.texts[1:], strict=True)
        )


def _column(row: Row, column: str) -> Value:
    try:
        return row[column]
    except KeyError:
        raise MissingColumn(
            f"a row has no column {column!r}",
            "correct the template in the mapping, or set binlog_row_image=FULL and binlog_row_metadata=FULL",
        ) from None
