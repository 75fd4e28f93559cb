"""`ferry load --plan`: what each method would write, how long it would take, and what it would cost."""

import json
from dataclasses import asdict, dataclass
from typing import Any

from botocore.exceptions import ClientError
from rich.console import Console
from rich.table import Table

from bulkload.dynamodb.batch_writer import error_code
from bulkload.estimate import ON_DEMAND_START, PRICES, Method, Size, cheapest, expected, methods
from ferry.context import Context


@dataclass(frozen=True, slots=True)
class Capacity:
    """The write units a second that a target takes. `empty`: also where there is no table."""

    units: int
    on_demand: bool
    empty: bool
    exists: bool


def run(context: Context, *, as_json: bool) -> int:
    """Prints the plan; writes nothing. The figures are estimates from a sample of rows and list prices."""
    connection = context.connect()
    try:
        sizes: dict[str, Size] = {}
        for table in context.mapping.tables:
            # Items that several sources share are counted for each of them: the estimate is too high, not too
            # low.
            sizes[table.target] = sizes.get(table.target, Size()) + expected(connection, table)
    finally:
        connection.close()
    found = [_target(context.dynamodb, name, size) for name, size in sizes.items()]
    if as_json:
        print(json.dumps({"prices": PRICES, "targets": found}))
        return 0
    for target in found:
        _print(target)
    return 0


def _target(client: Any, name: str, size: Size) -> dict[str, Any]:
    capacity = capacity_of(client, name)
    found = methods(size, capacity.units, on_demand=capacity.on_demand, empty=capacity.empty)
    best = cheapest(found) if capacity.empty else None
    figures = [asdict(method) for method in found]
    return {
        "target": name,
        "rows": round(size.rows),
        "items": round(size.items),
        "bytes": round(size.bytes),
        "import_bytes": round(size.text),
        "capacity": asdict(capacity),
        "methods": figures,
        "roads": figures,  # the field's name before 0.2.0
        "cheapest": best.name if best else None,
        "advice": _advice(best, found),
    }


def _advice(best: Method | None, found: list[Method]) -> str:
    if best is None:
        return "the target has items: ImportTable makes only new tables, so write into it (direct or files)"
    others = ", ".join(
        f"{method.name} ${method.dollars:,.2f}"
        for method in found
        if method.dollars is not None and method is not best
    )
    return f"cheapest for an empty target: {best.name}, ${best.dollars:,.2f}" + (
        f" ({others})" if others else ""
    )


def capacity_of(client: Any, name: str) -> Capacity:
    """The capacity of the target's table, or of a new on-demand one where there is none."""
    try:
        table = client.describe_table(TableName=name)["Table"]
    except ClientError as error:
        if error_code(error) != "ResourceNotFoundException":
            raise
        return Capacity(ON_DEMAND_START, on_demand=True, empty=True, exists=False)
    empty = not client.scan(TableName=name, Limit=1)["Items"]
    if table.get("BillingModeSummary", {}).get("BillingMode") == "PAY_PER_REQUEST":
        warm = table.get("WarmThroughput", {}).get("WriteUnitsPerSecond") or ON_DEMAND_START
        # -1: no maximum (DynamoDB's API, OnDemandThroughput).
        most = table.get("OnDemandThroughput", {}).get("MaxWriteRequestUnits", -1)
        return Capacity(min(warm, most) if most > 0 else warm, on_demand=True, empty=empty, exists=True)
    units = int(table["ProvisionedThroughput"]["WriteCapacityUnits"])
    return Capacity(units, on_demand=False, empty=empty, exists=True)


def _print(target: dict[str, Any]) -> None:
    print(
        f"{target['target']}: about {target['rows']:,} rows, {target['items']:,} items,"
        f" {target['bytes']:,} bytes; {target['capacity']['units']:,} write units a second"
    )
    table = Table("method", "write units", "hours", "US dollars", "", box=None, pad_edge=False)
    for method in target["methods"]:
        hours = "-" if method["hours"] is None else f"{method['hours']:,.2f}"
        dollars = "-" if method["dollars"] is None else f"{method['dollars']:,.2f}"
        table.add_row(method["name"], f"{method['write_units']:,}", hours, dollars, method["note"])
    Console().print(table)
    print(target["advice"])
    print("files and import can group in Spark (--spark): the same figures, plus the cost of the cluster")
    print(f"prices: {PRICES['region']}, {PRICES['as_of']}, {PRICES['source']}")
