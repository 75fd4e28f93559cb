"""Verify's connections to the source: all of one verify to the same server, whatever its address leads to."""

from collections.abc import Callable
from contextlib import closing
from typing import Any

from ferry.verify.oracle import source_text
from rowferry.errors import Refused


def connect(open_: Callable[[], Any], identity: str) -> Any:
    """
    A connection of source_text's, which `open_` opens. Raises Refused where it leads to another server than
    `identity`, the one that was captured when the verify began; empty: whichever it is.
    """
    connection = open_()
    if identity and (found := source_text.identity(connection)) != identity:
        with closing(connection):
            raise Refused(
                f"the source is server {found} now, this verify reads server {identity}: nothing is proved",
                f"run it again once `ferry status` shows server {found}",
            )
    return connection
