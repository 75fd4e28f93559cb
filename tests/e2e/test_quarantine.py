"""What was set aside is mended once it can be, and stays on the queue as long as it cannot."""

import json
from pathlib import Path
from random import Random

import pytest

from lab.cloud import Cloud
from lab.database import Server
from lab.rehearsal import Rehearsal, wait_for
from lab.shop import Shop

pytestmark = pytest.mark.integration

ROWS = 2_000
NAMES = [
    f"{n}".rjust(60, "\N{SHOPPING TROLLEY}") for n in range(ROWS)
]  # 228 bytes and more: together over 400 KB


def test_items_that_were_too_large_for_a_while(mysql: Server, fresh_cloud: Cloud, tmp_path: Path) -> None:
    rehearsal = Rehearsal(tmp_path, mysql, fresh_cloud, [Shop("a", Random(1))])
    rehearsal.deploy()
    rehearsal.fill(100)
    sqs, url = fresh_cloud.client("sqs"), rehearsal.outputs["QuarantineUrl"]

    def waiting() -> int:
        names = ["ApproximateNumberOfMessages"]
        found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        return int(found[names[0]])

    def run(sql: str, *rows: tuple[object, ...]) -> None:
        with mysql.connect() as connection, connection.cursor() as cursor:
            cursor.executemany(sql, rows) if rows else cursor.execute(sql)

    try:
        with rehearsal.capturing():
            rehearsal.ferry("load")
            rehearsal.ferry("switch", "on")
            rehearsal.ferry("quarantine", "list")
            insert = "INSERT INTO purchase VALUES (%s, %s, %s, %s)"
            run(insert, *(("c", "big", name, n) for n, name in enumerate(NAMES)), ("", "o", "p", 1))
            wait_for(lambda: waiting() > 1, "what is set aside", rehearsal.fail_if_broken)
            rehearsal.ferry("drain")
            listed = rehearsal.ferry("quarantine", "list", "--json", capture=True, accept=(1,)).splitlines()
            found = [json.loads(line) for line in listed]
            assert {key["orderid"] for entry in found for key in entry["keys"]} == {"big"}
            assert {entry["error"] for entry in found} == {"OversizedItem", "EmptyKey"}
            assert NAMES[-1] not in "".join(listed)  # no values, nor names of members

            said = json.loads(rehearsal.ferry("quarantine", "retry", "--json", capture=True, accept=(1,)))
            assert said["repaired"] == 0 < said["left"] == len(found), "it is too large still"

            run("DELETE FROM purchase WHERE customerid = '' OR (orderid = 'big' AND quantity >= 1000)")
            rehearsal.ferry("drain")
            said = json.loads(rehearsal.ferry("quarantine", "retry", "--json", capture=True, accept=(1,)))
            # what is left: the insert and the delete of a row that never had a key
            repaired = len(found) - 1
            assert said == {"repaired": repaired, "left": 2, "mended": repaired}
            assert waiting() == 2
            summary = json.loads(rehearsal.ferry("verify", "--json", capture=True))
            assert (summary["left"], summary["unsettled"]) == (0, 0)
    finally:
        rehearsal.tidy()
