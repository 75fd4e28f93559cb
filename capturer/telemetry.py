"""Log lines and metrics, as JSON on standard output. Never a row's value, never a secret."""

import json
import logging
import sys
import traceback
from collections.abc import Callable, Mapping
from typing import Any, TextIO

from capturer.state.status import Counters

NAMESPACE = "Rowferry"
PERIOD = 10.0
"""Seconds between metrics."""
METRICS: Mapping[str, tuple[str, str]] = {
    "CapturerHeartbeat": ("Count", "1 while capture runs"),
    "CapturedChanges": ("Count", "row changes that the stream has accepted"),
    "CapturedRecords": ("Count", "records that the stream has accepted"),
    "CapturedBytes": ("Bytes", "size of these records"),
    "CaptureLag": ("Milliseconds", "longest time from the commit in MySQL to the stream"),
    "CaptureStopped": ("Count", "1 when capture stopped before something that it cannot capture"),
}
"""Name: unit and meaning."""

log = logging.getLogger("capturer")


class JsonLines(logging.Formatter):
    """
    One JSON object for each line: time (UTC), level, message, and the fields of `extra={"fields": {...}}`.
    """

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S") + f".{int(record.msecs):03}Z",
            "level": record.levelname,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info and record.exc_info[0] is not None:
            # Only type and place: an exception's text may hold a row's value.
            line["error"] = record.exc_info[0].__name__
            line["at"] = [
                f"{f.filename}:{f.lineno} {f.name}" for f in traceback.extract_tb(record.exc_info[2])
            ]
        return json.dumps(line, ensure_ascii=False)


def set_up(stream: TextIO = sys.stdout) -> None:
    """Sends every log line to `stream`; called once, by the command. Replaces handlers that are there."""
    import time

    formatter = JsonLines()
    formatter.converter = time.gmtime
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for noisy in ("botocore", "boto3", "urllib3"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def say(level: int, message: str, **fields: Any) -> None:
    """Logs a line. Neither message nor fields may hold a row's value or a secret."""
    log.log(level, message, extra={"fields": fields})


class Metrics:
    """
    Metrics as lines in the embedded metric format, which CloudWatch reads from the log.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
    `write` takes a line; `now_ms` returns milliseconds since 1970.
    """

    def __init__(self, write: Callable[[str], object], now_ms: Callable[[], int]) -> None:
        self._write = write
        self._now_ms = now_ms
        self._reported = Counters()

    def running(self, sent: Counters, lag_ms: int) -> None:
        """Emits what has been captured since the last call; `sent` are the totals of this run."""
        reported, self._reported = self._reported, sent
        self._emit({
            "CapturerHeartbeat": 1,
            "CapturedChanges": sent.changes - reported.changes,
            "CapturedRecords": sent.records - reported.records,
            "CapturedBytes": sent.bytes - reported.bytes,
            "CaptureLag": lag_ms,
        })  # fmt: skip

    def stopped(self) -> None:
        """Emits that capture has stopped until the operator acts."""
        self._emit({"CaptureStopped": 1})

    def _emit(self, values: Mapping[str, int]) -> None:
        described = [{"Name": name, "Unit": METRICS[name][0]} for name in values]
        directive = {"Namespace": NAMESPACE, "Dimensions": [["service"]], "Metrics": described}
        line = {
            "_aws": {"Timestamp": self._now_ms(), "CloudWatchMetrics": [directive]},
            "service": "capturer",  # the value of the dimension of that name
            **values,
        }
        self._write(json.dumps(line))
