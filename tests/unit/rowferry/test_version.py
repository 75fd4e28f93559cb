"""The version is in one place, and the changelog and both commands agree with it."""

import re
import tomllib
from pathlib import Path

import pytest

import capturer.app
import ferry.cli
from rowferry import __version__

ROOT = Path(__file__).resolve().parents[3]


def test_it_is_a_semantic_version() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", __version__)


def test_the_package_takes_it_from_the_core() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert "version" not in project["project"]
    assert project["project"]["dynamic"] == ["version"]
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "rowferry.__version__"}


def test_the_changelog_s_newest_version_is_this_one() -> None:
    headings = re.findall(
        r"^## (\d\S*) - \d{4}-\d\d-\d\d$",
        (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    assert headings[0] == __version__


@pytest.mark.parametrize("ask", [ferry.cli.main, lambda argv: capturer.app.arguments(argv, {})])
def test_both_commands_print_it(ask: object, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        ask(["--version"])  # type: ignore[operator]
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"rowferry {__version__}\n"
