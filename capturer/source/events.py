"""
The events that capture works with: the decoder's, and one for what could not be decoded.

`start` and `end` are byte offsets in the file that the newest Rotate named, as 64 bit (the binlog's own are
32 bit and wrap in files over 4 GiB).
"""

from collections.abc import Sequence
from typing import NamedTuple

from capturer.decoder import events as decoded
from rowferry.errors import PASS


class Unreadable(NamedTuple):
    """
    Something that may change a mapped table and cannot be decoded: what was found, and the fix.

    `last`: nothing more of its transaction follows, because it was a compressed one. `remedy` and `tables` as
    in CaptureStopped; no tables means all mapped ones.
    """

    start: int
    end: int
    found: str
    fix: str
    last: bool = False
    remedy: str = PASS
    tables: Sequence[str] = ()


type Event = decoded.Event | Unreadable
