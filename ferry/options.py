"""Values of options that several commands take."""

import argparse
from urllib.parse import urlsplit

from rowferry.errors import Refused


def server_address(text: str) -> tuple[str, int]:
    """Host and port of `HOST[:PORT]`. Refused when it is none."""
    try:
        parts = urlsplit(f"//{text}")
        if parts.hostname and parts.username is None and not parts.path:
            return parts.hostname, 3306 if parts.port is None else parts.port
    except ValueError:
        pass
    raise Refused(f"{text} is no server's address", "write HOST or HOST:PORT")


def positive(text: str) -> int:
    """An option's number of at least 1, for argparse."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number
