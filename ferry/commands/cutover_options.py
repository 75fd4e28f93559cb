"""The options of `ferry cutover`, and its help."""

import argparse
from pathlib import Path
from typing import Any

POINT = "point-to-dynamodb"
"""The hook that moves the application."""
EPILOG = """\
examples:
  ferry cutover --hooks hooks/                         # checks, says what it would do, asks
  ferry cutover --hooks hooks/ --execute
  ferry cutover --execute --fence revoke:shop@10.%,jobs@% --hooks hooks/ --json
  ferry cutover --lift                                 # of a run that died: lift its fence
  ferry cutover --continue --hooks hooks/              # after the point of no return: the hook again
  ferry cutover --back --application-is-on-mysql       # after it: the application is on MySQL again

checks; hook before-fence; verify of what changed; fence; hook fenced; drain; verify of the rest; hook
point-to-dynamodb; hook moved or lifted. Only point-to-dynamodb has to be in the folder of --hooks.
Whatever goes wrong before point-to-dynamodb begins, also a signal, a death of this command or --pause-limit,
lifts the fence. From then on the fence stays, because both sides must never take writes.

--fence is one of
  super-read-only      the default; MariaDB: read_only
  revoke:USER@HOST,... takes the right to write from these accounts, ends their sessions, gives back the same
  hook:PATH            your program, called with `up` and with `lift`; each may be called again
  already              somebody else has fenced, and lifts it

--admin is the account that fences (default: the source's); its password is in ROWFERRY_ADMIN_PASSWORD.

--json prints {"cutover", "phase", "position", "pause_seconds", "seconds": {"fence", "drain", "verify",
"hook"}}.
exit status: 0 the application has moved; 1 not moved, MySQL takes writes, as before; 2 an error before the
fence; 3 the fence stays, and the message says how to go on or back; 130 interrupted, MySQL takes writes"""


def parser_in(commands: Any, common: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """The command's parser, added to the others."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "cutover",
        parents=[common],
        help="fence MySQL, prove that all has arrived, move the application",
        description="Moves the application from MySQL to DynamoDB, or leaves everything as it was.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--execute", action="store_true", help="do it without asking")
    what.add_argument(
        "--lift", action="store_true", help="lift the fence of a run that died before the point of no return"
    )
    what.add_argument(
        "--continue", dest="continue_", action="store_true", help="go on after the point of no return"
    )
    what.add_argument("--back", action="store_true", help="go back after the point of no return")
    parser.add_argument(
        "--fence",
        default="super-read-only",
        metavar="HOW",
        help="how writes are stopped (default: %(default)s)",
    )
    parser.add_argument(
        "--no-hook", action="store_true", help="point the application by hand: it waits for Enter"
    )
    parser.add_argument(
        "--pointed", action="store_true", help="with --continue: the application is on DynamoDB already"
    )
    parser.add_argument(
        "--application-is-on-mysql",
        action="store_true",
        help="with --back: your word that nothing writes to DynamoDB",
    )
    parser.add_argument(
        "--verified-within",
        type=float,
        default=60.0,
        metavar="MINUTES",
        help="how old the last `ferry verify` may be (default: 60)",
    )
    parser.add_argument(
        "--max-lag",
        type=float,
        default=10.0,
        metavar="SECONDS",
        help="a marker must come through within (default: 10)",
    )
    parser.add_argument(
        "--pause-limit",
        type=float,
        default=30.0,
        metavar="SECONDS",
        help="lift the fence after (default: 30)",
    )
    parser.add_argument(
        "--admin", metavar="URL", help="account that may fence (default: ROWFERRY_ADMIN, or the source's)"
    )
    parser.add_argument(
        "--admin-password-file",
        type=Path,
        metavar="FILE",
        help="holds its password (default: ROWFERRY_ADMIN_PASSWORD)",
    )
    return parser
