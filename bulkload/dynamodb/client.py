"""The DynamoDB client of the load: boto3's, without its slow serialization of each attribute."""

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
    """Makes the client in the process that calls it; picklable. `region` None: boto's default."""

    region: str | None
    connections: int

    def __call__(self) -> Any:
        """boto3's low-level client. Its requests end before another loader may begin (LONGEST_REQUEST)."""
        settings = Config(
            parameter_validation=False,  # takes longer than sending
            **request_config(self.connections, LONGEST_REQUEST),
        )
        client = boto3.client("dynamodb", region_name=self.region, config=settings)
        write_bodies(client)
        return client


def write_bodies(client: Any) -> None:
    """
    Makes the client send the arguments of BatchWriteItem as JSON without a conversion.

    That is DynamoDB's protocol, except that bytes are base64; boto's own serializer takes ten times as long.
    Text that is not ASCII also takes half the space, which matters where 25 items come near the 16 MB that a
    request may have.
    """
    client.meta.events.register(f"provide-client-params.{_OPERATION}", _keep)
    client.meta.events.register(f"before-call.{_OPERATION}", _put)


def _keep(params: dict[str, Any], context: dict[str, Any], **_: Any) -> dict[str, Any]:
    # The request's own context: several threads use one client.
    context[_BODY] = body(params)
    return {"RequestItems": dict.fromkeys(params["RequestItems"], ())}  # boto needs the tables' names


def _put(params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
    params["body"] = context.pop(_BODY)


def body(arguments: dict[str, Any]) -> bytes:
    return json.dumps(arguments, ensure_ascii=False, separators=(",", ":"), default=_base64).encode()


def _base64(value: bytes) -> str:
    return b64encode(value).decode()
