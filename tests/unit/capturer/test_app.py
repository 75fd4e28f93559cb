"""The capturer's command."""

import pytest

from capturer.app import arguments, main
from rowferry.position import BinlogOffset


def test_options_come_from_the_environment_too() -> None:
    environment = {"STREAM_NAME": "s", "CONTROL_TABLE": "t", "SOURCE_HOST": "h", "LANES": "8"}
    options = arguments(["--skip", "b.7:9", "--source-port", "3307"], environment)
    assert (options.stream, options.lanes, options.source_port, options.source_server_id) == (
        "s",
        8,
        3307,
        740047,
    )
    assert (options.skip, options.reset) == ([BinlogOffset("b.7", 9)], "")
    more = arguments([], environment | {"SKIP": "b.7:9, b.8:4,", "CAPTURER_RESET": "monday"})
    assert (more.skip, more.reset) == ([BinlogOffset("b.7", 9), BinlogOffset("b.8", 4)], "monday")
    assert arguments([], environment | {"SKIP": "", "CAPTURER_RESET": ""}).skip == []


_NEEDED = {"STREAM_NAME": "s", "CONTROL_TABLE": "t", "SOURCE_HOST": "h"}


@pytest.mark.parametrize(
    ("argv", "environment", "word"),
    [
        (["--anew", "monday"], {}, "monday"),
        (["--anew", "monday", "--reset", "monday"], {}, "monday"),
        (
            [],
            {"ANEW": "monday", "CAPTURER_RESET": ""},
            "monday",
        ),  # a stack that was deployed with CapturerAnew
        ([], {"ANEW": "monday", "CAPTURER_RESET": "monday"}, "monday"),
        ([], {"ANEW": "", "CAPTURER_RESET": "tuesday"}, "tuesday"),
        ([], {"ANEW": "", "CAPTURER_RESET": ""}, ""),
        (["--reset", "tuesday"], {"ANEW": "monday"}, "tuesday"),  # the command line wins, as for every option
        (["--reset", ""], {"CAPTURER_RESET": "monday"}, ""),
    ],
)
def test_the_former_name_of_reset_gives_the_same_word(
    argv: list[str], environment: dict[str, str], word: str
) -> None:
    assert arguments(argv, _NEEDED | environment).reset == word


@pytest.mark.parametrize(
    ("argv", "environment", "said"),
    [
        (["--anew", "monday", "--reset", "tuesday"], {}, "--reset is 'tuesday' and --anew, its former name"),
        (
            [],
            {"ANEW": "monday", "CAPTURER_RESET": "tuesday"},
            "CAPTURER_RESET is 'tuesday' and ANEW, its former name",
        ),
    ],
)
def test_two_words_for_one_reset_are_refused_with_the_fix(
    argv: list[str], environment: dict[str, str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        arguments(argv, _NEEDED | environment)
    assert ended.value.code == 2
    text = capsys.readouterr()[1]
    assert said in text and "CapturerAnew=''" in text


def test_the_former_name_of_reset_is_not_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        arguments(["--help"], {})
    text = capsys.readouterr()[0].lower()
    assert "--reset word" in text and "anew" not in text


def test_a_wrong_skip_in_the_environment_exits_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    environment = {"STREAM_NAME": "s", "CONTROL_TABLE": "t", "SOURCE_HOST": "h", "SKIP": "b.7:9;b.8:4"}
    with pytest.raises(SystemExit) as ended:
        arguments([], environment)
    assert ended.value.code == 2
    assert "SKIP" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "--source-host"),
        (["--source-host", "h", "--lanes", "0"], "0 is not from 1 to 4096"),
        (["--source-host", "h", "--skip", "x"], "is not FILE:OFFSET"),
    ],
)
def test_wrong_options_exit_with_2(argv: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        arguments(argv, {"STREAM_NAME": "s", "CONTROL_TABLE": "t"})
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_the_help_has_examples_and_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    text = capsys.readouterr().out
    assert ended.value.code == 0
    assert "examples:" in text
    assert "exit codes:" in text
