"""`ferry finalize`: after the cutover, items without what the move needed: `_pos`, and tombstones."""

import argparse
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import batched
from typing import Any

from botocore.exceptions import ClientError

from bulkload.item_json import dumps, loads
from bulkload.writer import error_code
from ferry.progress import progress
from ferry.settings import Setting, positive
from ferry.switch import turn
from rowferry.control import CUTOVER, ControlTable
from rowferry.errors import Refused
from rowferry.mapping import EXPIRES, POSITION

PK = "finalize#"
"""Control table key, with the target: done(bool), start(str: a scan's place), cleaned(int), buried(int)."""
AT_ONCE = 16  # requests
PAGE = 200  # items between two places that are kept
EPILOG = """\
examples:
  ferry finalize
  ferry finalize --max-wcu 1000

Removes the attribute _pos from every item, and the items that are tombstones. Each is written on the
condition that it is still as it was read in this respect, so the application may go on writing. Each item
costs a write of its whole size; the default rate is low. Killed at any moment and run again, it goes on.

Only after the cutover: nothing protects an item from late changes then. So the switch is turned OFF first.

exit status: 0 done; 2 an error; 130 interrupted"""


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    """Adds the command to the parser."""
    parser = commands.add_parser(
        "finalize",
        parents=[common],
        help="remove what the move has left in the items",
        description="Removes _pos and tombstones from the targets, after the cutover.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--max-wcu",
        type=positive,
        default=500,
        metavar="N",
        help="WCU/s to write at most (default: %(default)s)",
    )
    parser.set_defaults(run=run, changes=lambda _: True)


def run(arguments: argparse.Namespace, setting: Setting) -> int:
    """Parses, wires and prints."""
    if setting.control.get(CUTOVER).get("state") != "done":
        raise Refused(
            "the cutover is not done", "run `ferry cutover`: until then _pos keeps the order of changes"
        )
    with progress("finalize", unit="items") as shown:
        turn(setting.client("cloudformation"), setting.client("lambda"), setting.stack, "OFF", shown.tell)
        counts = {}
        for target in dict.fromkeys(table.target for table in setting.mapping.tables):
            work = Finalizing(setting.dynamodb, setting.control, target, arguments.max_wcu, shown.step)
            work.run()
            counts[target] = {"cleaned": work.cleaned, "buried": work.buried}
    if arguments.json:
        print(json.dumps(counts))
    for target, found in counts.items() if not arguments.json else ():
        print(
            f"{target}: {found['cleaned']:,} items without _pos, {found['buried']:,} tombstones removed; done"
        )
    return 0


@dataclass(frozen=True, slots=True)
class _Written:
    """WCU, and what became of an item."""

    units: float
    cleaned: int = 0
    buried: int = 0


@dataclass(slots=True)
class Finalizing:
    """
    One target. `rate`: WCU/s; `step` hears how many items were read.

    The place of the scan is kept after everything before it is written.
    """

    client: Any
    control: ControlTable
    target: str
    rate: float
    step: Callable[[int, int, str], None]
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    cleaned: int = 0
    buried: int = 0
    _seen: int = 0
    _spent: float = 0.0
    _began: float = field(init=False)
    _keys: list[str] = field(init=False)

    def run(self) -> None:
        """To the end of the table."""
        found = self.control.get(PK + self.target)
        self.cleaned, self.buried = found.get("cleaned", 0), found.get("buried", 0)
        if found.get("done"):
            return
        table = self.client.describe_table(TableName=self.target)["Table"]
        self._keys, self._began = [part["AttributeName"] for part in table["KeySchema"]], self.clock()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for items, place in self._pages(loads(found.get("start", "{}"))):
                for some in batched(items, AT_ONCE, strict=False):
                    for written in pool.map(self._write, some):
                        self._count(written)
                    self._wait()
                self._seen += len(items)
                self._keep(place)
                self.step(self._seen, table["ItemCount"], f"{self._seen:,} items read")

    def _pages(self, start: Any) -> Iterator[tuple[list[dict[str, Any]], Any]]:
        """Items with what is to be removed, and where the scan goes on behind them; None at the end."""
        while True:
            more = {"ExclusiveStartKey": start} if start else {}
            answer = self.client.scan(
                TableName=self.target,
                Limit=PAGE,
                ProjectionExpression=", ".join(f"#k{n}" for n in range(len(self._keys))) + ", #p, #t",
                ExpressionAttributeNames={
                    **{f"#k{n}": name for n, name in enumerate(self._keys)}, "#p": POSITION, "#t": EXPIRES,
                },
                **more,
            )  # fmt: skip
            start = answer.get("LastEvaluatedKey")
            yield answer["Items"], start
            if not start:
                return

    def _write(self, item: dict[str, Any]) -> _Written:
        """An item that the application has written meanwhile stays as that left it, but for _pos."""
        if POSITION not in item:
            return _Written(0.0)
        if EXPIRES in item and (units := self._bury(item)):
            return _Written(units, buried=1)
        return _Written(self._clean(item), cleaned=1)

    def _bury(self, item: dict[str, Any]) -> float:
        """WCU; 0.0 where it is a tombstone no more."""
        return self._call("delete_item", item, "#t = :t AND #p = :p", t=EXPIRES)

    def _clean(self, item: dict[str, Any]) -> float:
        return self._call("update_item", item, "#p = :p", UpdateExpression="REMOVE #p")

    def _call(
        self, method: str, item: dict[str, Any], condition: str, t: str | None = None, **more: str
    ) -> float:
        """WCU; 0.0 where the condition does not hold."""
        names = {"#p": POSITION, **({"#t": t} if t else {})}
        try:
            answer = getattr(self.client, method)(
                TableName=self.target,
                Key={name: item[name] for name in self._keys},
                ConditionExpression=condition,
                ExpressionAttributeNames=names,
                ExpressionAttributeValues={
                    name.replace("#", ":"): item[each] for name, each in names.items()
                },
                ReturnConsumedCapacity="TOTAL",
                **more,
            )
        except ClientError as error:
            if error_code(error) != "ConditionalCheckFailedException":
                raise
            return 0.0
        return float(answer.get("ConsumedCapacity", {}).get("CapacityUnits", 1.0))

    def _count(self, written: _Written) -> None:
        self._spent += written.units
        self.cleaned += written.cleaned
        self.buried += written.buried

    def _wait(self) -> None:
        ahead = self._spent / self.rate - (self.clock() - self._began)
        if ahead > 0:
            self.sleep(ahead)

    def _keep(self, place: Any) -> None:
        self.control.put(
            PK + self.target,
            {
                "done": place is None,
                "start": dumps(place or {}),
                "cleaned": self.cleaned,
                "buried": self.buried,
            },
        )
