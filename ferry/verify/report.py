"""Lists the differences of a verify: by table and key, with types and never values."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from ferry.verify.diff import Difference
from ferry.verify.oracle.mapping_entry import Pair

SHOWN = 10


@contextmanager
def listing(file: Path | None, report: Callable[[str], None]) -> Iterator[Callable[[Pair, Difference], None]]:
    """Context manager: takes differences. The first SHOWN are reported, all are written to the file."""
    count = 0
    out: TextIO | None = file.open("w", encoding="utf-8") if file else None

    def take(pair: Pair, difference: Difference) -> None:
        nonlocal count
        count += 1
        line = json.dumps(_fields(pair, difference), ensure_ascii=False)
        if count <= SHOWN:
            report(line)
        if out:
            print(line, file=out)

    try:
        yield take
    finally:
        if out:
            out.close()


def _fields(pair: Pair, difference: Difference) -> dict[str, Any]:
    return {
        "table": pair.target,
        "key": pair.key_fields(difference.member.key),
        "member": difference.member.member or None,
        "kind": difference.kind,
        # Types, never values.
        "expected": difference.expected,
        "found": difference.found,
    }
