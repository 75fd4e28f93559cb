"""The capturer's command: reads arguments and environment, wires the parts, turns errors into exit codes."""

import argparse
import logging
import os
import signal
import socket
import sys
import time
import uuid
from collections.abc import Mapping as Dict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import rowferry
from capturer.capture import SENDERS, Capture
from capturer.parts import CaptureParts
from capturer.source.binlog import HEARTBEAT, ReplicationClient
from capturer.state.lease import TTL, Lease
from capturer.stream.sender import kinesis_config, require_stream
from capturer.telemetry import Metrics, say, set_up
from rowferry import __version__
from rowferry.control_table import CHECKPOINT, ControlTable
from rowferry.errors import CaptureStopped, LeaseLost, Refused, RowferryError
from rowferry.mapping import Mapping
from rowferry.position import BinlogOffset

DONE, FAILED, NOT_READY, STOPPED, LEASE_LOST = 0, 1, 2, 3, 4  # promised in the help
_EPILOG = """\
Each option may be given in the environment: STREAM_NAME, CONTROL_TABLE, LANES, MAPPING_FILE, SOURCE_HOST,
SOURCE_PORT, SOURCE_USER, SOURCE_SERVER_ID, SOURCE_CA, SOURCE_PATIENCE, LEASE_SECONDS, SKIP (several with
commas between them), CAPTURER_RESET.
The password is taken from SOURCE_PASSWORD only.

exit codes:
  0  ended by SIGTERM or SIGINT; everything read is on the stream, the checkpoint says how far
  1  an unexpected error; the log has where
  2  the configuration, the source or the stream is not ready; the message ends in the fix
  3  stopped before something in the binlog that cannot be captured; the message ends in the fix
  4  another capturer has taken the lease over

examples:
  SOURCE_PASSWORD=secret capturer --source-host db.internal --stream row-changes --control-table control
  SOURCE_PASSWORD=secret STREAM_NAME=row-changes CONTROL_TABLE=control SOURCE_HOST=db.internal \\
      capturer --skip binlog.000012:4711    # after a TRUNCATE there; or: ferry resume --after-ddl
  SOURCE_PASSWORD=secret STREAM_NAME=row-changes CONTROL_TABLE=control SOURCE_HOST=db.internal \\
      capturer --reset 2026-11-23    # the source was restored: begin at its present end, then load again
"""


def arguments(argv: Sequence[str] | None, environment: Dict[str, str]) -> argparse.Namespace:
    """The options, from the command line or else the environment. Exits with 2 and a message on an error."""
    parser = argparse.ArgumentParser(
        prog="capturer",
        description="Puts the row changes of a MySQL or MariaDB server's binlog on a Kinesis stream.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )

    parser.add_argument("--version", action="version", version=f"rowferry {__version__}")

    def add(option: str, variable: str, text: str, default: str | None = None, **more: Any) -> None:
        # Not get(variable, default): an empty variable has to count as one that is not given.
        given = environment.get(variable) or default
        parser.add_argument(option, default=given, required=given is None, help=text, **more)

    add("--stream", "STREAM_NAME", "the Kinesis stream to which changes are sent")
    add("--control-table", "CONTROL_TABLE", "the DynamoDB table with lease, checkpoint and markers")
    add(
        "--lanes",
        "LANES",
        "ordered queues; never change the number while changes wait on the stream (256)",
        type=_number(1, 4096),
        default="256",
    )
    add(
        "--mapping-file",
        "MAPPING_FILE",
        "which table goes to which item (purchase.toml)",
        default="purchase.toml",
    )
    add("--source-host", "SOURCE_HOST", "the server whose binlog is read")
    add("--source-port", "SOURCE_PORT", "its port (3306)", type=_number(1, 65535), default="3306")
    add(
        "--source-user",
        "SOURCE_USER",
        "user with SELECT, REPLICATION SLAVE, REPLICATION CLIENT (rowferry)",
        default="rowferry",
    )
    add(
        "--source-server-id", "SOURCE_SERVER_ID", "the capturer's id among the source's replicas (740047)",
        type=_number(1, 2**32 - 1), default="740047",
    )  # fmt: skip
    add(
        "--source-ca",
        "SOURCE_CA",
        "file of CA certificates: encrypts the connection, verifies the server",
        default="",
    )
    add(
        "--source-patience", "SOURCE_PATIENCE", "seconds of silence until the source counts as gone (10)",
        type=_number(2 * int(HEARTBEAT), 3600), default="10",  # with less, an idle server could count as gone
    )  # fmt: skip
    add(
        "--lease-seconds", "LEASE_SECONDS", "seconds after a crash until another capturer takes over (15)",
        type=_number(3, 300), default=str(int(TTL)),
    )  # fmt: skip
    parser.add_argument(
        "--skip", action="append", default=None, type=_boundary, metavar="FILE:OFFSET",
        help="skip the transaction at which capture stopped and that you have dealt with; repeatable",
    )  # fmt: skip
    parser.add_argument(
        "--reset", metavar="WORD",
        help="give up what was not captured and begin where the binlog ends now, once for each new WORD; "
        "empty the targets and run `ferry load` afterwards",
    )  # fmt: skip
    parser.add_argument("--anew", help=argparse.SUPPRESS)  # the name of --reset in 0.1; goes after 0.2
    options = parser.parse_args(argv)
    options.reset = _reset_word(parser, options, environment)
    if options.skip is None:
        try:
            options.skip = _boundaries(environment.get("SKIP", ""))
        except argparse.ArgumentTypeError as error:
            parser.error(f"SKIP: {error}")
    return options


def _reset_word(
    parser: argparse.ArgumentParser, options: argparse.Namespace, environment: Dict[str, str]
) -> str:
    """
    The word of --reset or of its former name: one stack may have been deployed with either, or with both.
    """
    commanded = options.reset is not None or options.anew is not None
    if commanded:
        names, reset, anew = ("--reset", "--anew"), options.reset, options.anew
    else:
        names = ("CAPTURER_RESET", "ANEW")
        reset, anew = (environment.get(name) for name in names)
    if reset and anew and reset != anew:
        parser.error(
            f"{names[0]} is {reset!r} and {names[1]}, its former name, is {anew!r}: "
            f"leave {names[1]} out (in the stack: CapturerAnew=''), and give the word as {names[0]}"
        )
    return reset or anew or ""


def main(argv: Sequence[str] | None = None) -> int:
    """Captures until SIGTERM or SIGINT. Returns the exit code; the help says what each means."""
    options = arguments(argv, os.environ)
    set_up()
    try:
        capture = Capture(_parts(options, os.environ.get("SOURCE_PASSWORD", "")))
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: capture.stop())
        capture.run()
    # Each before its base class: the exit codes differ.
    except LeaseLost as error:
        return _ended(error, LEASE_LOST)
    except CaptureStopped as error:
        return _ended(error, STOPPED)
    except RowferryError as error:
        return _ended(error, NOT_READY)
    # JsonLines writes only type and place of it: the text of such an error may hold a row's value.
    except Exception:
        logging.getLogger("capturer").exception("an unexpected error")
        return FAILED
    say(
        logging.INFO,
        "ended; everything read is on the stream"
        if capture.flushed
        else "ended; what is not on the stream will be read again",
    )
    return DONE


def _ended(error: RowferryError, code: int) -> int:
    say(logging.ERROR, error.found, fix=error.fix, exit=code)
    return code


def _parts(options: argparse.Namespace, password: str) -> CaptureParts:
    import boto3
    from botocore.config import Config

    mapping = Mapping.load(_mapping_file(options.mapping_file))
    quick = Config(connect_timeout=1, read_timeout=2, retries={"total_max_attempts": 2, "mode": "standard"})
    control = ControlTable(boto3.client("dynamodb", config=quick), options.control_table)
    # The random part is needed: in a container, host name and process id may be those of the run before, and
    # try_acquire takes a lease of this name at once.
    owner = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
    lease = Lease(control, owner, time.monotonic, ttl=options.lease_seconds)
    kinesis = boto3.client("kinesis", config=kinesis_config(SENDERS, lease.margin))
    # `quick` keeps requests short, for the lease. Before it is held, slow and repeated requests do no harm.
    patient = Config(connect_timeout=2, read_timeout=5, retries={"total_max_attempts": 4, "mode": "standard"})
    require_stream(boto3.client("kinesis", config=patient), options.stream)
    _require_table(ControlTable(boto3.client("dynamodb", config=patient), options.control_table))
    return CaptureParts(
        source=ReplicationClient(
            options.source_host, options.source_port, options.source_user, password, options.source_server_id,
            options.source_ca or None, float(options.source_patience),
        ),
        mapping=mapping,
        lanes=options.lanes,
        control=control,
        kinesis=kinesis,
        stream=options.stream,
        lease=lease,
        metrics=Metrics(lambda line: print(line, flush=True), lambda: time.time_ns() // 1_000_000),
        skip=options.skip,
        reset=options.reset,
    )  # fmt: skip


def _require_table(control: ControlTable) -> None:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        control.get(CHECKPOINT)
    except (BotoCoreError, ClientError) as error:
        reason = error.response["Error"]["Code"] if isinstance(error, ClientError) else type(error).__name__
        raise Refused(
            f"the control table {control.name} cannot be used ({reason})",
            "deploy the stack, and give CONTROL_TABLE, the region and credentials that may use the table",
        ) from error


def _mapping_file(name: str) -> Path:
    """The file, or the one of that name next to the core, where the image and the function have it."""
    path = Path(name)
    beside = Path(rowferry.__file__).parent.parent / name
    return beside if not path.exists() and beside.exists() else path


def _number(lowest: int, highest: int) -> type:
    def number(text: str) -> int:
        value = int(text)
        if not lowest <= value <= highest:
            raise argparse.ArgumentTypeError(f"{value} is not from {lowest} to {highest}")
        return value

    return number  # type: ignore[return-value]


def _boundary(text: str) -> BinlogOffset:
    try:
        return BinlogOffset.parse(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not FILE:OFFSET, as in binlog.000012:4711") from None


def _boundaries(text: str) -> list[BinlogOffset]:
    return [_boundary(part.strip()) for part in text.split(",") if part.strip()]


if __name__ == "__main__":
    sys.exit(main())
