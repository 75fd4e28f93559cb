"""What ships is pinned to what is tested, and the locks name no source of packages."""

import shutil
from pathlib import Path

import pytest

from lab.check_locks import LOCKS, ROOT, SHIPPED, complaints, main


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for name in (*LOCKS, *SHIPPED):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def test_the_project_has_nothing_to_complain_about() -> None:
    assert main() == 0


def test_a_shipped_version_that_is_not_the_tested_one_is_named(copy: Path) -> None:
    (copy / SHIPPED[1]).write_text("boto3==1.0.0\nunheard-of==1\n")
    assert [line.split(",")[0] for line in complaints(copy)] == [
        "capturer/requirements.txt has boto3==1.0.0",
        "capturer/requirements.txt has unheard-of==1",
    ]


@pytest.mark.parametrize(
    "line", ["--index-url https://packages.invalid/simple", "--find-links wheels", "/home/me/a.whl"]
)
def test_a_lock_that_names_a_source_is_refused(copy: Path, line: str) -> None:
    with (copy / LOCKS[1]).open("a") as lock:
        lock.write(line + "\n")
    assert complaints(copy) == [f"{LOCKS[1]} names a package source: run make lock"]
    assert main([str(copy)]) == 1
