"""`ferry quarantine`: lists the changes in the dead-letter queue, and repairs their items from the rows."""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import batched
from typing import Any

from ferry.context import Context
from ferry.progress import progress
from ferry.verify.live import Live
from ferry.verify.oracle.mapping_entry import Pair, read_pairs
from ferry.verify.recheck import Recheck
from rowferry.errors import Refused, UnusableChange
from rowferry.items.effects import ItemKey, key_of, places_of
from rowferry.mapping import Mapping
from rowferry.values import Row, untag

HIDDEN = 300
"""
Seconds for which a received message is invisible to others: all are read, some repaired, the rest made
visible.
"""
AT_ONCE = 10  # messages of one SQS answer, and of one request to delete (SQS quotas)
EPILOG = """\
examples:
  ferry quarantine list
  ferry quarantine list --json | jq -r .reason | sort | uniq -c
  ferry quarantine retry

list prints each message: its table, the keys of its items, why it was quarantined, and the fix. Values are
not shown.

retry reads the rows of each item again and writes it, as `ferry verify --repair` does, compares, and deletes
the message when the item equals its rows. Other messages stay on the queue. A record that could not be read
has no key: run `ferry verify --repair`, then delete its message.

--json of retry prints {"repaired", "left"}, in messages.

exit status: 0 the quarantine is empty; 1 messages are left; 2 an error"""


@dataclass(frozen=True, slots=True)
class Message:
    """A message of the queue, with the keys of its change's items; none where they are unknown."""

    handle: str
    body: dict[str, Any]
    keys: Sequence[ItemKey]

    @property
    def fields(self) -> dict[str, Any]:
        body = self.body
        return {
            "table": f"{body['schema']}.{body['table']}" if "schema" in body else None,
            "keys": [{name: value for name, _, value in key.values} for key in self.keys],
            "position": body.get("position"),
            "error": body["error"],
            "reason": body["found"],
            "fix": body["fix"],
        }


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    parser = commands.add_parser(
        "quarantine",
        help="list quarantined changes, or retry them",
        description="Lists quarantined changes, and repairs their items.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    inside = parser.add_subparsers(metavar="ACTION", required=True)
    for name, run, help_ in (
        ("list", run_list, "list the messages"),
        ("retry", run_retry, "repair the items, delete the messages of those that are correct"),
    ):
        action = inside.add_parser(name, parents=[common], help=help_)
        action.set_defaults(run=run, what=name)


def run_list(arguments: argparse.Namespace, context: Context) -> int:
    messages = _received(context)
    _release(context, messages)
    for message in messages:
        print(json.dumps(message.fields, default=str) if arguments.json else _line(message))
    print(f"{len(messages):,} messages", file=sys.stderr)
    return 1 if messages else 0


def _line(message: Message) -> str:
    fields = message.fields
    keys = "; ".join(", ".join(f"{name} {value}" for name, value in key.items()) for key in fields["keys"])
    return (
        f"{fields['table'] or 'unreadable record'}: {keys or 'no key'}: {fields['reason']}: {fields['fix']}"
    )


def run_retry(arguments: argparse.Namespace, context: Context) -> int:
    if not context.stack.switch_is_on:
        raise Refused(
            "the switch is OFF, so markers do not pass through the lanes", "run `ferry switch on` first"
        )
    messages = _received(context)
    wanted = {key for message in messages for key in message.keys}
    with progress("retry", unit="items") as shown:
        shown.step(0, len(wanted), f"{len(wanted):,} items of {len(messages):,} messages")
        correct = _repaired(context, wanted)
    # A message without keys, such as an unreadable record, is left: nothing shows what it has changed.
    repaired = [message for message in messages if message.keys and correct.issuperset(message.keys)]
    _delete(context, repaired)
    left = [message for message in messages if message not in repaired]
    _release(context, left)
    if arguments.json:
        # the last field is the first one's name before 0.2.0
        print(json.dumps({"repaired": len(repaired), "left": len(left), "mended": len(repaired)}))
    else:
        print(f"{len(repaired):,} messages repaired, {len(left):,} left")
        print("".join(f"left: {_line(message)}\n" for message in left[:AT_ONCE]), end="", file=sys.stderr)
    return 1 if left else 0


def _repaired(context: Context, wanted: set[ItemKey]) -> set[ItemKey]:
    """Writes these items; returns those that equal their rows afterwards."""
    live, correct = Live(context), set[ItemKey]()
    pairs = read_pairs(context.mapping_file)
    for target in {key.table for key in wanted}:
        together = [pair for pair in pairs if pair.target == target]
        correct |= _repaired_of(live, together, [key for key in wanted if key.table == target])
    return correct


def _repaired_of(live: Live, pairs: Sequence[Pair], keys: Sequence[ItemKey]) -> set[ItemKey]:
    with live.reading(pairs) as reading:
        named = {reading.items.key(key.attributes()): key for key in keys}
        recheck = Recheck(reading, live.rest)
        differing = list(recheck.differences(list(named)))
        wrong = {each[0].member.key for each in differing}
        if differing:
            live.repair(pairs, reading, differing)
            again = Recheck(reading, live.rest)
            wrong = {each[0].member.key for each in again.differences(sorted(wrong))} | set(again.unsettled)
        return {key for name, key in named.items() if name not in wrong | set(recheck.unsettled)}


def _received(context: Context) -> list[Message]:
    """All messages that are available now; they are invisible to others for HIDDEN seconds."""
    sqs, url = context.client("sqs"), context.stack.output("QuarantineUrl")
    found: dict[str, Message] = {}
    while True:
        # Long polling (WaitTimeSeconds): a short poll asks some of SQS's servers only, and an empty answer
        # would prove nothing.
        answer = sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=AT_ONCE, VisibilityTimeout=HIDDEN, WaitTimeSeconds=1
        )
        for message in answer.get("Messages", ()):
            body = json.loads(message["Body"])
            keys = tuple(dict.fromkeys(_keys(body, context.mapping)))
            # By id: SQS may deliver a message twice, and only its newest handle is sure to delete it.
            found[message["MessageId"]] = Message(message["ReceiptHandle"], body, keys)
        if not answer.get("Messages"):
            return list(found.values())


def _keys(body: dict[str, Any], mapping: Mapping) -> Iterator[ItemKey]:
    table = mapping.find(body.get("schema", ""), body.get("table", ""))
    if table is None:
        return
    for image in body.get("change", body).get("row", {}).values():
        row: Row = {name: untag(value) for name, value in image.items()}
        with suppress(UnusableChange):
            if table.hook is None:
                yield key_of(row, table)
            else:
                yield from (effect.key for effect in places_of(row, table))


def _release(context: Context, messages: Sequence[Message]) -> None:
    """Makes messages visible to others at once."""
    sqs, url = context.client("sqs"), context.stack.output("QuarantineUrl")
    for some in batched(messages, AT_ONCE, strict=False):
        sqs.change_message_visibility_batch(
            QueueUrl=url,
            Entries=[
                {"Id": str(n), "ReceiptHandle": message.handle, "VisibilityTimeout": 0}
                for n, message in enumerate(some)
            ],
        )


def _delete(context: Context, messages: Sequence[Message]) -> None:
    sqs, url = context.client("sqs"), context.stack.output("QuarantineUrl")
    for some in batched(messages, AT_ONCE, strict=False):
        entries = [{"Id": str(n), "ReceiptHandle": message.handle} for n, message in enumerate(some)]
        # The request succeeds even if some of its entries fail.
        failed = sqs.delete_message_batch(QueueUrl=url, Entries=entries).get("Failed", ())
        if failed:
            raise Refused(
                f"{len(failed)} messages could not be deleted", "run `ferry quarantine retry` again"
            )
