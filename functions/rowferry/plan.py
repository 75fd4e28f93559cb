"""
Many changes of one item folded into few conditional writes.

Only a RUN is folded: changes of one sender with rising positions. A repeat, or
another sender, starts a new run with a conditional write of its own; folding
across runs would let a stale capturer's old value win.

A folded update happens only where the item is older than its FIRST change, so
that it does what each change alone would do. Where the item is newer, the
changes that it already holds are left out first: a record that arrives a
second time, late, begins a run in which changes between it and the next are
missing, and would bring back what they deleted.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rowferry.items import Effect, ItemKey
from rowferry.mapping import EXPIRES, POSITION
from rowferry.values import Attribute

MAX_MEMBERS = 400
"""
Members in one update: an expression may have 4,096 bytes of text
(https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html).
A member takes 10 at most ("#18f=:18f,"), the rest of the expression under 60.
"""
_NEWER = "attribute_not_exists(#p) OR #p < :p"
_NEWER_THAN_FIRST = "attribute_not_exists(#p) OR #p < :s"


@dataclass(frozen=True, slots=True)
class Step:
    """
    One effect and where it came from.

    `position` is Position's text, None for an event replayed by hand; `origin`
    is the index of the stream record in its batch.
    """

    effect: Effect
    position: str | None
    sender: int
    origin: int = 0


@dataclass(frozen=True, slots=True)
class Write:
    """
    One write of one item, which folds `steps`; `members` and `whole` as in Effect.

    It happens only where the item is older than all its steps, or with `whole`
    than its last one. Without a position it always happens.
    """

    key: ItemKey
    members: dict[str, Attribute | None] | None
    whole: bool
    position: str | None
    steps: Sequence[Step]

    @property
    def may_empty(self) -> bool:
        """Members only go away, so that the item may have none left and become a tombstone."""
        return not self.whole and not any(self._set)

    @property
    def _set(self) -> dict[str, Attribute]:
        return {name: value for name, value in (self.members or {}).items() if value is not None}


def writes(steps: Iterable[Step]) -> Iterator[Write]:
    """The writes, in order, that give one item the effect of its steps, in as few as the limits allow."""
    for run in _runs(steps):
        yield from _folded(run)


def _runs(steps: Iterable[Step]) -> Iterator[list[Step]]:
    run: list[Step] = []
    for step in steps:
        if run and not _continues(run[-1], step):
            yield run
            run = []
        run.append(step)
    if run:
        yield run


def _continues(last: Step, step: Step) -> bool:
    if last.position is None or step.position is None:
        return False  # without a position every event stands alone
    return (
        last.sender == step.sender
        and last.position < step.position
        and last.effect.whole == step.effect.whole
    )


def _folded(run: list[Step]) -> Iterator[Write]:
    if run[-1].effect.whole:
        yield _write(run, run[-1].effect.members)
        return
    part: list[Step] = []
    members: dict[str, Attribute | None] = {}
    for step in run:
        changed = step.effect.members or {}
        if part and len(members | changed) > MAX_MEMBERS:
            yield _write(part, members)
            part, members = [], {}
        part.append(step)
        members.update(changed)
    yield _write(part, members)


def newer(write: Write, held: dict[str, Attribute]) -> Write | None:
    """What is left of a write for the item `held`, which is not older. None: the item has it all."""
    if write.position is None or write.whole:
        return None
    position = held[POSITION]["S"] if POSITION in held else write.steps[0].position
    steps = [step for step in write.steps if step.position and position and step.position > position]
    members: dict[str, Attribute | None] = {}
    for step in steps:
        members.update(step.effect.members or {})
    return _write(steps, members) if steps else None


def _write(steps: Sequence[Step], members: dict[str, Attribute | None] | None) -> Write:
    last = steps[-1]
    return Write(last.effect.key, members, last.effect.whole, last.position, steps)


def request(write: Write, expires: int) -> tuple[str, dict[str, Any]]:
    """
    The client's method and its arguments for a write.

    `expires` is when a tombstone that this write makes may be removed, in
    seconds since 1970.
    """
    if write.whole:
        return "put_item", _put(write, expires)
    return "update_item", _update(write)


def bury(write: Write, found: dict[str, Attribute], expires: int) -> dict[str, Any]:
    """
    The update_item arguments that mark an item without members as a tombstone.

    `found` is the item as the write left it. An item without members already
    counts as absent; the mark lets DynamoDB remove it. Harmless when lost.
    """
    arguments: dict[str, Any] = {
        "TableName": write.key.table,
        "Key": write.key.attributes(),
        "UpdateExpression": "SET #t = :t",
        "ConditionExpression": "#p = :p",
        "ExpressionAttributeNames": {"#p": POSITION, "#t": EXPIRES},
        "ExpressionAttributeValues": {":t": {"N": str(expires)}},
    }
    if POSITION in found:
        arguments["ExpressionAttributeValues"][":p"] = found[POSITION]
    else:
        arguments["ConditionExpression"] = "attribute_not_exists(#p)"
    return arguments


def lookup(write: Write) -> dict[str, Any]:
    """The get_item arguments for what `replacement` has to know."""
    return {"TableName": write.key.table, "Key": write.key.attributes(), "ConsistentRead": True}


def replacement(write: Write, held: dict[str, Attribute], expires: int) -> dict[str, Any]:
    """
    The put_item arguments of a whole write without a position, over the item `held` (empty: there is none).

    The item keeps its position. The condition fails when it has changed since.
    """
    arguments = _put(write, expires)
    arguments["ExpressionAttributeNames"] = {"#p": POSITION}
    if POSITION not in held:
        return {**arguments, "ConditionExpression": "attribute_not_exists(#p)"}
    arguments["Item"][POSITION] = held[POSITION]
    arguments["ConditionExpression"] = "#p = :p"
    arguments["ExpressionAttributeValues"] = {":p": held[POSITION]}
    return arguments


def members_of(item: dict[str, Attribute], key: ItemKey) -> dict[str, Attribute]:
    """The item without its key and without Rowferry's own attributes."""
    hidden = {POSITION, EXPIRES} | {value.name for value in key.values}
    return {name: value for name, value in item.items() if name not in hidden}


def _put(write: Write, expires: int) -> dict[str, Any]:
    present = {} if write.members is None else write._set
    item: dict[str, Attribute] = {**present, **write.key.attributes()}
    if write.members is None:
        item[EXPIRES] = {"N": str(expires)}
    arguments: dict[str, Any] = {"TableName": write.key.table, "Item": item}
    if write.position is not None:
        item[POSITION] = {"S": write.position}
        arguments |= _condition(write.position)
    return arguments


def _condition(position: str) -> dict[str, Any]:
    return {
        "ConditionExpression": _NEWER,
        "ExpressionAttributeNames": {"#p": POSITION},
        "ExpressionAttributeValues": {":p": {"S": position}},
    }


def _update(write: Write) -> dict[str, Any]:
    """Placeholders for every name: members may be reserved words or begin with a digit."""
    names: dict[str, str] = {}
    values: dict[str, Attribute] = {}
    setting, removing = [], []
    for index, (name, value) in enumerate((write.members or {}).items()):
        names[f"#{index:x}"] = name
        if value is None:
            removing.append(f"#{index:x}")
        else:
            values[f":{index:x}"] = value
            setting.append(f"#{index:x}=:{index:x}")
    if setting:  # a write that revives a tombstone lifts its TTL, or the live item would expire
        names["#t"] = EXPIRES
        removing.append("#t")
    condition = _guard(write, names, values, setting)
    expression = (f"SET {','.join(setting)}" if setting else "") + (
        f" REMOVE {','.join(removing)}" if removing else ""
    )
    return {
        "TableName": write.key.table,
        "Key": write.key.attributes(),
        "UpdateExpression": expression.strip(),
        "ExpressionAttributeNames": names,
        **({"ExpressionAttributeValues": values} if values else {}),
        **condition,
        "ReturnValues": "ALL_NEW" if write.may_empty else "NONE",
        **({"ReturnValuesOnConditionCheckFailure": "ALL_OLD"} if len(write.steps) > 1 else {}),
    }


def _guard(
    write: Write, names: dict[str, str], values: dict[str, Attribute], setting: list[str]
) -> dict[str, str]:
    """The condition; adds the names and values that it needs, and the position to what is set."""
    if write.position is not None:
        names["#p"], values[":p"] = POSITION, {"S": write.position}
        setting.append("#p=:p")
        if len(write.steps) == 1:
            return {"ConditionExpression": _NEWER}
        values[":s"] = {"S": write.steps[0].position}
        return {"ConditionExpression": _NEWER_THAN_FIRST}
    if write.may_empty:  # a delete replayed by hand must not create an empty item
        names["#k"] = write.key.values[0].name
        return {"ConditionExpression": "attribute_exists(#k)"}
    return {}
