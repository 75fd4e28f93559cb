"""What capture works with, and what its parts report to each other."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from capturer.source.binlog import Binlog, ReplicationClient
from capturer.source.demands import Demands
from capturer.state.lease import Lease
from capturer.state.status import CaptureStatus
from capturer.telemetry import Metrics
from rowferry.control_table import ControlTable
from rowferry.mapping import Mapping
from rowferry.position import BinlogOffset


@dataclass(frozen=True, slots=True)
class CaptureParts:
    """
    What capture works with. Tests use other parts, and a simulation a world of its own.

    `clock` returns seconds and never goes back; `now_ms` returns milliseconds since 1970. `reset` is the word
    of --reset, empty for none; `skip` are the boundaries of transactions that the operator has dealt with.
    `binlog` begins a pass over the binlog: it is called like the class Binlog; so is `demands`.
    """

    source: ReplicationClient
    mapping: Mapping
    lanes: int
    control: ControlTable
    kinesis: Any
    stream: str
    lease: Lease
    metrics: Metrics
    skip: Iterable[BinlogOffset] = ()
    reset: str = ""
    clock: Callable[[], float] = time.monotonic
    now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000
    random: Random = Random()  # noqa: RUF009 - one for all is enough for jitter
    binlog: Callable[..., Binlog] = Binlog
    demands: Callable[..., Demands] = Demands


@dataclass(slots=True)
class Vitals:
    """
    What reading and sending report, and keeping saves. Each field has one writer and is replaced whole, so no
    lock is needed.

    `reading` is written by the reader, `sending` (why records are refused; empty: they are not) and `lag_ms`
    (longest time from commit to stream since the last look) by the senders.
    """

    reading: CaptureStatus = field(default_factory=CaptureStatus)
    sending: str = ""
    lag_ms: int = 0
