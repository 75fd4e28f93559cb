"""Requests as DynamoDB reads them."""

import json
from base64 import b64decode

from bulkload.dynamodb.client import body


def test_a_body_is_what_dynamodb_reads() -> None:
    item = {"b": {"B": bytes(range(256))}, "s": {"S": 'é\U0001f600\x00"\\'}, "n": {"NULL": True}}
    written = body({"RequestItems": {"t": [{"PutRequest": {"Item": item}}]}})
    found = json.loads(written)["RequestItems"]["t"][0]["PutRequest"]["Item"]
    assert b64decode(found["b"]["B"]) == bytes(range(256))
    assert (found["s"], found["n"]) == (item["s"], item["n"])
    assert "é\U0001f600".encode() in written
