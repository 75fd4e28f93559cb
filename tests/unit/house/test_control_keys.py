import ast
from collections.abc import Iterator

import pytest

from rowferry import control_table
from rowferry.control_table import KEYS
from tests.support.sources import SHIPPED, modules

HOME = "functions/rowferry/control_table.py"
CODE = (*SHIPPED, "lab", "examples", "benchmarks")
CONSTANTS = {name: value for name, value in vars(control_table).items() if name.isupper() and name != "KEYS"}
FAMILIES = tuple(pattern.split("#")[0] + "#" for pattern in (key.pattern for key in KEYS) if "#" in pattern)
METHODS = {"get", "put", "update", "items"}
TABLES = {"control", "_control"}


def test_every_name_of_a_key_is_in_the_list() -> None:
    listed = {key.pattern for key in KEYS}
    assert len(listed) == len(KEYS)
    assert {value for name, value in CONSTANTS.items() if name != "AUDIT"} <= listed
    made = {
        control_table.load_key("SCHEMA.TABLE"),
        control_table.merge_key("TARGET"),
        control_table.import_key("TARGET"),
        control_table.marker_key("ID"),
        control_table.finalize_key("TARGET"),
        control_table.chunk_key("SCHEMA.TABLE", 1).replace("000001", "N"),
        control_table.segment_key("TARGET", 0).replace("#0", "#N"),
        control_table.audit_key(0, "ID").replace("0" * 14, "MS"),
    }
    assert listed == made | {value for name, value in CONSTANTS.items() if name != "AUDIT"}


def test_a_chunk_is_known_by_its_key() -> None:
    key = control_table.chunk_key("a.b#c", 12)
    assert key.startswith(control_table.chunks_of("a.b#c")) and control_table.chunk_number(key) == 12


def test_audit_keys_sort_by_time() -> None:
    assert control_table.audit_key(999, "f") < control_table.audit_key(1_700_000_000_000, "0")


def test_no_module_writes_a_key_of_its_own() -> None:
    found = [f"{path}:{line}" for path, tree in modules(*CODE) if path != HOME for line in written(tree)]
    assert found == [], "rowferry/control_table.py has every key"


def written(tree: ast.AST) -> Iterator[int]:
    """Lines in which a key stands as text."""
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=str(text)) if text.startswith(FAMILIES):
                yield node.lineno
            case ast.JoinedStr(values=parts) if any(_names_a_key(part) for part in parts):
                yield node.lineno
            case ast.Call(func=ast.Attribute(attr=method, value=table), args=[ast.Constant(), *_]) if (
                method in METHODS and _last_name(table) in TABLES
            ):
                yield node.lineno
            case ast.Dict(keys=keys, values=values):
                for key, value in zip(keys, values, strict=True):
                    if isinstance(key, ast.Constant) and key.value == "pk" and _is_text(value):
                        yield value.lineno


def _names_a_key(part: ast.expr) -> bool:
    return (
        isinstance(part, ast.FormattedValue)
        and isinstance(part.value, ast.Name)
        and part.value.id in CONSTANTS
    )


def _last_name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _is_text(value: ast.expr) -> bool:
    parts = value.values if isinstance(value, ast.Dict) else [value]
    return any(isinstance(part, ast.Constant | ast.JoinedStr) for part in parts)


@pytest.mark.parametrize(
    "line",
    [
        'pk = f"load#{source}"',
        'pk = "import#" + target',
        'pk = f"{MARKER}#{id}"',
        'self.control.update("brake", set={"n": 1})',
        'control.get("checkpoint")',
        'client.get_item(TableName=name, Key={"pk": {"S": "lease"}})',
        'fields = {"pk": f"part#{n}"}',
    ],
)
def test_a_key_of_its_own_is_found(line: str) -> None:
    assert list(written(ast.parse(line))) == [1]
