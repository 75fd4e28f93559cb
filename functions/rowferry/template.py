"""Text with columns in it: `${customerid}|${orderid}`."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from rowferry.errors import MappingError, MissingColumn
from rowferry.values import Row, text

_PART = re.compile(r"\$\$\{|\$\{([^}]*)\}")


@dataclass(frozen=True, slots=True)
class Template:
    """
    `texts` stand before, between and behind the columns, so there is one more of them.

    >>> Template.parse("${customerid}|${orderid}")
    Template(texts=('', '|', ''), columns=('customerid', 'orderid'))
    """

    texts: tuple[str, ...]
    columns: tuple[str, ...] = ()

    @classmethod
    def parse(cls, written: str) -> Self:
        """
        The template in a text; `$${` is a plain `${`. MappingError for a `${` that is not closed.

        >>> Template.parse("$${price}: ${price}").texts
        ('${price}: ', '')
        """
        texts, columns, end = [""], [], 0
        for found in _PART.finditer(written):
            texts[-1] += written[end : found.start()]
            end = found.end()
            if found[0] == "$${":
                texts[-1] += "${"
            elif not found[1]:
                raise MappingError(f"template {written!r}: ${{}} names no column", "write ${column}")
            else:
                columns.append(found[1])
                texts.append("")
        rest = written[end:]
        if "${" in rest:
            raise MappingError(
                f"template {written!r}: a ${{ is not closed", "write ${column}, or $${ for a plain ${"
            )
        texts[-1] += rest
        return cls(tuple(texts), tuple(columns))

    def __str__(self) -> str:
        """The text that `parse` reads."""
        plain = [part.replace("${", "$${") for part in self.texts]
        return plain[0] + "".join(f"${{{c}}}{part}" for c, part in zip(self.columns, plain[1:], strict=True))

    def key(self, row: Row, write: Callable[..., str] = text) -> str | None:
        """The text for a key or a name: None as soon as one of the columns is NULL."""
        values = [_column(row, column) for column in self.columns]
        return None if None in values else self._joined([write(value) for value in values])

    def value(self, row: Row, write: Callable[..., str] = text) -> str | None:
        """The text for an attribute: NULL is empty there, and None where all the columns are NULL."""
        values = [_column(row, column) for column in self.columns]
        if values and all(value is None for value in values):
            return None
        return self._joined(["" if value is None else write(value) for value in values])

    def _joined(self, values: list[str]) -> str:
        return self.texts[0] + "".join(
            value + part for value, part in zip(values, self.texts[1:], strict=True)
        )


def _column(row: Row, column: str) -> object:
    try:
        return row[column]
    except KeyError:
        raise MissingColumn(
            f"a row has no column {column!r}",
            "correct the template in the mapping, or set binlog_row_image=FULL and binlog_row_metadata=FULL",
        ) from None
