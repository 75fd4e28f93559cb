"""Values of options that several commands have."""

import argparse
from urllib.parse import urlsplit

from rowferry.errors import Refused


def server_address(text: str) -> tuple[str, int]:
    """Host and port of `HOST[:PORT]`. Raises Refused for any other text."""
    try:
        parts = urlsplit(f"//{text}")
        if parts.hostname and parts.username is None and not parts.path:
            return parts.hostname, 3306 if parts.port is None else parts.port
    except ValueError:
        pass
    raise Refused(f"{text} is not a server's address", "write HOST or HOST:PORT")


def positive(text: str) -> int:
    """A type for argparse: a number of at least 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number
