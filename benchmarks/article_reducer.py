"""
The reducer of the article, for comparison: lines of one key become one item, with all values as text, and
each item is put with a request of its own.

    article_reducer.py ENDPOINT     puts the items, as the article's script does with the boto of its time
    article_reducer.py              writes lines of DynamoDB JSON instead, which is less work
"""

import json
import sys
from collections.abc import Callable

type Put = Callable[[dict[str, str]], object]


def putting(endpoint: str) -> Put:
    import boto3  # here, because writing lines should not pay for the import
    from botocore.config import Config

    session = boto3.Session("benchmark", "benchmark", region_name="us-east-1")
    table = session.resource("dynamodb", endpoint_url=endpoint, config=Config(proxies={})).Table("purchase")
    return lambda item: table.put_item(Item=item)


def write(item: dict[str, str]) -> None:
    print(json.dumps({"Item": {name: {"S": value} for name, value in item.items()}}))


def reduce(put: Put) -> None:
    current, members = "", dict[str, str]()
    for line in sys.stdin:
        key, member = line.strip().split("\t")
        if key != current:
            finish(current, members, put)
            current, members = key, {}
        name, value = member.split(",")
        members[name] = value
    finish(current, members, put)


def finish(key: str, members: dict[str, str], put: Put) -> None:
    if key:
        customer, order = key.split(",")
        put({"customerid": customer, "orderid": order, **members})


if __name__ == "__main__":
    reduce(putting(sys.argv[1]) if sys.argv[1:] else write)
