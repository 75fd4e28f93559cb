"""The option that names the method of a load from files, and its old name."""

import argparse

import pytest

from ferry.loading import from_files
from rowferry.errors import Refused


def method(*words: str) -> str:
    parser = argparse.ArgumentParser()
    from_files.add_options(parser)
    return from_files.method_of(parser.parse_args(words))


def test_the_method_is_files_where_none_is_given() -> None:
    assert method() == "files"


@pytest.mark.parametrize("option", ["--method", "--road"])
@pytest.mark.parametrize("name", ["files", "import"])
def test_the_old_name_of_the_option_still_works(option: str, name: str) -> None:
    assert method(option, name) == name


def test_both_names_must_agree() -> None:
    assert method("--method", "import", "--road", "import") == "import"
    with pytest.raises(Refused, match="leave out --road"):
        method("--method", "files", "--road", "import")


def test_the_old_name_is_not_in_the_help() -> None:
    parser = argparse.ArgumentParser()
    from_files.add_options(parser)
    assert "--method" in parser.format_help() and "--road" not in parser.format_help()
