"""Everything of a mapping compared while nothing is in motion, in chunks so small that there are many."""

from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bulkload.connection import Address
from ferry import readers, reading
from ferry.comparing import verify
from ferry.comparison import Difference
from ferry.gathering import Gathering
from ferry.pieces import Reader
from ferry.places import read_pairs
from ferry.summary import Summary


def verified(
    mapping: Path, address: Address, client: Any, chunk: int = 7
) -> tuple[Summary, list[Difference]]:
    """What was read, and what differs."""
    pairs, found = read_pairs(mapping), list[Difference]()
    connect = partial(reading.connect, address)
    with (
        TemporaryDirectory() as folder,
        readers.started(lambda: Reader(pairs, connect, client), 0) as executor,
    ):
        summary = verify(
            Gathering(pairs, connect, executor, 1, chunk=chunk),
            Path(folder).joinpath,
            lambda _, one: found.append(one),
            lambda _: None,
        )
    return summary, found
