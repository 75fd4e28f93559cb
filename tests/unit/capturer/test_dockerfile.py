"""The image, as far as a machine without Docker can tell: what it copies is enough to import and to run."""

import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT

INSTRUCTIONS = [
    line.split(maxsplit=1)
    for line in (ROOT / "capturer/Dockerfile").read_text().replace("\\\n", " ").splitlines()
    if line and not line.startswith("#")
]


def arguments(name: str) -> list[str]:
    return [argument for instruction, argument in INSTRUCTIONS if instruction == name]


def ignored(folder: str, names: list[str]) -> set[str]:
    return {name for name in names if name == "__pycache__"}


def copy(line: str, app: Path) -> None:
    """One COPY, as Docker does it: a folder's content into the target, files into the target folder."""
    *sources, target = shlex.split(line)
    if not target.startswith("/"):
        for source in [found for pattern in sources for found in ROOT.glob(pattern)]:
            if source.is_dir():
                shutil.copytree(source, app / target, ignore=ignored)
            else:
                shutil.copy(source, app / target)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("image") / "app"
    folder.mkdir()
    for line in arguments("COPY"):
        copy(line, folder)
    return folder


def test_the_core_and_a_mapping_are_there_without_the_checkout(app: Path) -> None:
    code = """if True:
        import pkgutil, sys
        sys.path.insert(0, ".")
        import rowferry
        for module in pkgutil.iter_modules(rowferry.__path__):
            __import__(f"rowferry.{module.name}")
        from pathlib import Path
        from rowferry.mapping import Mapping
        Mapping.load(Path("purchase.toml"))
        print(rowferry.__file__)
    """
    command = [sys.executable, "-S", "-I", "-c", code]
    done = subprocess.run(command, cwd=app, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).is_relative_to(app)


def test_the_load_and_its_commands_are_there_too(app: Path) -> None:
    command = [sys.executable, "-m", "ferry.cli", "load", "--help"]
    done = subprocess.run(command, cwd=app, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    code = (
        "from bulkload.direct import pool; import ferry.cli, hooks; print(pool.__file__, ferry.cli.__file__)"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=app, capture_output=True, text=True, check=True)
    assert all(Path(name).is_relative_to(app) for name in found.stdout.split())


def test_what_the_load_imports_is_installed() -> None:
    required = (ROOT / "capturer/requirements.txt").read_text()
    assert all(f"\n{name}==" in f"\n{required}" for name in ("boto3", "pymysql", "rich"))


def test_it_starts_without_a_shell_so_that_sigterm_arrives() -> None:
    assert json.loads(arguments("ENTRYPOINT")[0]) == ["python", "-m", "capturer.app"]
    assert not arguments("CMD")


def test_it_runs_as_nobody_special() -> None:
    user, _, group = arguments("USER")[-1].partition(":")
    assert int(user) > 0
    assert int(group) > 0


def test_the_base_image_is_one_exact_python_3_13() -> None:
    image = arguments("ARG")[0].partition("=")[2]
    assert image.startswith("python:3.13.")
    assert image.split("-")[0].count(".") == 2


def test_everything_copied_is_let_through_by_dockerignore() -> None:
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    for line in arguments("COPY"):
        for source in shlex.split(line)[:-1]:
            assert any(source == entry or source.startswith(f"{entry}/") for entry in allowed), source
