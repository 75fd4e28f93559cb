"""Everything of a mapping compared while nothing is in motion, in chunks so small that there are many."""

from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ferry.verify import tasks
from ferry.verify.diff import Difference
from ferry.verify.full import verify
from ferry.verify.oracle import source_text
from ferry.verify.oracle.mapping_entry import read_pairs
from ferry.verify.scan import Scanner
from ferry.verify.summary import Summary
from ferry.verify.tasks import TaskReader
from rowferry.mysql.address import Address


def verified(
    mapping: Path, address: Address, client: Any, chunk: int = 7
) -> tuple[Summary, list[Difference]]:
    """What was read, and what differs."""
    pairs, found = read_pairs(mapping), list[Difference]()
    connect = partial(source_text.connect, address)
    with (
        TemporaryDirectory() as folder,
        tasks.started(lambda: TaskReader(pairs, connect, client), 0) as executor,
    ):
        summary = verify(
            Scanner(pairs, connect, executor, 1, chunk=chunk),
            Path(folder).joinpath,
            lambda _, one: found.append(one),
            lambda _: None,
        )
    return summary, found
