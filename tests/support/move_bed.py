"""What tests of the bulk load and of ferry stand on: a real MySQL, the emulated cloud, a stack."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import boto3
from botocore.config import Config

from bulkload.connection import connect
from bulkload.direct.grouping import Unusable
from bulkload.direct.loader import Loader, LoadOutcome, LoadSettings, LoadTally, Reports
from bulkload.dynamodb.batch_writer import request_config
from bulkload.dynamodb.client import write_bodies
from bulkload.lock import LONGEST_REQUEST, LoaderLock
from lab.cloud import Cloud
from lab.database import Server
from rowferry.control_table import CHECKPOINT, ControlTable
from rowferry.mapping import Mapping as RowMapping
from rowferry.mysql import snapshot
from rowferry.mysql.address import Address
from rowferry.mysql.server import identify
from tests.support.mappings import PURCHASE

CREATE = (
    "CREATE TABLE purchase (customerid VARCHAR(60) NOT NULL, orderid VARCHAR(60) NOT NULL,"
    " productid VARCHAR(60) NOT NULL, quantity INT, PRIMARY KEY (customerid, orderid, productid))"
)
# What ferry looks for in a stack. The consumer does nothing here: a test says itself what was applied.
TEMPLATE = """
Parameters:
  Switch: {Type: String, AllowedValues: ['ON', 'OFF'], Default: 'OFF'}
  MappingFile: {Type: String, Default: purchase.toml}
Conditions:
  SwitchIsOn: !Equals [!Ref Switch, 'ON']
Resources:
  Stream: {Type: AWS::Kinesis::Stream, Properties: {ShardCount: 1, RetentionPeriodHours: 168}}
  Control:
    Type: AWS::DynamoDB::Table
    Properties:
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{AttributeName: pk, AttributeType: S}]
      KeySchema: [{AttributeName: pk, KeyType: HASH}]
  Target:
    Type: AWS::DynamoDB::Table
    Properties:
      TableName: purchase
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions:
        - {AttributeName: customerid, AttributeType: S}
        - {AttributeName: orderid, AttributeType: S}
      KeySchema:
        - {AttributeName: customerid, KeyType: HASH}
        - {AttributeName: orderid, KeyType: RANGE}
  Quarantine: {Type: AWS::SQS::Queue}
  Role:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Version: '2012-10-17'
        Statement: [{Effect: Allow, Principal: {Service: lambda.amazonaws.com}, Action: sts:AssumeRole}]
  Function:
    Type: AWS::Lambda::Function
    Properties:
      Runtime: python3.13
      Handler: index.handler
      Role: !GetAtt Role.Arn
      Code: {ZipFile: 'def handler(event, context): return {"batchItemFailures": []}'}
  RowChanges:
    Type: AWS::Lambda::EventSourceMapping
    Properties:
      EventSourceArn: !GetAtt Stream.Arn
      FunctionName: !Ref Function
      StartingPosition: TRIM_HORIZON
      Enabled: !If [SwitchIsOn, true, false]
Outputs:
  SwitchState: {Value: !Ref Switch}
  ControlTableName: {Value: !Ref Control}
  TargetTableName: {Value: !Ref Target}
  StreamName: {Value: !Ref Stream}
  QuarantineUrl: {Value: !Ref Quarantine}
  EventSourceMappingId: {Value: !Ref RowChanges}
"""

type Key = tuple[str, ...]


@dataclass(frozen=True)
class EmulatedClient:
    """Makes the load's client for the emulated cloud, in whichever process."""

    endpoint: str

    def __call__(self) -> Any:
        client = boto3.client(
            "dynamodb",
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(parameter_validation=False, proxies={}, **request_config(16, LONGEST_REQUEST)),
        )
        write_bodies(client)
        return client


@dataclass
class Bed:
    """A source, a cloud with the stack `rowferry`, and what a load told."""

    server: Server
    cloud: Cloud
    control: ControlTable
    said: list[str] = field(default_factory=list)
    unusable: list[Unusable] = field(default_factory=list)

    @property
    def address(self) -> Address:
        account = self.server.capture
        return Address(self.server.host, self.server.port, account.user, account.password)

    @property
    def dynamodb(self) -> Any:
        return self.cloud.client("dynamodb")

    @property
    def environment(self) -> dict[str, str]:
        """For a `ferry` process."""
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "ROWFERRY_"))
        }
        named = {
            "ROWFERRY_SOURCE": f"mysql://{self.address.user}@{self.address.host}:{self.address.port}",
            "ROWFERRY_SOURCE_PASSWORD": self.address.password,
        }
        return {**kept, **self.cloud.environment, **named}

    def sql(self, *statements: str) -> None:
        with self.server.connect() as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def fill(self, rows: Sequence[Sequence[Any]], table: str = "purchase") -> None:
        places = ",".join(["%s"] * len(rows[0]))
        with self.server.connect() as connection, connection.cursor() as cursor:
            cursor.executemany(f"INSERT INTO {table} VALUES ({places})", rows)

    def capture(self, **changes: Any) -> None:
        """A checkpoint at the source's end, as a capturer that has just started writes it."""
        with self.server.connect() as connection:
            server = identify(connection)
            end = snapshot.current_offset(connection, server)
        fields = {"epoch": 1, "file": end.file, "offset": end.offset, "server": server.identity, "lanes": 4}
        fields |= {"tables": ["test.purchase", "test.single", "test.kinds", "test.orders", "test.product"]}
        self.control.put(CHECKPOINT, {**fields, "state": "capturing", **changes})

    def loader(
        self, mapping: str = PURCHASE, *, ttl: float = 60.0, client: Any = None, **settings: Any
    ) -> Loader:
        return Loader(
            connect=partial(connect, self.address),
            client=(lambda: client) if client else EmulatedClient(self.cloud.endpoint),
            control=self.control,
            mapping=RowMapping.parse(mapping),
            settings=LoadSettings(**{"processes": 1, "workers": 4, **settings}),
            reports=Reports(self.said.append, _nothing, self.unusable.append),
            lock=LoaderLock(self.control, ttl),
        )

    def load(self, mapping: str = PURCHASE, **settings: Any) -> LoadOutcome:
        (outcome,) = self.loader(mapping, **settings).run(False)
        return outcome

    def table(self, name: str, **keys: str) -> None:
        """A DynamoDB table whose key attributes are given with their types, hash key first."""
        self.dynamodb.create_table(
            TableName=name,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[
                {"AttributeName": key, "AttributeType": kind} for key, kind in keys.items()
            ],
            KeySchema=[
                {"AttributeName": key, "KeyType": role}
                for key, role in zip(keys, ("HASH", "RANGE"), strict=False)
            ],
        )

    def items(self, table: str = "purchase") -> dict[Key, dict[str, Any]]:
        """All items by key values; the rest as attributes."""
        found: dict[Key, dict[str, Any]] = {}
        keys = [
            entry["AttributeName"]
            for entry in self.dynamodb.describe_table(TableName=table)["Table"]["KeySchema"]
        ]
        for page in self.dynamodb.get_paginator("scan").paginate(TableName=table):
            for item in page["Items"]:
                key = tuple(str(next(iter(item.pop(name).values()))) for name in keys)
                assert key not in found
                found[key] = item
        return found

    def expected(self, where: str = "TRUE") -> dict[Key, dict[str, Any]]:
        """What the rows of `purchase` should be, without positions."""
        items: dict[Key, dict[str, Any]] = {}
        with self.server.connect() as connection, connection.cursor() as cursor:
            cursor.execute(f"SELECT customerid, orderid, productid, quantity FROM purchase WHERE {where}")
            for customer, order, product, quantity in cursor.fetchall():
                value = {"NULL": True} if quantity is None else {"N": str(quantity)}
                items.setdefault((customer, order), {})[product] = value
        return items


def _nothing(_: LoadTally) -> None:
    pass


def without_positions(items: Mapping[Key, Mapping[str, Any]]) -> dict[Key, dict[str, Any]]:
    return {
        key: {name: value for name, value in item.items() if name != "_pos"} for key, item in items.items()
    }


def make_stack(cloud: Cloud) -> ControlTable:
    """The stack in an empty cloud; returns its control table."""
    formation = cloud.client("cloudformation")
    formation.create_stack(StackName="rowferry", TemplateBody=TEMPLATE, Capabilities=["CAPABILITY_IAM"])
    formation.get_waiter("stack_create_complete").wait(StackName="rowferry")
    outputs = {
        entry["OutputKey"]: entry["OutputValue"]
        for entry in formation.describe_stacks(StackName="rowferry")["Stacks"][0]["Outputs"]
    }
    return ControlTable(cloud.client("dynamodb"), outputs["ControlTableName"])


def make_bed(server: Server, cloud: Cloud) -> Bed:
    """A bed in an empty cloud, with the source's table `purchase` and a capturer's checkpoint."""
    bed = Bed(server, cloud, make_stack(cloud))
    bed.sql(CREATE)
    bed.capture()
    return bed


@contextmanager
def context_of(server: Server, **wanted: int | str) -> Iterator[None]:
    """Global settings of the server while a test needs them."""
    with server.connect() as connection, connection.cursor() as cursor:
        before: dict[str, Any] = {}
        for name, value in wanted.items():
            cursor.execute(f"SELECT @@GLOBAL.{name}")
            found = cursor.fetchone()
            assert found is not None
            before[name] = found[0]
            cursor.execute(f"SET GLOBAL {name} = %s", (value,))
        try:
            yield
        finally:
            for name, value in before.items():
                cursor.execute(f"SET GLOBAL {name} = %s", (value,))
