"""The benchmarks measure what they say, and the decoder keeps its distance."""

import json
from pathlib import Path

import pytest

from benchmarks import __main__ as command

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:'db' is deprecated"),  # by the library that is compared with
]


NAMES = ["decoder_multi", "decoder_single", "capture_multi", "capture_single", "bulk_direct"]


def test_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "REPORT", tmp_path / "bench" / "report.json")
    assert command.main(["--rows", "10000", "--rounds", "5", *NAMES]) == 0
    figures = json.loads((tmp_path / "bench" / "report.json").read_text())
    assert [figure["name"] for figure in figures] == NAMES
    for figure in figures:
        assert set(figure) == {"name", "value", "unit", "baseline", "ratio"}
        assert figure["ratio"] == pytest.approx(figure["value"] / figure["baseline"], rel=0.01)
        if figure["name"].startswith("decoder"):
            assert figure["ratio"] > 5  # 12 and 10 were measured; a busy machine takes some


def test_import_files_next_to_the_articles_scripts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "REPORT", tmp_path / "report.json")
    assert command.main(["--rows", "20000", "--rounds", "2", "bulk_files"]) == 0
    figures = json.loads((tmp_path / "report.json").read_text())
    assert [figure["name"] for figure in figures] == ["bulk_files", "bulk_files_written"]
    for figure in figures:
        assert figure["unit"] == "rows/s"
        assert figure["ratio"] == pytest.approx(figure["value"] / figure["baseline"], rel=0.01)
    assert figures[0]["ratio"] > 5  # 50 was measured; a busy machine takes some
