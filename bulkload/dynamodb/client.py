"""The DynamoDB client of the load: boto's, without its walk over each attribute of each item."""

import json
from base64 import b64encode
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config

from bulkload.dynamodb.batch_writer import request_config
from bulkload.lock import LONGEST_REQUEST

_OPERATION = "dynamodb.BatchWriteItem"
_BODY = "rowferry_body"


@dataclass(frozen=True, slots=True)
class ClientOf:
    """Makes the client, in whichever process it is called. `region` None: as boto finds it."""

    region: str | None
    connections: int

    def __call__(self) -> Any:
        """boto3's low-level client, for requests that end before another loader may begin."""
        settings = Config(
            parameter_validation=False,  # costs more than sending
            **request_config(self.connections, LONGEST_REQUEST),
        )
        client = boto3.client("dynamodb", region_name=self.region, config=settings)
        write_bodies(client)
        return client


def write_bodies(client: Any) -> None:
    """
    Lets the client send the arguments of BatchWriteItem as JSON as they are.

    That is what DynamoDB's protocol is, but for bytes, which are base64: boto's own way there takes ten times
    as long. It also takes half the room for texts that are not ASCII, of which 25 items may come near the
    16 MB that a request can have.
    """
    client.meta.events.register(f"provide-client-params.{_OPERATION}", _keep)
    client.meta.events.register(f"before-call.{_OPERATION}", _put)


def _keep(params: dict[str, Any], context: dict[str, Any], **_: Any) -> dict[str, Any]:
    context[_BODY] = body(params)
    return {"RequestItems": dict.fromkeys(params["RequestItems"], ())}  # boto looks at the tables' names


def _put(params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
    params["body"] = context.pop(_BODY)


def body(arguments: dict[str, Any]) -> bytes:
    """The request's JSON."""
    return json.dumps(arguments, ensure_ascii=False, separators=(",", ":"), default=_base64).encode()


def _base64(value: bytes) -> str:
    return b64encode(value).decode()
