"""
The reducer of the article, for comparison: lines of one key become one item, all values text.

It writes the item as a line of DynamoDB JSON where the article's sends a request for each: that would measure
the network. So it does less than the article's.
"""

import json
import sys


def put(key: str, members: dict[str, str]) -> None:
    customer, order = key.split(",")
    item = {"customerid": {"S": customer}, "orderid": {"S": order}}
    item |= {name: {"S": value} for name, value in members.items()}
    print(json.dumps({"Item": item}))


current, members = "", dict[str, str]()
for line in sys.stdin:
    key, member = line.strip().split("\t")
    if key != current:
        if current:
            put(current, members)
        current, members = key, {}
    name, value = member.split(",")
    members[name] = value
if current:
    put(current, members)
