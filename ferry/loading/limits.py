"""The options that limit a load."""

import argparse

from bulkload.throttle.limits import Limits

_OPTIONS = {
    "wcu": ("WCU/s that all processes together write", "--max-wcu"),
    "rows": ("rows/s that all processes together read", "--max-rows"),
    "threads_running": ("no new chunk while more threads are running at the source", "--max-threads-running"),
    "lag": ("no new chunk while the replica's lag is above so many seconds", "--max-lag"),
}


def add_limits(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("limits (0: none)")
    for help_, option in _OPTIONS.values():
        group.add_argument(option, type=_number, metavar="N", help=help_)


def _number(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError("must be 0 or more")
    return number


def limits_of(arguments: argparse.Namespace) -> Limits:
    """The limits of the arguments; those that are not given are none."""
    return Limits().changed(given_limits(arguments))


def given_limits(arguments: argparse.Namespace) -> dict[str, int]:
    found = {name: getattr(arguments, f"max_{name}") for name in _OPTIONS}
    return {name: value for name, value in found.items() if value is not None}
