import ast
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tests.support.sources import SHIPPED, modules

MOST_FILES, MOST_ENTRIES = 25, 20
SHARED_NAMES: frozenset[str] = frozenset()
"""Public class names that more than one module may define. It may only shrink: at most ten."""


def folders(*names: str) -> Iterator[Path]:
    for name in names:
        top = ROOT / name
        yield from (one for one in (top, *top.rglob("*")) if one.is_dir() and one.name != "__pycache__")


def entries(folder: Path) -> list[Path]:
    return [one for one in folder.iterdir() if one.name != "__pycache__"]


@pytest.mark.parametrize(
    "folder", [*folders(*SHIPPED, "lab")], ids=lambda folder: str(folder.relative_to(ROOT))
)
def test_a_folder_has_few_files(folder: Path) -> None:
    files = [one.name for one in entries(folder) if one.is_file()]
    assert len(files) <= MOST_FILES, "make sub-folders by what the files are for"


def test_the_operators_command_has_few_entries() -> None:
    assert len(entries(ROOT / "ferry")) <= MOST_ENTRIES, "a new file belongs into one of its folders"


def shared_names() -> dict[str, list[str]]:
    """Public class names that two or more modules define, with the modules."""
    homes: dict[str, list[str]] = defaultdict(list)
    for path, tree in modules(*SHIPPED):
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes[node.name].append(path)
    return {name: found for name, found in homes.items() if len(found) > 1}


def test_a_public_class_name_occurs_once() -> None:
    assert shared_names().keys() <= SHARED_NAMES, "name it by what it is of"


def test_the_list_of_shared_names_only_shrinks() -> None:
    assert len(SHARED_NAMES) <= 10
    assert shared_names().keys() >= SHARED_NAMES, "take the name off the list: it occurs once by now"


def test_the_core_imports_the_standard_library_and_itself() -> None:
    allowed = sys.stdlib_module_names | {"rowferry"}
    found = [
        f"{path}:{line}: {name}"
        for path, tree in modules("functions/rowferry")
        for line, name in imported(tree)
        if name.partition(".")[0] not in allowed
    ]
    assert found == []


def imported(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Lines and modules of every import, also of those inside functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, "rowferry" if node.level else str(node.module)


def test_imports_are_found_wherever_they_are() -> None:
    code = "import json, boto3.session\nfrom . import x\ndef f():\n    from pymysql import err\n"
    assert list(imported(ast.parse(code))) == [
        (1, "json"),
        (1, "boto3.session"),
        (2, "rowferry"),
        (4, "pymysql"),
    ]


def drawn() -> Iterator[Path]:
    """The folders in the tree of docs/architecture.md: names that end in /, indented by their depth."""
    page = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    above: list[str] = []
    for line in page.partition("## The tree")[2].split("```")[1].splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        for name in re.split(r"  +", line.strip())[0].split(", "):
            if name.endswith("/"):
                above[depth:] = [name]
                yield Path(*above)


def test_the_tree_is_drawn_as_it_is() -> None:
    pictured = set(drawn())
    packages = {
        found.parent.relative_to(ROOT) for top in SHIPPED for found in ROOT.glob(f"{top}/**/__init__.py")
    }
    assert {one for one in pictured if not (ROOT / one).is_dir()} == set()
    assert packages - pictured == set(), "draw the folder in docs/architecture.md"
