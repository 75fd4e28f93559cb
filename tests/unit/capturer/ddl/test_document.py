"""docs/ddl.md says what the code does: each line of its tables is tried with statements of its kind."""

import re

import pytest

from capturer.ddl.statements import judge
from capturer.ddl.verdicts import Meaning
from rowferry.mapping import Mapping
from rowferry.mysql.dialect import SqlDialect
from tests.fuzz.kinds import KINDS, StatementKind
from tests.support.paths import ROOT

_LINE = re.compile(r"^\| (.+) \| (followed|stops|passes)\b.* \|$", re.MULTILINE)
DOCUMENT = dict(_LINE.findall((ROOT / "docs" / "ddl.md").read_text()))
TEXT = """
[[table]]
source = "shop.purchase"
target = "purchase"
layout = "item-per-row"
hash_key = { attribute = "id" }
"""
WIDE = Mapping.parse(f'{TEXT}exclude = ["note"]\n')
NARROW = Mapping.parse(f'{TEXT}include = ["quantity"]\n')
WORDS = {
    "{T}": "purchase", "{O}": "other.x", "{S}": "other", "{M}": "shop", "{C}": "quantity", "{N}": "note",
    "{L}": "purchase", "{W}": "extra", "{D}": "purchase", "{Q}": "shop.purchase", "{P}": "x",
    "{X}": "'purchase'",
}  # fmt: skip


def test_the_document_and_the_fuzz_have_the_same_lines() -> None:
    assert {kind.line: kind.outcome for kind in KINDS} == DOCUMENT


CASES = [
    pytest.param(
        kind, flavor, " ".join(WORDS.get(word, word) for word in text.split(" ")), id=f"{flavor} {text}"
    )
    for kind in KINDS
    for flavor in ("mysql", "mariadb")
    for text in kind.on(flavor)
]


@pytest.mark.parametrize(("kind", "flavor", "sql"), CASES)
def test_each_line_of_the_document_is_what_happens(kind: StatementKind, flavor: str, sql: str) -> None:
    dialect = SqlDialect(flavor, (9, 7, 4) if flavor == "mysql" else (10, 11, 18))
    mapping = NARROW if kind.line.startswith("columns that do not travel") else WIDE
    verdict = judge(sql, "shop" if kind.names_mapped else "other", mapping, dialect)
    # Whether a value is kept, or a mapped table reached, the server decides.
    asked = bool(verdict.retypes or verdict.writes)
    stops = verdict.meaning is Meaning.STOP
    assert stops or kind.outcome != "stops", sql
    assert asked or not stops or kind.outcome == "stops", sql
