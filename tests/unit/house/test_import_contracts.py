"""The import checker of `make check` sees what it is for: each contract is broken on purpose, in a copy."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.support.paths import ROOT

PACKAGES = ("functions/rowferry", "functions/apply_changes", "capturer", "bulkload", "ferry")
LAYERS = "ferry's layers"
ORACLE = "the oracle believes nothing that it checks"
READING = "what verify reads and compares with is not what it checks"
BROKEN = [  # contract, file (also one that is not there yet), the import that breaks it
    ("the core is standard library only", "functions/rowferry/position.py", "import boto3"),
    ("the core's layers", "functions/rowferry/values/numeric.py", "import rowferry.items.keys"),
    ("consumer, capturer and bulk load do not know each other", "capturer/app.py", "import bulkload.lock"),
    ("nobody imports the operator's command", "bulkload/spark/runner.py", "import ferry.context"),
    (
        "ferry sees of the capturer only replay and state.status",
        "ferry/status/lag.py",
        "import capturer.source.binlog",
    ),
    (LAYERS, "ferry/status/lag.py", "import ferry.cutover.fences"),
    (LAYERS, "ferry/another.py", "import ferry.context"),
    ("commands do not import each other", "ferry/commands/load.py", "import ferry.commands.throttle"),
    (ORACLE, "ferry/verify/oracle/values.py", "import rowferry.items.effects"),
    (ORACLE, "ferry/verify/oracle/another.py", "import ferry.verify.diff"),
    (READING, "ferry/verify/diff.py", "import rowferry.items.folding"),
    (READING, "ferry/verify/another.py", "import bulkload.direct.grouping"),
]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def checked(tree: Path) -> tuple[int, set[str]]:
    """The checker's exit status, and the contracts that it calls broken."""
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache", "--no-logo"]
    environment = {**os.environ, "PYTHONPATH": f"{tree / 'functions'}:{tree}", "COLUMNS": "200"}
    done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)
    assert "Contracts: " in done.stdout, done.stdout + done.stderr
    return done.returncode, set(re.findall(r"^(.+) BROKEN", done.stdout, re.MULTILINE))


def test_the_tree_as_it_is_keeps_every_contract(copy: Path) -> None:
    assert checked(copy) == (0, set())


@pytest.mark.parametrize(("contract", "file", "line"), BROKEN)
def test_one_import_breaks_a_contract(copy: Path, contract: str, file: str, line: str) -> None:
    with (copy / file).open("a", encoding="utf-8") as module:
        module.write(f"\n{line}\n")
    status, broken = checked(copy)
    assert status != 0
    assert contract in broken


def test_every_contract_is_tried() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    names = {contract["name"] for contract in project["tool"]["importlinter"]["contracts"]}
    assert names == {contract for contract, _, _ in BROKEN}


def test_the_checker_is_part_of_the_check() -> None:
    assert "lint-imports" in (ROOT / "lab/check.sh").read_text(encoding="utf-8")
