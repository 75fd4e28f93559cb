"""The project's own Python files, for the tests of the rules that hold all over."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ("functions", "capturer", "bulkload", "ferry")


def modules(*folders: str) -> Iterator[tuple[str, ast.Module]]:
    """Every module below the folders: its path from the root, and its tree."""
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield str(path.relative_to(ROOT)), _tree(path)


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))
