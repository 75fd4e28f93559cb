import argparse
import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferry.commands.mapping import run_import, toml_text
from rowferry.mapping import Mapping
from tests.support.paths import FUNCTIONS, ROOT

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
VALUES = st.recursive(
    TEXTS | st.booleans() | st.integers(-(2**63), 2**63 - 1),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(TEXTS, inside, max_size=3),
    max_leaves=8,
)
TABLES = st.lists(st.dictionaries(TEXTS, VALUES, max_size=4), min_size=1, max_size=3)


@given(TABLES)
def test_a_document_is_the_same_when_it_is_read_again(tables: list[dict[str, Any]]) -> None:
    assert tomllib.loads(toml_text({"table": tables}, ["From here", "two\nlines"])) == {"table": tables}


def test_the_comments_are_at_the_top_and_an_entry_has_a_line_a_word() -> None:
    document = {
        "table": [{"source": "a.b", "hash_key": {"attribute": "c", "type": "S"}, "exclude": ["x"]}] * 2
    }
    entry = '[[table]]\nsource = "a.b"\nhash_key = {attribute = "c", type = "S"}\nexclude = ["x"]\n'
    assert toml_text(document, ["From a.json", "one\ntwo"]) == (
        f"# From a.json\n# one\n# two\n\n{entry}\n{entry}"
    )


def test_the_import_prints_the_mapping_that_the_json_says(capsys: pytest.CaptureFixture[str]) -> None:
    given_file = FUNCTIONS / "article-dms.json"
    context: Any = None
    assert run_import(argparse.Namespace(file=given_file), context) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("# From article-dms.json, AWS DMS.\n")
    assert Mapping.parse(printed) == Mapping.load(given_file)


def test_names_with_blanks_and_quotes_come_through(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rules = json.loads((FUNCTIONS / "article-dms.json").read_text(encoding="utf-8"))
    named = json.dumps(rules).replace("mydatabase", "mein 'Laden' 7")
    (tmp_path / "dms.json").write_text(named, encoding="utf-8")
    context: Any = None
    assert run_import(argparse.Namespace(file=tmp_path / "dms.json"), context) == 0
    assert Mapping.parse(capsys.readouterr().out) == Mapping.load(tmp_path / "dms.json")


def test_other_commands_do_not_wait_for_its_library() -> None:
    code = "import sys, ferry.cli; ferry.cli.parser(); sys.exit('tomlkit' in sys.modules)"
    environment = {"PYTHONPATH": f"{FUNCTIONS}:{ROOT}"}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
